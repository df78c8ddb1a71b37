#!/bin/sh
# compare.sh [RUNS]: times kvasir and llama.cpp in turn on the same model files and prints one JSON line a measurement.
# Nothing else may run meanwhile. llama.cpp comes prebuilt from npm (package node-llama-cpp; needs node and gcc):
#
#   bench/compare.sh 5 > bench/results/DATE-MACHINE.jsonl ; go run ./bench/report bench/results/DATE-MACHINE.jsonl
#
# MODELS lists SHAPE:TYPE pairs, TESTS the tests (pp256, tg32, tg32@d8192), THREADS the thread counts. DIR keeps the peer
# and the models between runs. KERNELS names kvasir's kernel variant and PEER_CPU the generation of llama.cpp's library
# to leave, to compare on fewer features than this processor has (avx2 and haswell, say). Where the page cache may be
# dropped (as root) it is, before each model, and kvasir reads the model first, as after a boot.
set -eu
cd "$(dirname "$0")/.."
runs=${1:-5}
dir=${DIR:-${TMPDIR:-/tmp}/kvasir-bench}
models=${MODELS:-qwen2.5-0.5b:q4_0 qwen2.5-0.5b:q8_0 smollm2-135m:q4_0}
tests=${TESTS:-pp256 tg32}
threads=${THREADS:-2}
mkdir -p "$dir"
. bench/prepare.sh
peer_library
gcc -O2 bench/peer/llamabench.c -o "$dir/llamabench" -ldl
if [ -n "${PEER_CPU:-}" ]; then
	rm -rf "$dir/lib" && cp -r "$lib" "$dir/lib" && lib=$dir/lib
	find "$lib" -name 'libggml-cpu-*' ! -name "libggml-cpu-$PEER_CPU.so" ! -name 'libggml-cpu-x64.so' ! -name 'libggml-cpu-sse42.so' -delete
fi
kv() { KVASIR_KERNELS=${KERNELS:-} KVASIR_HOME=$dir/home "$dir/kvasir" bench -m "$1" -t "$t" -r "$each" -o json "$2" "$3" "$4" "$5" "$6" "$7"; }
for model in $models; do
	file=$(model_file "$model")
	sync
	[ ! -w /proc/sys/vm/drop_caches ] || echo 3 >/proc/sys/vm/drop_caches
	for t in $threads; do
		for test in $tests; do
			depth=0 gen=0 prompt=0
			case $test in
			pp*) prompt=${test#pp} ;;
			tg*@d*) gen=${test#tg} depth=${gen#*@d} gen=${gen%@*} ;;
			tg*) gen=${test#tg} ;;
			esac
			i=0 each=1 # in one process
			[ "$depth" = 0 ] || each=$runs i=$((runs - 1)) # what stands before is read once: it takes minutes
			while [ $i -lt "$runs" ]; do # in turn: what disturbs one disturbs the other
				kv "$file" -p "$prompt" -n "$gen" -d "$depth" | sed "s|^{|{\"shape\":\"$model\",\"program\":\"kvasir\",|; s|$dir/||"
				for kvs in f16 ${PEER_KV:-}; do
					"$dir/llamabench" "$lib" "$file" "$t" "$prompt" "$gen" "$depth" "$each" "$kvs" |
						sed "s|^{|{\"shape\":\"$model\",\"program\":\"llama.cpp\",\"test\":\"$test\",|"
				done
				i=$((i + 1))
			done
		done
	done
done
