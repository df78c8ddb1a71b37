#!/bin/sh
# mca.sh [DIR]: what llvm-mca says of the hot loops of the arm64 kernels, printed as bench/mca.md has it. DIR is for
# intermediate files. Needs binutils-aarch64-linux-gnu and llvm-mca with a model of the Neoverse N1 (LLVM 17 or later: Debian's llvm-19);
# LLVM_MCA names it.
set -eu
cd "$(dirname "$0")/.."
dir=${1:-dist/mca}
mkdir -p "$dir"
mca=${LLVM_MCA:-}
for v in -21 -20 -19 -18 -17 ''; do
	[ -n "$mca" ] || mca=$(command -v "llvm-mca$v" || true)
done
[ -n "$mca" ] || { echo 'mca.sh: no llvm-mca: apt-get install llvm-19' >&2; exit 1; }
version=$($mca --version | sed -n 's/.*LLVM version //p')
case $version in
?.* | 1[0-6].*) echo "mca.sh: LLVM $version schedules the neoverse-n1 as a Cortex-A57: its figures are not those of bench/mca.md" >&2 ;;
esac
GOARCH=arm64 CGO_ENABLED=0 go test -c -o "$dir/kernel.test" ./quant/kernel
aarch64-linux-gnu-objdump -d --no-show-raw-insn "$dir/kernel.test" >"$dir/kernel.txt"
go run ./bench/mca regions "$dir/kernel.txt" "$dir"
for asm in "$dir"/*.s; do
	cpu=$(basename "$asm" .s)
	$mca -mtriple=aarch64-linux-gnu -mcpu="$cpu" -mattr=+dotprod,+i8mm,+fullfp16 -iterations=300 \
		-resource-pressure=false -instruction-info=false "$asm" >"$dir/$cpu.txt"
done
cat <<END
# The arm64 kernels by llvm-mca

\`make mca\` makes this page (LLVM $version, $(go version | cut -d' ' -f3), $(aarch64-linux-gnu-objdump --version | sed -n '1s/.* //p') of binutils).
END
cat bench/mca/head.md
go run ./bench/mca table "$dir"
