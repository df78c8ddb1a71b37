package kernel

import (
	"encoding/binary"
	"math"

	"kvasir/quant"
)

// Matrix products of quantised types work on panels: 4 rows, decoded once to int8 in Scratch and used for every column.
// The layouts are drawn in neon_panel32_arm64.s and neon_panel256_arm64.s.
const (
	panelBlock32  = 144
	panelBlock256 = 1440
)

// unpackFunc decodes a row of packed weights to one of the 4 lanes of a panel.
type unpackFunc func(panel, row *byte, blocks, lane int)

// mul32Func multiplies a panel of blocks of 32 with two columns, see neonMulWide32.
type mul32Func func(dst0, dst1 *float32, rows int, panel *byte, blocks int, q0, q1 *int8, d0, d1 *float32)

// mul256Func multiplies a panel of blocks of 256 with two columns, see neonMul256.
type mul256Func func(dst0, dst1 *float32, rows int, panel *byte, blocks int, q0, q1 *int8, d0, d1 *float32, s0, s1 *int16, mins int)

// panels is a way to multiply one weight type.
type panels struct {
	typ      quant.Type
	unpack   unpackFunc // nil: by quant.Type.Ints
	mul32    mul32Func  // for types of 32 values per block
	mul256   mul256Func // for types of 256
	few      MatVecFunc // for so few columns that decoding does not pay
	minBatch int        // the least number of columns that is not few
}

// Panels that are worked on together, and the columns that go over them, should stay in a shared cache of 512 KiB.
const (
	panelGroupBytes  = 192 << 10
	columnGroupBytes = 96 << 10
)

// matMul makes the product.
func (p panels) matMul() MatMulFunc {
	return func(dst []float32, stride int, w []byte, rows int, x *Acts, col, nCols int, s *Scratch) {
		g := p.typ.Geometry()
		blocks := x.K / g.BlockSize
		size := blocks * panelBlock32
		if p.mul256 != nil {
			size = blocks * panelBlock256
		}
		if nCols < p.minBatch || blocks == 0 || size > len(s.Bytes) {
			for c := range nCols {
				p.few(dst[c*stride:c*stride+rows], w, x, col+c, nil)
			}
			return
		}
		tiles := max(1, min(panelGroupBytes, len(s.Bytes))/size)
		cols := max(1, columnGroupBytes/x.K/2) * 2
		for r0 := 0; r0 < rows; r0 += 4 * tiles {
			r1 := min(rows, r0+4*tiles)
			for r := r0; r < r1; r++ {
				i := r - r0
				p.decode(s.Bytes[i/4*size:(i/4+1)*size], w[r*blocks*g.BlockBytes:(r+1)*blocks*g.BlockBytes], i%4)
			}
			for c0 := 0; c0 < nCols; c0 += cols {
				c1 := min(nCols, c0+cols)
				for r := r0; r < r1; r += 4 {
					panel := &s.Bytes[(r-r0)/4*size]
					for c := c0; c < c1; c += 2 {
						other := min(c+1, c1-1) // the last column of an odd number twice
						d0, d1 := dst[c*stride+r:], dst[other*stride+r:]
						p.pair(d0, d1, min(4, r1-r), panel, x, col+c, col+other)
					}
				}
			}
		}
	}
}

// pair multiplies one panel with columns a and b of x.
func (p panels) pair(dst0, dst1 []float32, rows int, panel *byte, x *Acts, a, b int) {
	dst0, dst1 = dst0[:rows], dst1[:rows]
	if p.mul256 == nil {
		q0, d0, _ := x.Col32(a)
		q1, d1, _ := x.Col32(b)
		p.mul32(&dst0[0], &dst1[0], rows, panel, x.K/32, &q0[0], &q1[0], &d0[0], &d1[0])
		return
	}
	mins := 0
	if shape, _ := p.typ.IntShape(); shape.HasMins {
		mins = 1
	}
	q0, d0, s0 := x.Col256(a)
	q1, d1, s1 := x.Col256(b)
	p.mul256(&dst0[0], &dst1[0], rows, panel, x.K/256, &q0[0], &q1[0], &d0[0], &d1[0], &s0[0], &s1[0], mins)
}

// decode writes one row to its lane of a panel.
func (p panels) decode(panel, row []byte, lane int) {
	g := p.typ.Geometry()
	blocks := len(row) / g.BlockBytes
	if p.unpack != nil {
		p.unpack(&panel[0], &row[0], blocks, lane)
		return
	}
	var b quant.Ints
	for i := range blocks {
		p.typ.Ints(&b, row[i*g.BlockBytes:(i+1)*g.BlockBytes])
		if p.mul256 == nil {
			panelWrite32(panel[i*panelBlock32:(i+1)*panelBlock32], &b, lane)
		} else {
			shape, _ := p.typ.IntShape()
			panelWrite256(panel[i*panelBlock256:(i+1)*panelBlock256], &b, shape.GroupSize, lane)
		}
	}
}

// panelWrite32 stores a block of 32 values.
func panelWrite32(panel []byte, b *quant.Ints, lane int) {
	for i, v := range b.Q[:32] {
		panel[32*lane+i] = byte(v)
	}
	binary.LittleEndian.PutUint32(panel[128+4*lane:], math.Float32bits(b.D))
}

// panelWrite256 stores a block of 256 values as 16 groups of 16.
func panelWrite256(panel []byte, b *quant.Ints, groupSize, lane int) {
	for i, v := range b.Q[:] {
		panel[i/64*320+80*lane+i%64] = byte(v)
	}
	for g := range 16 {
		scale, low := uint16(b.Scale[g*16/groupSize]), uint16(b.Min[g*16/groupSize])
		at := g/4*320 + 80*lane + 64 + g%4*4
		binary.LittleEndian.PutUint16(panel[at:], scale)
		binary.LittleEndian.PutUint16(panel[at+2:], scale)
		binary.LittleEndian.PutUint16(panel[1280+32*lane+2*g:], low)
	}
	binary.LittleEndian.PutUint32(panel[1408+4*lane:], math.Float32bits(b.D))
	binary.LittleEndian.PutUint32(panel[1424+4*lane:], math.Float32bits(b.DMin))
}
