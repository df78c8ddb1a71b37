package quant

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"kvasir/quant/half"
)

// ErrValue is returned for values that a format cannot hold.
var ErrValue = errors.New("value out of range")

// CanEncode reports whether EncodeRow knows t.
func (t Type) CanEncode() bool {
	switch t {
	case F32, F16, BF16, Q8_0, Q4_0:
		return true
	}
	return false
}

// EncodeRow writes src, whole blocks of t, to dst, which has the bytes that RowBytes says. It encodes F32, F16, BF16,
// Q8_0 and Q4_0 (CanEncode), the last two by the rules of GGML's reference encoders and to the same bytes:
//
//	Q8_0: d = amax/127;              q[i] = x[i]/d rounded half away from zero
//	Q4_0: d = max/-8;                n[i] = min(15, floor(x[i]/d + 8.5))
//
// where amax is the largest magnitude of the block, max the first value that has it, and x/d a product with 1/d. The
// stored d is rounded to fp16 after its use.
//
// The error wraps ErrType, ErrLength (nothing is written), or ErrValue: for Q8_0 and Q4_0 a value that is not finite,
// or so large that d overflows fp16; the blocks before it are written. Magnitudes so small that 1/d is infinite
// encode as zero.
func EncodeRow(t Type, dst []byte, src []float32) error {
	if !t.CanEncode() {
		return fmt.Errorf("encode: %w: %v", ErrType, t)
	}
	if err := t.checkRow(len(src), len(dst)); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	switch t {
	case F32:
		for i, v := range src {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
		}
	case F16:
		for i, v := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], half.FromFloat32(v))
		}
	case BF16:
		for i, v := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], half.BFFromFloat32(v))
		}
	case Q8_0:
		return encodeBlocks(t, dst, src, packQ8_0)
	case Q4_0:
		return encodeBlocks(t, dst, src, packQ4_0)
	}
	return nil
}

// encodeBlocks calls pack, which returns the scale d of the block, for each block, and stores d at its front.
func encodeBlocks(t Type, dst []byte, src []float32, pack func(qs []byte, x []float32) float32) error {
	size, n := geometries[t].BlockBytes, geometries[t].BlockSize
	for i := 0; i < len(src); i += n {
		x := src[i : i+n]
		b := dst[:size]
		dst = dst[size:]
		if _, finite := absMax(x); !finite {
			return fmt.Errorf("encode %v: %w: values %d to %d are not all finite", t, ErrValue, i, i+n-1)
		}
		d := half.FromFloat32(pack(b[2:], x))
		if d&^half.Sign == half.Inf {
			return fmt.Errorf("encode %v: %w: the scale of values %d to %d overflows fp16", t, ErrValue, i, i+n-1)
		}
		binary.LittleEndian.PutUint16(b, d)
	}
	return nil
}

func packQ8_0(qs []byte, x []float32) float32 {
	amax, _ := absMax(x)
	d := amax / 127
	inv := reciprocal(d)
	for i, v := range x {
		qs[i] = byte(int8(math.Round(float64(float32(v * inv)))))
	}
	return d
}

func packQ4_0(qs []byte, x []float32) float32 {
	amax, _ := absMax(x)
	var extreme float32 // the first value of magnitude amax
	for _, v := range x {
		if v == amax || v == -amax {
			extreme = v
			break
		}
	}
	if amax == 0 {
		extreme = 0 // not -0: GGML's d is then -0 whatever the zeros' signs
	}
	d := extreme / -8
	inv := reciprocal(d)
	nibble := func(v float32) byte { return min(15, byte(float32(v*inv)+8.5)) }
	for j := range qs {
		qs[j] = nibble(x[j]) | nibble(x[j+len(qs)])<<4
	}
	return d
}

// reciprocal returns 1/d, or 0 where that is infinite.
func reciprocal(d float32) float32 {
	inv := 1 / d
	if math.IsInf(float64(inv), 0) {
		return 0
	}
	return inv
}
