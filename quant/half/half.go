// Package half converts between float32 and the two 16-bit floating point formats of model files: IEEE 754 binary16
// ("half", F16) and bfloat16 (BF16). All conversions round to nearest, ties to even; none allocates.
package half

import "math"

// Bit patterns of binary16, for callers that build or compare codes.
const (
	Inf  uint16 = 0x7c00 // positive infinity
	NaN  uint16 = 0x7e00 // the quiet NaN without payload
	Max  uint16 = 0x7bff // the largest finite value, 65504
	Sign uint16 = 0x8000
)

//	         binary16                 bfloat16                          float32
//	15 14      10 9        0   15 14       7 6       0   31 30       23 22                     0
//
// +--+----------+----------+ +--+----------+---------+ +--+-----------+------------------------+
// |s |  exp, 5  | frac, 10 | |s |  exp, 8  | frac, 7 | |s |  exp, 8   |        frac, 23        |
// +--+----------+----------+ +--+----------+---------+ +--+-----------+------------------------+
//
//	bias 15                    bias 127                  bias 127
const (
	fracShift = 23 - 10
	rebias    = (127 - 15) << 23 // added to a float32 pattern to turn binary16's exponent into float32's
	minNormal = 113 << 23        // 2^-14, the smallest normal binary16, as a float32 pattern
	quietBit  = 1 << 22
)

// ToFloat32 returns the value of the binary16 code h; it is always exact. A signalling NaN becomes quiet with its
// payload kept, as the conversion instructions of amd64 (VCVTPH2PS) and arm64 (FCVT) do.
func ToFloat32(h uint16) float32 {
	sign := uint32(h&Sign) << 16
	bits := uint32(h&^Sign) << fracShift
	switch {
	case h&Inf == 0: // zero or subnormal: frac * 2^-24, built as (2^-14 + frac*2^-24) - 2^-14
		v := math.Float32frombits(minNormal|bits) - 0x1p-14
		return math.Float32frombits(sign | math.Float32bits(v))
	case h&Inf != Inf:
		return math.Float32frombits(sign | (bits + rebias))
	case h&^Sign == Inf:
		return math.Float32frombits(sign | 0x7f800000)
	default:
		return math.Float32frombits(sign | 0x7f800000 | quietBit | bits)
	}
}

// FromFloat32 returns the binary16 code nearest to f, ties to even. Values of 65520 and above become Inf; a NaN stays
// a NaN, made quiet, with the top bits of its payload.
func FromFloat32(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b>>16) & Sign
	a := b &^ (1 << 31)
	switch {
	case a < minNormal: // the sum's last place is 2^-24, binary16's smallest step, so the addition does the rounding
		return sign | uint16(math.Float32bits(math.Float32frombits(a)+0.5)-0x3f000000)
	case a < 0x47800000: // below 2^16; a carry out of the fraction is the next exponent, at the top Inf
		a -= rebias
		return sign | uint16((a+(1<<(fracShift-1)-1)+a>>fracShift&1)>>fracShift)
	case a <= 0x7f800000:
		return sign | Inf
	default:
		return sign | NaN | uint16(a>>fracShift)&0x3ff
	}
}

// BFToFloat32 returns the value of the bfloat16 code h, exactly: bfloat16 is the upper half of a float32.
func BFToFloat32(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// BFFromFloat32 returns the bfloat16 code nearest to f, ties to even. Values past the largest finite bfloat16 by half
// a step become Inf; a NaN stays a NaN, made quiet, with the top bits of its payload.
func BFFromFloat32(f float32) uint16 {
	b := math.Float32bits(f)
	if b&^(1<<31) > 0x7f800000 {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}
