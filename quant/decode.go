package quant

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"

	"kvasir/quant/half"
)

var (
	// ErrType is returned for a type that kvasir cannot decode, or not encode.
	ErrType = errors.New("unsupported tensor type")
	// ErrLength is returned where values are not whole blocks or bytes do not match the values.
	ErrLength = errors.New("length mismatch")
)

// Decode writes the values of src, whole blocks of t, to dst: len(dst) is a multiple of the block size and len(src)
// what RowBytes says for it. The error wraps ErrType or ErrLength; nothing is written then. Every bit pattern decodes.
//
// Products and sums are rounded to float32 one by one, in the order (D*Scale)*Q, then plus DMin*Min, which is the
// order of GGML's own decoders: the results are theirs to the bit.
func (t Type) Decode(dst []float32, src []byte) error {
	if err := t.checkRow(len(dst), len(src)); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	switch t {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	case F16:
		for i := range dst {
			dst[i] = fp16(src[2*i:])
		}
	case BF16:
		for i := range dst {
			dst[i] = half.BFToFloat32(binary.LittleEndian.Uint16(src[2*i:]))
		}
	default:
		t.decodeInts(dst, src)
	}
	return nil
}

var ints = sync.Pool{New: func() any { return new(Ints) }}

func (t Type) decodeInts(dst []float32, src []byte) {
	b := ints.Get().(*Ints) // the call through the table of formats would put it on the heap each time
	defer ints.Put(b)
	size, shape := geometries[t].BlockBytes, blocks[t].shape
	for len(dst) > 0 {
		t.Ints(b, src[:size])
		b.values(dst[:shape.BlockSize], shape)
		dst, src = dst[shape.BlockSize:], src[size:]
	}
}

// values evaluates the formula of Ints. Without minima nothing is added, which would turn -0 into +0.
func (b *Ints) values(dst []float32, shape IntShape) {
	for i := range dst {
		g := i / shape.GroupSize
		v := float32(float32(b.D*float32(b.Scale[g])) * float32(b.Q[i]))
		if shape.HasMins {
			v += float32(b.DMin * float32(b.Min[g]))
		}
		dst[i] = v
	}
}

// checkRow tells whether nBytes bytes are nValues values of t in whole blocks.
func (t Type) checkRow(nValues, nBytes int) error {
	if !t.Known() {
		return fmt.Errorf("%w: %v", ErrType, t)
	}
	want, ok := t.RowBytes(uint64(nValues))
	if !ok {
		return fmt.Errorf("%w: %d values of %v, whose blocks have %d", ErrLength, nValues, t, geometries[t].BlockSize)
	}
	if nBytes != want {
		return fmt.Errorf("%w: %d bytes for %d values of %v, want %d", ErrLength, nBytes, nValues, t, want)
	}
	return nil
}

// fp16 reads a little-endian binary16 from the first two bytes of b.
func fp16(b []byte) float32 { return half.ToFloat32(binary.LittleEndian.Uint16(b)) }
