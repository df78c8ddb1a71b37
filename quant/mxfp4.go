package quant

import "math"

// MXFP4 (OCP Microscaling Formats 1.0; GGML: block_mxfp4): 32 values in FP4 E2M1, one power-of-two scale E8M0.
//
//	0       1                  17
//	+-------+------------------+
//	| e u8  | qs: 16 bytes     |    value[i] = 2^(e-127) * E2M1[n[i]], nibbles as in Q4_0
//	+-------+------------------+
//
// The table holds the E2M1 values doubled, which makes them integers; D is halved to match: 2^(e-128). The codes of
// minus zero give plus zero, and e = 255, a NaN in the OCP specification, is 2^127: both as GGML has it.

// MXFP4Values is twice the value of each E2M1 code (GGML: kvalues_mxfp4).
var MXFP4Values = [16]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}

func unpackMXFP4(dst *Ints, b []byte) {
	dst.D = e8m0Half(b[0])
	lookupNibbles(dst.Q[:32], b[1:17], &MXFP4Values)
}

// e8m0Half returns 2^(e-128) exactly; 2^-128 and 2^-127 are subnormal.
func e8m0Half(e byte) float32 {
	if e < 2 {
		return math.Float32frombits(1 << 21 << e)
	}
	return math.Float32frombits(uint32(e-1) << 23)
}
