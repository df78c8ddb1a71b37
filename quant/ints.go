package quant

import "fmt"

// Ints is one block in integers. For i < BlockSize and g = i/GroupSize (see IntShape) the value is
//
//	value[i] = D*Scale[g]*Q[i] + DMin*Min[g]
//
// Kernels define their exact integer products on this form. Entries past the block's values and groups are not
// written by Type.Ints.
type Ints struct {
	Q     [256]int8
	Scale [16]int16 // per group; 1 where the format has no group scales
	Min   [16]int16 // per group; 0 where the format has no minima
	D     float32   // scale of the block: exactly the stored fp16 (MXFP4: E8M0, halved) as float32
	DMin  float32   // scale of the minima with its sign: -dmin of Q2_K, Q4_K, Q5_K; m of Q4_1, Q5_1 (Min is 1); else 0
}

// IntShape is the part of the integer form that is the same for all blocks of a type.
type IntShape struct {
	BlockSize int  // values per block, 32 or 256
	GroupSize int  // values that share one Scale and one Min: 16 or 32
	HasScales bool // false: every Scale is 1
	HasMins   bool // false: every Min is 0
}

// Groups returns the groups of a block: 1, 8 or 16.
func (s IntShape) Groups() int { return s.BlockSize / s.GroupSize }

// block is what tells one integer format from another. The bounds of Q hold for every bit pattern of a block, not
// only for what an encoder writes.
type block struct {
	unpack     func(dst *Ints, b []byte)
	shape      IntShape
	qMin, qMax int8
	scaleMax   int // of |Scale|
	minMax     int // of |Min|
}

var blocks = [NTypes]block{
	Q4_0:   {unpackQ4_0, IntShape{32, 32, false, false}, -8, 7, 1, 0},
	Q4_1:   {unpackQ4_1, IntShape{32, 32, false, true}, 0, 15, 1, 1},
	Q5_0:   {unpackQ5_0, IntShape{32, 32, false, false}, -16, 15, 1, 0},
	Q5_1:   {unpackQ5_1, IntShape{32, 32, false, true}, 0, 31, 1, 1},
	Q8_0:   {unpackQ8_0, IntShape{32, 32, false, false}, -128, 127, 1, 0},
	IQ4_NL: {unpackIQ4NL, IntShape{32, 32, false, false}, -127, 113, 1, 0},
	MXFP4:  {unpackMXFP4, IntShape{32, 32, false, false}, -12, 12, 1, 0},
	Q2_K:   {unpackQ2K, IntShape{256, 16, true, true}, 0, 3, 15, 15},
	Q3_K:   {unpackQ3K, IntShape{256, 16, true, false}, -4, 3, 32, 0},
	Q4_K:   {unpackQ4K, IntShape{256, 32, true, true}, 0, 15, 63, 63},
	Q5_K:   {unpackQ5K, IntShape{256, 32, true, true}, 0, 31, 63, 63},
	Q6_K:   {unpackQ6K, IntShape{256, 16, true, false}, -32, 31, 128, 0},
	IQ4_XS: {unpackIQ4XS, IntShape{256, 32, true, false}, -127, 113, 32, 0},
	TQ1_0:  {unpackTQ1, IntShape{256, 32, false, false}, -1, 1, 1, 0},
	TQ2_0:  {unpackTQ2, IntShape{256, 32, false, false}, -1, 2, 1, 0},
}

// IntShape returns the shape of t's integer form; false for the types that have none (F32, F16, BF16, unknown).
func (t Type) IntShape() (IntShape, bool) {
	if t >= NTypes || blocks[t].unpack == nil {
		return IntShape{}, false
	}
	return blocks[t].shape, true
}

// Ints unpacks one block, which has exactly BlockBytes bytes, into dst. Every bit pattern is a valid block. It panics
// on a caller's mistake: a type without an integer form, or another number of bytes.
func (t Type) Ints(dst *Ints, b []byte) {
	shape, ok := t.IntShape()
	if !ok || len(b) != geometries[t].BlockBytes {
		panic(fmt.Sprintf("quant: Ints of %v from %d bytes", t, len(b)))
	}
	blocks[t].unpack(dst, b)
	if !shape.HasScales {
		for g := range shape.Groups() {
			dst.Scale[g] = 1
		}
	}
	if !shape.HasMins {
		clear(dst.Min[:shape.Groups()])
		dst.DMin = 0
	}
}
