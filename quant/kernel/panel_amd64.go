package kernel

import (
	"kvasir/quant"
)

// panelFormat is how a matrix product of one type goes through panels of decoded rows (_asm/panel.go).
type panelFormat struct {
	unpack       func(dst, w *byte, rowBytes, nBlocks int, ahead *byte) // decodes eight rows
	wide, narrow panelMul                                               // for many columns, and for four
}

// panelMul multiplies a panel with a number of columns; mul32 or mul256 is set.
type panelMul struct {
	cols   int
	mul32  func(dst *float32, stride int, panel *byte, q *int8, d *float32, s *int32, k, nBlocks, first int)
	mul256 func(dst *float32, stride int, panel *byte, q *int8, d *float32, s *int16, k, nBlocks, first int)
}

// panelK is the length of a panel: eight rows of it stay in the first cache while the columns pass.
const panelK = 2048

// recordBytes is the size of a block of a panel.
func recordBytes(rows int, shape quant.IntShape) int {
	n := rows * shape.BlockSize
	if shape.BlockSize == 256 {
		return n + 4*rows*(shape.Groups()+8+2)
	}
	if shape.HasMins {
		n += 4 * rows
	}
	return n + 4*rows
}

// matMul returns the product that takes panels of nRows rows, 8 or 16. What has fewer rows, or fewer than four columns,
// goes to small.
func (p *panelFormat) matMul(t quant.Type, nRows int, small MatMulFunc) MatMulFunc {
	geo := t.Geometry()
	shape, _ := t.IntShape()
	record := recordBytes(nRows, shape)
	blocks := panelK / shape.BlockSize // per panel
	return func(dst []float32, stride int, w []byte, rows int, x *Acts, col, nCols int, s *Scratch) {
		rowBytes := x.K / geo.BlockSize * geo.BlockBytes
		if rows < nRows || nCols < 4 || rowBytes == 0 {
			small(dst, stride, w, rows, x, col, nCols, s)
			return
		}
		w, dst = w[:rows*rowBytes], dst[:(nCols-1)*stride+rows]
		_, _, _ = x.partner(geo.Partner, col+nCols-1) // the columns exist
		panel, mem := cut[byte](s.Bytes, blocks*record)
		edge, _ := cut[float32](mem, 4*nRows)
		nBlocks := x.K / shape.BlockSize
		for r := 0; r < rows; r += nRows {
			ahead := 0 // where the next rows lie
			if r+nRows < rows {
				ahead = (r + nRows) * rowBytes
			}
			r := min(r, rows-nRows) // the last rows may be computed twice, with equal results
			for b := 0; b < nBlocks; b += blocks {
				n := min(blocks, nBlocks-b)
				for h := 0; h < nRows; h += 8 {
					p.unpack(&panel[4*h], &w[(r+h)*rowBytes+b*geo.BlockBytes], rowBytes, n, &w[min(ahead, len(w)-1)])
					ahead += 8 * n * geo.BlockBytes
				}
				c := 0
				for ; c+p.wide.cols <= nCols; c += p.wide.cols {
					p.wide.add(dst[c*stride+r:], stride, panel, x, col+c, b, n)
				}
				for ; c+4 <= nCols; c += 4 {
					p.narrow.add(dst[c*stride+r:], stride, panel, x, col+c, b, n)
				}
				if c < nCols { // four columns again, of which the last few are new
					for i := c; i < nCols; i++ {
						copy(edge[(i-nCols+4)*nRows:][:nRows], dst[i*stride+r:])
					}
					p.narrow.add(edge, nRows, panel, x, col+nCols-4, b, n)
					for i := c; i < nCols; i++ {
						copy(dst[i*stride+r:], edge[(i-nCols+4)*nRows:][:nRows])
					}
				}
			}
		}
	}
}

// add adds n blocks from block b to the products of the columns from c.
func (p *panelMul) add(dst []float32, stride int, panel []byte, x *Acts, c, b, n int) {
	first := 0
	if b == 0 {
		first = 1
	}
	if p.mul32 != nil {
		nb := x.K / 32
		p.mul32(&dst[0], stride, &panel[0], &x.Q32[c*x.K+b*32], &x.D32[c*nb+b], &x.S32[c*nb+b], x.K, n, first)
		return
	}
	nb := x.K / 256
	p.mul256(&dst[0], stride, &panel[0], &x.Q256[c*x.K+b*256], &x.D256[c*nb+b], &x.S256[(c*nb+b)*16], x.K, n, first)
}

// columnByColumn is the product for few rows or columns.
func columnByColumn(matVec MatVecFunc) MatMulFunc {
	return func(dst []float32, stride int, w []byte, rows int, x *Acts, col, nCols int, _ *Scratch) {
		for c := range nCols {
			matVec(dst[c*stride:c*stride+rows], w, x, col+c, nil)
		}
	}
}
