package kernel

import (
	"encoding/binary"

	"kvasir/quant"
)

// The panels of FEAT_DotProd and FEAT_I8MM, drawn in panel_arm64.h: four rows woven by 4 or by 8 values.
const (
	wovenBlock32    = 144
	wovenBlock32m   = 160  // with minima
	wovenBlock256   = 1440 // groups of 16
	wovenBlock256by = 1248 // groups of 32
)

// unpackRowsFunc decodes 1 to 4 rows of packed weights to a panel.
type unpackRowsFunc func(panel *byte, rows int, w *byte, stride, blocks int)

// weave is a way to weave and to multiply panels.
type weave struct {
	values int // of one row in a run
	mul32  func(dst *float32, stride, rows, cols int, panel *byte, blocks int, q *int8, k int, d *float32, s *int32, mins int)
	// mul256 is for groups of 16, mul256x for groups of 32.
	mul256, mul256x func(dst *float32, stride, rows, cols int, panel *byte, blocks int, q *int8, k int, d *float32, s *int16, mins int)
}

// all makes the panels of every quantised type; what unpack does not decode package quant does,
// which is slow and, unless the matrix-vector product is no faster, pays for many columns only.
func (v weave) all(unpack map[quant.Type]unpackRowsFunc) (ps []panels) {
	for _, t := range quant.Types() {
		minBatch := 48
		switch {
		case unpack[t] != nil:
			minBatch = 4
		case t == quant.TQ1_0:
			minBatch = 2
		}
		switch shape, ok := t.IntShape(); {
		case ok && shape.BlockSize == 256:
			ps = append(ps, v.woven256(t, minBatch, unpack[t]))
		case ok:
			ps = append(ps, v.woven32(t, minBatch, unpack[t]))
		}
	}
	return ps
}

// woven32 makes the panels of a type of 32 values per block. unpack may be nil.
func (v weave) woven32(t quant.Type, minBatch int, unpack unpackRowsFunc) panels {
	mins, size := hasMins(t), wovenBlock32
	if mins != 0 {
		size = wovenBlock32m
	}
	return panels{
		typ: t, blockBytes: size, cols: 4, minBatch: minBatch,
		decode: v.decode(t, unpack),
		mul: func(dst []float32, stride, rows, cols int, panel []byte, x *Acts, col int) {
			q, d, s := x.Col32(col)
			_ = x.Q32[(col+cols)*x.K-1]
			dst = dst[:(cols-1)*stride+rows]
			v.mul32(&dst[0], stride, rows, cols, &panel[0], len(d), &q[0], x.K, &d[0], &s[0], mins)
		},
	}
}

// woven256 makes the panels of a type of 256 values per block. unpack may be nil.
func (v weave) woven256(t quant.Type, minBatch int, unpack unpackRowsFunc) panels {
	mins := hasMins(t)
	mul, size := v.mul256, wovenBlock256
	if shape, _ := t.IntShape(); shape.GroupSize == 32 {
		mul, size = v.mul256x, wovenBlock256by
	}
	return panels{
		typ: t, blockBytes: size, cols: 4, minBatch: minBatch,
		decode: v.decode(t, unpack),
		mul: func(dst []float32, stride, rows, cols int, panel []byte, x *Acts, col int) {
			q, d, s := x.Col256(col)
			_ = x.Q256[(col+cols)*x.K-1]
			dst = dst[:(cols-1)*stride+rows]
			mul(&dst[0], stride, rows, cols, &panel[0], len(d), &q[0], x.K, &d[0], &s[0], mins)
		},
	}
}

// decode decodes with unpack, or without it block by block with package quant.
func (v weave) decode(t quant.Type, unpack unpackRowsFunc) func(panel, w []byte, rows, blocks int) {
	size := t.Geometry().BlockBytes
	shape, _ := t.IntShape()
	return func(panel, w []byte, rows, blocks int) {
		stride := blocks * size
		w = w[:rows*stride]
		if unpack != nil {
			unpack(&panel[0], rows, &w[0], stride, blocks)
			return
		}
		b := intsPool.Get().(*quant.Ints)
		part := len(panel) / blocks
		for i := range rows * blocks {
			t.Ints(b, w[i*size:(i+1)*size])
			at := i % blocks * part
			v.write(panel[at:at+part], b, shape, i/blocks)
		}
		intsPool.Put(b)
	}
}

func (v weave) write(block []byte, b *quant.Ints, shape quant.IntShape, lane int) {
	if shape.BlockSize == 256 {
		v.write256(block, b, shape, lane)
	} else {
		v.write32(block, b, lane)
	}
}

func (v weave) write32(block []byte, b *quant.Ints, lane int) {
	v.place(block, b.Q[:32], lane)
	putFloat(block[128+4*lane:], b.D)
	if len(block) == wovenBlock32m {
		putFloat(block[144+4*lane:], b.DMin)
	}
}

// place writes values of one row to woven vectors.
func (v weave) place(dst []byte, q []int8, lane int) {
	for i, b := range q {
		dst[(4*(i/v.values)+lane)*v.values+i%v.values] = byte(b)
	}
}

func (v weave) write256(block []byte, b *quant.Ints, shape quant.IntShape, lane int) {
	n := shape.GroupSize
	groups := 256 / n
	size := 4*n + 16
	for g := range groups {
		v.place(block[g*size:], b.Q[g*n:(g+1)*n], lane)
		binary.LittleEndian.PutUint32(block[g*size+4*n+4*lane:], uint32(int32(b.Scale[g])))
		binary.LittleEndian.PutUint16(block[groups*size+8*g+2*lane:], uint16(b.Min[g]))
	}
	putFloat(block[groups*(size+8)+4*lane:], b.D)
	putFloat(block[groups*(size+8)+16+4*lane:], b.DMin)
}
