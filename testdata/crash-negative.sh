#!/bin/sh
# crash-negative.sh: takes away one rule of crash safety after the other (kvcache/protocol_broken.go) and requires that the crash tests
# notice, each with the message that belongs to it, and that they pass with all rules in place.
set -u
go=${GO:-go}
cd "$(dirname "$0")/.."
mkdir -p dist
$go test -c -tags kvbroken -o dist/kvbroken.test ./kvcache || exit 1
cd kvcache
status=0

run() { # RULE MESSAGE
	images=100000 # it stops at the first script that fails
	[ -z "$1" ] && images=4000
	out=$(../dist/kvbroken.test -test.run '^TestCrashImages$' -test.v -crash.images=$images -crash.sparse -crash.break="$1" 2>&1)
	code=$?
	n=$(printf '%s\n' "$out" | sed -n 's/.* \([0-9]*\) images of .*/\1/p' | head -1)
	if [ -z "$1" ]; then
		[ $code = 0 ] && echo "all rules kept: passes" && return
		echo "FAILED: all rules kept, and the crash tests fail"
	elif [ $code = 0 ]; then
		echo "FAILED: without $1 the crash tests pass $n images"
	elif ! printf '%s\n' "$out" | grep -q -e "$2"; then
		echo "FAILED: without $1 the crash tests fail, but not with '$2'"
	else
		echo "without $1: noticed${n:+ within $n images}: $(printf '%s\n' "$out" | grep -m1 -o -e "\($2\).*" | cut -c1-100)"
		return
	fi
	printf '%s\n' "$out" | head -20
	status=1
}

run '' ''
run sync-before-ack 'acknowledged and lost'
run failure-is-final 'acknowledged and lost\|never said'
run verify-payload 'wrong KV'
run check-parent 'index: a block at'
run hold-slots 'rows of'
run sync-new-segment 'stored and lost'
run distrust-on-error 'stored and lost'
exit $status
