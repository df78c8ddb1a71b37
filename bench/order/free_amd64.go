package main

import "kvasir/quant/kernel"

// column is a column of activations as the products with lanes of blocks read it.
type column struct {
	x []int8    // of every run of blocks the first 16 codes of each, then the last ones
	d []float32 // scales
	s []int32   // sums times a factor
}

// set takes blocks in runs of n: lane i of a vector of scales or sums stands for block(i) of the run, and each sum is there
// copies times.
func (c *column) set(x *kernel.Acts, n int, block func(lane int) int, copies int, factor int32) {
	q, d, s := x.Col32(0)
	c.x, c.d, c.s = kernel.Aligned[int8](len(q)), kernel.Aligned[float32](len(d)), kernel.Aligned[int32](copies*len(s))
	for b := range d {
		run, i := b/n*n, b%n
		copy(c.x[32*run+16*i:], q[32*b:32*b+16])
		copy(c.x[32*run+16*n+16*i:], q[32*b+16:32*b+32])
		c.d[b] = d[run+block(i)]
		for j := range copies {
			c.s[copies*b+j] = factor * s[run+block(i)]
		}
	}
}

// pairHalves puts, in runs of eight blocks, codes of blocks j and j+4 side by side.
func (c *column) pairHalves() {
	for half := 0; half < len(c.x); half += 128 {
		old := [128]int8(c.x[half:])
		for j := range 8 {
			copy(c.x[half+32*(j%4)+16*(j/4):], old[16*j:16*j+16])
		}
	}
}

// ahead is what to prefetch distance bytes on, when the next n bytes from at are in work.
func (m *matrix) ahead(at, n, distance int) *byte {
	if at += distance; at+n > len(m.w) {
		at = 0
	}
	return &m.w[at]
}

// laneAhead and tileAhead are how far the kernels ask ahead for one stream of rows, and for eight of them.
const (
	laneAhead = 8 << 10
	tileAhead = 2 * 8 * rowBytes
)

// laneRows is a product with lanes of blocks.
func (m *matrix) laneRows(name string, product func(dst *float32, w *byte, rows, nBlocks int, x *int8, d *float32, s *int32, ahead *byte), c *column) contestant {
	return contestant{name, func(lo, hi int) {
		for r := lo; r < hi; r += 16 {
			at := r * rowBytes
			product(&m.dst[r], &m.w[at], 16, nBlocks, &c.x[0], &c.d[0], &c.s[0], m.ahead(at, 16*rowBytes, laneAhead))
		}
	}}
}

// fusedRows is the kernel of eight rows with fused products and sums.
func (m *matrix) fusedRows() contestant {
	q, d, s := m.x.Col32(0)
	return contestant{"eight rows, fused", func(lo, hi int) {
		for r := lo; r < hi; r += 8 {
			at := r * rowBytes
			fusedMatVecQ4_0(&m.dst[r], &m.w[at], rowBytes, &q[0], &d[0], &s[0], nBlocks, m.ahead(at, 8*rowBytes, tileAhead), 8)
		}
	}}
}

// panelBlocks is the number of blocks of a panel, as the kernels have it.
const panelBlocks = 2048 / 32

// fusedMatrix is the kernel of panels of nRows rows and nCols columns with fused products and sums.
func (m *matrix) fusedMatrix(nRows, nCols int, unpack func(dst, w *byte, rowBytes, nBlocks int, ahead *byte),
	mul func(dst *float32, stride int, panel *byte, q *int8, d *float32, s *int32, k, nBlocks, first int)) contestant {
	panel := m.scratch.Bytes
	return contestant{"fused", func(lo, hi int) {
		for r := lo; r < hi; r += nRows {
			ahead := (r + nRows) % m.rows * rowBytes
			for b := 0; b < nBlocks; b += panelBlocks {
				for h := 0; h < nRows; h += 8 {
					unpack(&panel[4*h], &m.w[(r+h)*rowBytes+b*blockBytes], rowBytes, panelBlocks, &m.w[ahead])
					ahead += 8 * panelBlocks * blockBytes
				}
				first := 0
				if b == 0 {
					first = 1
				}
				for c := 0; c < m.nCols; c += nCols {
					at := c*nBlocks + b
					mul(&m.dst[c*m.rows+r], m.rows, &panel[0], &m.x.Q32[32*at], &m.x.D32[at], &m.x.S32[at], k, panelBlocks, first)
				}
			}
		}
	}}
}
