#!/bin/sh
# start.sh [RUNS]: the time from the start of the process to the first token of a prompt of 10 tokens, with the model in
# the page cache: one JSON line a run, the median on stderr. Nothing else may run meanwhile.
#
#   bench/start.sh 10 > bench/results/DATE-MACHINE-start.jsonl
#
# MODEL is the SHAPE:TYPE (qwen2.5-0.5b:q4_0), FLAGS more flags of kvasir run (-t 4, --no-mmap). DIR keeps the program
# and the model between calls. Every run has a home directory of its own in which only the model's digest is known: no
# run finds the rows of another. The kernel's clock tick makes a figure up to 10 ms too large.
set -eu
cd "$(dirname "$0")/.."
runs=${1:-10}
dir=${DIR:-${TMPDIR:-/tmp}/kvasir-bench}
model=${MODEL:-qwen2.5-0.5b:q4_0}
mkdir -p "$dir"
. bench/prepare.sh
file=$(model_file "$model")
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
# Ten tokens of the vocabulary of bytes that such a model has: one that begins, a space of three bytes, six letters.
run() { # HOME
	KVASIR_HOME=$1 "$dir/kvasir" run -m "$file" --raw -n 1 --temp 0 ${FLAGS:-} --stats "$home/stats" kvasir >"$home/out"
}
run "$home/first"
i=0
while [ $i -lt "$runs" ]; do
	mkdir "$home/$i"
	cp "$home/first/digests.json" "$home/$i/"
	run "$home/$i"
	sed "s|^{|{\"shape\":\"$model\",\"test\":\"start\",|" "$home/stats"
	rm -r "${home:?}/$i"
	i=$((i + 1))
done | tee "$home/all"
grep -q '"prompt_tokens":10,"reused_tokens":0,' "$home/all" || echo "the prompt does not have 10 tokens" >&2
sed 's/.*"first_token_ms":\([0-9.]*\).*/\1/' "$home/all" | sort -n |
	awk '{ t[NR] = $1 } END { printf "%s: first token after %.0f ms (median of %d; %.0f to %.0f)\n", m, (t[int((NR+1)/2)] + t[int(NR/2)+1]) / 2, NR, t[1], t[NR] }' m="$model" >&2
