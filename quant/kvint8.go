package quant

import (
	"fmt"

	"kvasir/quant/half"
)

// EncodeKVInt8 quantises x, one row already rotated, to dst of the same length and returns the scale, an fp16:
//
//	scale = fp16 nearest to round32(amax / 127), at most 65504
//	inv   = round32(1 / scale)
//	q[i]  = round to even of round32(x[i] * inv), clamped to [-127, 127]
//
// The scale is rounded before it is used, so an element is at most scale/2 off, with two exceptions where the clamp
// cuts. Below amax = 0.0078 the scale is a subnormal fp16, and where it was rounded down the error may reach
// 127*2^-25 = 3.8e-6; rows up to that amax have scale 0 and become zeros. Above amax = 127*65504 = 8.3e6 values are cut
// to that. The smallest scale but 0 is 2^-24, so inv is finite. A row with a NaN or an infinity gets the scale NaN and
// zeros, so that the damage shows.
func EncodeKVInt8(dst []int8, x []float32) (scale uint16) {
	if len(dst) != len(x) {
		panic(fmt.Sprintf("quant: KV row of %d values to %d", len(x), len(dst)))
	}
	scale, inv := kvScale(x)
	for i, v := range x {
		dst[i] = kvCode(v, inv)
	}
	return scale
}

// DecodeKVInt8 writes scale*q[i] to dst, which has the length of q. The row stays rotated.
func DecodeKVInt8(dst []float32, q []int8, scale uint16) {
	if len(dst) != len(q) {
		panic(fmt.Sprintf("quant: KV row of %d values to %d", len(q), len(dst)))
	}
	s := half.ToFloat32(scale)
	for i, v := range q {
		dst[i] = s * float32(v)
	}
}

// kvScale returns the scale of a row and the factor that its values are multiplied by; a zero row and a damaged one
// have the factor 0.
func kvScale(x []float32) (scale uint16, inv float32) {
	amax, finite := absMax(x)
	if !finite {
		return half.NaN, 0
	}
	scale = min(half.FromFloat32(amax/qMax), half.Max)
	if scale == 0 {
		return 0, 0
	}
	return scale, 1 / half.ToFloat32(scale)
}

// kvCode returns the code of v; 0 whatever v is where inv is 0.
func kvCode(v, inv float32) int8 {
	if inv == 0 {
		return 0
	}
	return roundClamp(float32(v * inv))
}
