package kernel

import (
	"encoding/binary"
	"math"

	"kvasir/quant"
)

// The panels of plain NEON, drawn in neon_panel32_arm64.s and neon_panel256_arm64.s: each row's values in order.
const (
	linearBlock32  = 144
	linearBlock256 = 1440
)

// unpackFunc decodes a row of packed weights to one of the 4 lanes of a panel.
type unpackFunc func(panel, row *byte, blocks, lane int)

// linear32 makes the panels of a type of 32 values per block. unpack may be nil.
func linear32(
	t quant.Type, minBatch int, unpack unpackFunc,
	mul func(dst0, dst1 *float32, rows int, panel *byte, blocks int, q0, q1 *int8, d0, d1 *float32),
) panels {
	return panels{
		typ: t, blockBytes: linearBlock32, cols: 2, minBatch: minBatch,
		decode: linearDecode(t, unpack),
		mul: func(dst []float32, stride, rows, cols int, panel []byte, x *Acts, col int) {
			q0, d0, _ := x.Col32(col)
			q1, d1, _ := x.Col32(col + cols - 1) // a single column twice
			dst0, dst1 := dst[:rows], dst[(cols-1)*stride:][:rows]
			mul(&dst0[0], &dst1[0], rows, &panel[0], len(d0), &q0[0], &q1[0], &d0[0], &d1[0])
		},
	}
}

// linear256 makes the panels of a type of 256 values per block, which must lie in [-32, 32].
func linear256(t quant.Type, minBatch int, unpack unpackFunc) panels {
	mins := hasMins(t)
	return panels{
		typ: t, blockBytes: linearBlock256, cols: 2, minBatch: minBatch,
		decode: linearDecode(t, unpack),
		mul: func(dst []float32, stride, rows, cols int, panel []byte, x *Acts, col int) {
			q0, d0, s0 := x.Col256(col)
			q1, d1, s1 := x.Col256(col + cols - 1)
			dst0, dst1 := dst[:rows], dst[(cols-1)*stride:][:rows]
			neonMul256(&dst0[0], &dst1[0], rows, &panel[0], len(d0), &q0[0], &q1[0], &d0[0], &d1[0], &s0[0], &s1[0], mins)
		},
	}
}

// linearDecode decodes row by row with unpack, or without it block by block with package quant.
func linearDecode(t quant.Type, unpack unpackFunc) func(panel, w []byte, rows, blocks int) {
	size := t.Geometry().BlockBytes
	shape, _ := t.IntShape()
	return func(panel, w []byte, rows, blocks int) {
		w = w[:rows*blocks*size]
		if unpack != nil {
			for r := range rows {
				unpack(&panel[0], &w[r*blocks*size], blocks, r)
			}
			return
		}
		b := intsPool.Get().(*quant.Ints)
		part := len(panel) / blocks
		for i := range rows * blocks {
			t.Ints(b, w[i*size:(i+1)*size])
			at := i % blocks * part
			linearWrite(panel[at:at+part], b, shape, i/blocks)
		}
		intsPool.Put(b)
	}
}

func linearWrite(block []byte, b *quant.Ints, shape quant.IntShape, lane int) {
	if shape.BlockSize == 256 {
		linearWrite256(block, b, shape, lane)
	} else {
		linearWrite32(block, b, lane)
	}
}

func linearWrite32(block []byte, b *quant.Ints, lane int) {
	for i, v := range b.Q[:32] {
		block[32*lane+i] = byte(v)
	}
	putFloat(block[128+4*lane:], b.D)
}

// linearWrite256 stores a block of 256 values as 16 groups of 16.
func linearWrite256(block []byte, b *quant.Ints, shape quant.IntShape, lane int) {
	for i, v := range b.Q[:] {
		block[i/64*320+80*lane+i%64] = byte(v)
	}
	for g := range 16 {
		scale, low := uint16(b.Scale[g*16/shape.GroupSize]), uint16(b.Min[g*16/shape.GroupSize])
		at := g/4*320 + 80*lane + 64 + g%4*4
		binary.LittleEndian.PutUint16(block[at:], scale)
		binary.LittleEndian.PutUint16(block[at+2:], scale)
		binary.LittleEndian.PutUint16(block[1280+32*lane+2*g:], low)
	}
	putFloat(block[1408+4*lane:], b.D)
	putFloat(block[1424+4*lane:], b.DMin)
}

func putFloat(b []byte, f float32) { binary.LittleEndian.PutUint32(b, math.Float32bits(f)) }
