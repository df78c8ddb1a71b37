// Package cpu tells what the processor and its limits are: instruction set features, core topology (big.LITTLE),
// cache sizes and the share that a control group grants. Everything is detected once and printable, so that a bug
// report can carry it.
package cpu

import "golang.org/x/sys/cpu"

// Feature is an instruction set extension that a kernel may need. The names are those of /proc/cpuinfo, so that a
// person can compare.
type Feature string

// The features that kernels ask for.
const (
	AVX2       Feature = "avx2"        // amd64: 256-bit integer vectors
	F16C       Feature = "f16c"        // amd64: fp16 conversion
	AVXVNNI    Feature = "avx_vnni"    // amd64: VEX-encoded VPDPBUSD
	AVX512     Feature = "avx512"      // amd64: F, BW, VL, DQ together
	AVX512VNNI Feature = "avx512_vnni" // amd64: EVEX-encoded VPDPBUSD
	NEON       Feature = "asimd"       // arm64: base vectors (always present on Linux)
	DotProd    Feature = "asimddp"     // arm64: SDOT, UDOT
	I8MM       Feature = "i8mm"        // arm64: SMMLA
)

var features = detect()

func detect() map[Feature]bool {
	x, a := &cpu.X86, &cpu.ARM64
	return map[Feature]bool{
		AVX2:       x.HasAVX2,
		F16C:       x.HasF16C,
		AVXVNNI:    x.HasAVXVNNI,
		AVX512:     x.HasAVX512F && x.HasAVX512BW && x.HasAVX512VL && x.HasAVX512DQ,
		AVX512VNNI: x.HasAVX512VNNI,
		NEON:       a.HasASIMD,
		DotProd:    a.HasASIMDDP,
		I8MM:       a.HasI8MM,
	}
}

// Has reports whether this processor has every one of the features. Safe for concurrent use.
func Has(fs ...Feature) bool {
	for _, f := range fs {
		if !features[f] {
			return false
		}
	}
	return true
}

// Features lists the features of this processor that kernels know, in a fixed order.
func Features() []Feature {
	var fs []Feature
	for _, f := range []Feature{AVX2, F16C, AVXVNNI, AVX512, AVX512VNNI, NEON, DotProd, I8MM} {
		if features[f] {
			fs = append(fs, f)
		}
	}
	return fs
}
