package kernel

import "kvasir/quant"

// avx2FloatMatVec takes four rows at a time, with their ends as in avx2IntMatVec.
func avx2FloatMatVec(t quant.Type) MatVecFunc {
	return func(dst []float32, w []byte, x *Acts, col int, next []byte) {
		avx2FloatRows(t, dst, 0, w, len(dst), x, col, 1, next)
	}
}

// avx2FloatMatMul takes every four rows through all columns while they are in the cache.
func avx2FloatMatMul(t quant.Type) MatMulFunc {
	return func(dst []float32, stride int, w []byte, rows int, x *Acts, col, nCols int, _ *Scratch) {
		avx2FloatRows(t, dst, stride, w, rows, x, col, nCols, nil)
	}
}

func avx2FloatRows(t quant.Type, dst []float32, stride int, w []byte, rows int, x *Acts, col, nCols int, next []byte) {
	size := t.Geometry().BlockBytes
	rowBytes := x.K * size
	w = w[:rows*rowBytes]
	n, step := x.K/16, rowBytes
	if rows < 4 {
		step = 0
	}
	var acc [4]lanes
	for r := 0; r < rows; r++ {
		tile := 1
		if step > 0 {
			r, tile = min(r, rows-4), 4
		}
		part := w[r*rowBytes:]
		ahead := next
		if len(part) >= 8*rowBytes {
			ahead = part[4*rowBytes:]
		}
		for c := range nCols {
			v := x.F[(col+c)*x.K : (col+c+1)*x.K]
			if c > 0 || len(ahead) == 0 {
				ahead = part
			}
			acc = [4]lanes{}
			if n > 0 {
				switch t {
				case quant.F32:
					avx2LanesF32(&acc[0][0], &part[0], step, &v[0], n, &ahead[0])
				case quant.F16:
					avx2LanesF16(&acc[0][0], &part[0], step, &v[0], n, &ahead[0])
				case quant.BF16:
					avx2LanesBF16(&acc[0][0], &part[0], step, &v[0], n, &ahead[0])
				}
			}
			for j := range tile {
				if n*16 < x.K {
					addEnd(t, &acc[j], part[j*rowBytes+n*16*size:], v[n*16:])
				}
				dst[c*stride+r+j] = acc[j].sum()
			}
		}
		r += tile - 1
	}
}

// addEnd adds fewer than 16 products to the lanes.
func addEnd(t quant.Type, acc *lanes, w []byte, x []float32) {
	var buf [16]float32
	part := buf[:len(x)]
	decodeFloats(t, part, w)
	acc.add(part, x)
}
