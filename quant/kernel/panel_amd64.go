package kernel

import (
	"kvasir/quant"
)

// panelFormat is how a matrix product of one type goes through panels of decoded rows (_asm/panel.go): unpack decodes
// eight rows, mul32 or mul256 multiplies a panel with four columns.
type panelFormat struct {
	unpack func(dst, w *byte, rowBytes, nBlocks int)
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

// matMul returns the product of 8 rows by 4 columns at a time. Fewer rows than eight, and fewer columns than few, go
// through matVec.
func (p panelFormat) matMul(t quant.Type, matVec MatVecFunc, few int) MatMulFunc {
	geo := t.Geometry()
	shape, _ := t.IntShape()
	record := recordBytes(8, shape)
	blocks := panelK / shape.BlockSize // per panel
	return func(dst []float32, stride int, w []byte, rows int, x *Acts, col, nCols int, s *Scratch) {
		rowBytes := x.K / geo.BlockSize * geo.BlockBytes
		if rows < 8 || nCols < max(few, 4) || rowBytes == 0 {
			for c := range nCols {
				matVec(dst[c*stride:c*stride+rows], w, x, col+c, nil)
			}
			return
		}
		w, dst = w[:rows*rowBytes], dst[:(nCols-1)*stride+rows]
		panel, mem := cut[byte](s.Bytes, blocks*record)
		edge, _ := cut[float32](mem, 4*8)
		nBlocks := x.K / shape.BlockSize
		for r := 0; r < rows; r += 8 {
			r := min(r, rows-8) // the last rows may be computed twice, with equal results
			for b := 0; b < nBlocks; b += blocks {
				n := min(blocks, nBlocks-b)
				p.unpack(&panel[0], &w[r*rowBytes+b*geo.BlockBytes], rowBytes, n)
				for c := 0; c+4 <= nCols; c += 4 {
					p.mul(dst[c*stride+r:], stride, panel, x, col+c, b, n)
				}
				if over := nCols % 4; over > 0 { // four columns again, of which the last few are new
					for i := range over {
						copy(edge[(4-over+i)*8:][:8], dst[(nCols-over+i)*stride+r:])
					}
					p.mul(edge, 8, panel, x, col+nCols-4, b, n)
					for i := range over {
						copy(dst[(nCols-over+i)*stride+r:], edge[(4-over+i)*8:][:8])
					}
				}
			}
		}
	}
}

// mul adds n blocks from block b to four columns from c.
func (p *panelFormat) mul(dst []float32, stride int, panel []byte, x *Acts, c, b, n int) {
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
