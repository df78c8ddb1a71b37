#!/bin/sh
# resume.sh [RUNS]: the time from the start of the process to the first token when a conversation is taken up again, and the
# bytes that the turn writes: kvasir's session beside llama.cpp's saved sequence. One JSON line a run; resume.awk makes the
# table. Nothing else may run meanwhile.
#
#   bench/resume.sh 5 > bench/results/DATE-MACHINE-resume.jsonl ; awk -f bench/resume.awk bench/results/DATE-MACHINE-resume.jsonl
#
# MODEL is the SHAPE:TYPE, LENGTHS the tokens that the conversation has, CACHE what the page cache holds: warm, or cold
# (dropped before each run, model included: needs root). Each run adds 8 tokens of prompt and 32 of answer to a copy of
# the same conversation. DIR keeps programs, peer and model between calls. written_bytes is what the process handed to
# write calls (wchar of /proc/PID/io): write_bytes there counts whole folios, of up to 2 MB, for each byte changed in one.
set -eu
cd "$(dirname "$0")/.."
runs=${1:-5}
dir=${DIR:-${TMPDIR:-/tmp}/kvasir-bench}
model=${MODEL:-qwen2.5-0.5b:q4_0}
mkdir -p "$dir"
. bench/prepare.sh
peer_library
file=$(model_file "$model")
work=$(mktemp -d "$dir/resume.XXXXXX")
trap 'rm -rf "$work"' EXIT
gcc -O2 bench/peer/llamaresume.c -o "$dir/llamaresume" -ldl

# counted COMMAND...: runs it and prints the bytes it wrote.
counted() {
	sh -c '"$@" >/dev/null; sed -n "s/^wchar: //p" /proc/$$/io' sh "$@"
}
fresh() { # CACHE
	sync
	[ "$1" = warm ] || echo 3 >/proc/sys/vm/drop_caches
}
ours() { KVASIR_HOME=$1 "$dir/kvasir" run -m "$file" --raw --session s --temp 0 -t 2 --stats "$work/stats" -n "$2" "$3"; }
for n in ${LENGTHS:-2048 16384}; do
	# The vocabulary of such a model has a token for every byte: one that begins, three of a space, then letters.
	ours "$work/home" 1 "$(head -c $((n - 5)) /dev/zero | tr '\0' k)" >/dev/null
	"$dir/llamaresume" "$lib" "$file" 2 save "$n" "$work/state" >/dev/null
	for cache in ${CACHE:-warm cold}; do
		i=0
		while [ $i -lt "$runs" ]; do
			rm -rf "$work/again" && cp -r "$work/home" "$work/again" && cp "$work/state" "$work/state2"
			fresh "$cache"
			export KVASIR_HOME="$work/again"
			bytes=$(counted "$dir/kvasir" run -m "$file" --raw --session s --temp 0 -t 2 --stats "$work/stats" -n 32 kvasir)
			sed "s|^{|{\"program\":\"kvasir\",\"length\":$n,\"cache\":\"$cache\",\"written_bytes\":$bytes,|" "$work/stats"
			fresh "$cache"
			bytes=$(counted sh -c 'exec "$@" >'"$work/peer" sh "$dir/llamaresume" "$lib" "$file" 2 load "$n" "$work/state2" 8 32)
			sed "s|^{|{\"length\":$n,\"cache\":\"$cache\",\"written_bytes\":$bytes,|" "$work/peer"
			i=$((i + 1))
		done
	done
	rm -rf "$work/home"
done
