#!/bin/sh
# mca.sh [DIR]: what llvm-mca says of the hot loops of the kernels, printed as bench/mca.md has it. DIR is for intermediate
# files. Needs the binutils of both architectures (binutils-aarch64-linux-gnu) and llvm-mca with a model of the Neoverse N1 (LLVM 17 or later: Debian's llvm-19);
# LLVM_MCA names it.
set -eu
cd "$(dirname "$0")/.."
dir=${1:-dist/mca}
tool() { # ARCH: its objdump
	case $1.$(uname -m) in
	arm64.aarch64 | amd64.x86_64) echo objdump ;;
	arm64.*) echo aarch64-linux-gnu-objdump ;;
	*) echo x86_64-linux-gnu-objdump ;;
	esac
}
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
rm -f "$dir"/*.*.*.s
for arch in arm64 amd64; do
	objdump=$(tool $arch)
	GOARCH=$arch CGO_ENABLED=0 go test -c -o "$dir/$arch.test" ./quant/kernel
	$objdump -d --no-show-raw-insn "$dir/$arch.test" >"$dir/$arch.txt"
	go run ./bench/mca regions "$dir/$arch.txt" "$dir"
done
for asm in "$dir"/*.*.*.s; do
	name=$(basename "$asm" .s)
	case $name in
	arm64.*) target='-mtriple=aarch64-linux-gnu -mattr=+dotprod,+i8mm,+fullfp16' ;;
	*) target=-mtriple=x86_64-linux-gnu ;;
	esac
	$mca $target -mcpu="${name##*.}" -iterations=300 -resource-pressure=false -instruction-info=false "$asm" >"$dir/$name.txt"
done
cat <<END
# The kernels by llvm-mca

\`make mca\` makes this page (LLVM $version, $(go version | cut -d' ' -f3), $($objdump --version | sed -n '1s/.* //p') of binutils).
END
cat bench/mca/head.md
go run ./bench/mca table "$dir"
