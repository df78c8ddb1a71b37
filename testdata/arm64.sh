#!/bin/sh
# arm64.sh QEMU DIR PACKAGE...: runs the arm64 test binaries in DIR under qemu-user, two at a time: everything as a
# Cortex-A53 (plain NEON), and what differs from one CPU to the next as a Cortex-A72 (plain NEON), a Cortex-A76 (dotprod)
# and the largest model (i8mm). A test of a package runs in that package's folder. Each run's output comes when it ends.
set -eu

if [ "$1" = -job ]; then # one line of the list below; qemu, bin, out and root are in the environment
	IFS=';' read -r cpu pkg kernels run skip <<-END
		$2
	END
	log=$(mktemp "$out/XXXXXX")
	status=ok start=$(date +%s)
	(cd "$root/${pkg#kvasir/}" && GOMAXPROCS=2 KVASIR_REQUIRE_KERNELS=$kernels KVASIR_TEST_KERNELS=$kernels "$qemu" -cpu "$cpu" \
		"$bin/$(basename "$pkg").test" -test.short -test.run "$run" -test.skip "$skip" -test.timeout 10m) >"$log" 2>&1 || status=FAILED
	{
		flock 9
		echo "== $cpu $pkg $run $status, $(($(date +%s) - start)) s"
		[ -z "$skip" ] || echo "   without $skip"
		cat "$log"
	} 9>"$out/lock"
	[ $status = ok ]
	exit
fi

qemu=$1 bin=$(cd "$2" && pwd) root=$(pwd)
shift 2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
export qemu bin out root

# What a conversation shares and survives is the longest, and runs beside the rest of its package.
long='SharePrefixes|PlaceToDie|BusyHome'
{
	echo "cortex-a53;kvasir/engine;;;$long"
	echo "cortex-a53;kvasir/engine;;$long;"
	# The order of arithmetic through the whole engine, once more with each of the other kernels.
	echo "max;kvasir/engine;;TestLogitsAreTheSameBits;"
	echo "cortex-a76;kvasir/engine;;TestLogitsAreTheSameBitsForEveryWeightFormat;"
	for pkg in $(go list "$@"); do
		case $pkg in
		kvasir/engine) ;;
		kvasir/quant/kernel) # every variant once
			echo "cortex-a53;$pkg;neon,portable;.;"
			echo "cortex-a72;$pkg;neon;.;"
			echo "cortex-a76;$pkg;neon-dotprod;.;"
			echo "max;$pkg;neon-i8mm;.;"
			;;
		*) [ ! -e "$bin/$(basename "$pkg").test" ] || echo "cortex-a53;$pkg;;.;" ;;
		esac
	done
} >"$out/list"
xargs -P 2 -d '\n' -n 1 sh "$0" -job <"$out/list"
