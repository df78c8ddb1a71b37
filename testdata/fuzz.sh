#!/bin/sh
# fuzz.sh TIME: runs every fuzz target of the module for TIME.
set -eu
for file in $(grep -rl --include='*_test.go' '^func Fuzz' . | sort); do
	dir=$(dirname "$file")
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		echo "== $dir $target"
		# Making an interesting input smaller takes a minute by default, in which nothing else is tried.
		go test "$dir" -run '^$' -fuzz "^$target\$" -fuzztime "$1" -fuzzminimizetime 10x
	done
done
