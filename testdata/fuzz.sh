#!/bin/sh
# fuzz.sh TIME STORE_TIME: runs every fuzz target of the module for TIME, those of kvcache, whose files others write, for STORE_TIME.
# Go minimises what it finds for a minute by default, in which it tries nothing new: 30 tries do.
set -eu
for file in $(grep -rl --include='*_test.go' '^func Fuzz' . | sort); do
	dir=$(dirname "$file")
	case $dir in
	./kvcache) time=$2 ;;
	*) time=$1 ;;
	esac
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		echo "== $dir $target $time"
		go test "$dir" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 30x
	done
done
