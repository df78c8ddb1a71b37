#!/bin/sh
# arm64.sh QEMU DIR PACKAGE...: runs the arm64 test binaries in DIR under qemu-user, as a Cortex-A53 (plain NEON), a
# Cortex-A76 (dotprod) and the largest model (i8mm). A test of a package runs in that package's folder.
set -eu
qemu=$1 bin=$(cd "$2" && pwd)
shift 2
root=$(pwd)
for cpu in cortex-a53 cortex-a76 max; do
	case $cpu in
	cortex-a53) need=neon ;;
	cortex-a76) need=neon,neon-dotprod ;;
	max) need=neon,neon-dotprod,neon-i8mm ;;
	esac
	for pkg in $(go list "$@"); do
		test=$bin/$(basename "$pkg").test
		[ -e "$test" ] || continue # a package without tests
		# Only the kernels differ from one CPU model to the next, and what is computed with them.
		only=.
		case $cpu:$pkg in
		cortex-a53:* | *:kvasir/quant/kernel) ;;
		max:kvasir/engine) only=SameBits ;;
		*) continue ;;
		esac
		echo "== $cpu $pkg"
		(cd "$root/${pkg#kvasir/}" && KVASIR_REQUIRE_KERNELS=$need "$qemu" -cpu $cpu "$test" -test.short -test.run "$only" -test.timeout 15m)
	done
done
