#!/bin/sh
# fuzz.sh TIME STORE_TIME: runs every fuzz target of the module for TIME, and those of the store's four formats (header, META, journal and
# export file) for STORE_TIME.
# Go minimises what it finds for a minute by default, in which it tries nothing new: 30 tries do.
set -eu
out=$(mktemp)
trap 'rm -f "$out"' EXIT

# Before Go 1.27 the end of -fuzztime can be reported as a failure (go.dev/issue/75804). Then the only thing reported is
# the deadline itself: a finding, a panic or a worker that hangs each say more, and stay failures.
only_deadline() {
	sed -n '/^--- FAIL/,/^FAIL$/p' "$out" | tr -s ' ' | sed 's/ (.*//' | tr '\n' '|' |
		grep -q '^--- FAIL: Fuzz[A-Za-z0-9_]*| context deadline exceeded|FAIL|$'
}

for file in $(grep -rl --include='*_test.go' '^func Fuzz' . | sort); do
	dir=$(dirname "$file")
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		case $target in
		FuzzSlotHeader | FuzzMeta | FuzzJournal | FuzzArchive) time=$2 ;;
		*) time=$1 ;;
		esac
		echo "== $dir $target $time"
		rc=0
		go test "$dir" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 30x >"$out" 2>&1 || rc=$?
		cat "$out"
		if [ "$rc" != 0 ]; then
			only_deadline || exit "$rc"
			echo "$target: the whole $time ran without a finding; Go reported its end as a failure (go.dev/issue/75804)"
		fi
	done
done
