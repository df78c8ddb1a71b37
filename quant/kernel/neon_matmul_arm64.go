package kernel

import "kvasir/quant"

// panels multiplies one quantised weight type with many columns: 4 rows at a time are decoded to a panel in Scratch,
// which is then used for every column. What a panel looks like is between decode and mul.
type panels struct {
	typ        quant.Type
	blockBytes int // of a panel, per block of weights
	cols       int // the columns that mul takes at once

	// decode fills a panel from 1 to 4 packed rows.
	decode func(panel, w []byte, rows, blocks int)
	// mul computes dst[c*stride+r] for the rows of a panel and 1 to cols columns of x from col.
	mul func(dst []float32, stride, rows, cols int, panel []byte, x *Acts, col int)

	minBatch int        // the least number of columns for which decoding pays
	few      MatMulFunc // for fewer
}

// Panels that are worked on together, and the columns that go over them, should stay in a shared cache of 512 KiB.
const (
	panelGroupBytes  = 192 << 10
	columnGroupBytes = 96 << 10
)

// matMul makes the product.
func (p panels) matMul() MatMulFunc {
	g := p.typ.Geometry()
	return func(dst []float32, stride int, w []byte, rows int, x *Acts, col, nCols int, s *Scratch) {
		blocks := x.K / g.BlockSize
		rowBytes, size := blocks*g.BlockBytes, blocks*p.blockBytes
		if nCols < p.minBatch || blocks == 0 || size > len(s.Bytes) {
			p.few(dst, stride, w, rows, x, col, nCols, s)
			return
		}
		tiles := max(1, min(panelGroupBytes, len(s.Bytes))/size)
		group := max(1, columnGroupBytes/x.K/p.cols) * p.cols
		for r0 := 0; r0 < rows; r0 += 4 * tiles {
			r1 := min(rows, r0+4*tiles)
			for r := r0; r < r1; r += 4 {
				n := min(4, r1-r)
				p.decode(s.Bytes[(r-r0)/4*size:][:size], w[r*rowBytes:(r+n)*rowBytes], n, blocks)
			}
			for c0 := 0; c0 < nCols; c0 += group {
				c1 := min(nCols, c0+group)
				for r := r0; r < r1; r += 4 {
					panel := s.Bytes[(r-r0)/4*size:][:size]
					for c := c0; c < c1; c += p.cols {
						p.mul(dst[c*stride+r:], stride, min(4, r1-r), min(p.cols, c1-c), panel, x, col+c)
					}
				}
			}
		}
	}
}

// hasMins is 1 if the type has minima, for assembly.
func hasMins(t quant.Type) int {
	if shape, _ := t.IntShape(); shape.HasMins {
		return 1
	}
	return 0
}
