package kernel

import "kvasir/quant"

// avx512FloatMatMul takes four rows by four columns at a time; the last ones may overlap, with equal results. What has
// fewer rows or columns goes to small.
func avx512FloatMatMul(t quant.Type, small MatMulFunc) MatMulFunc {
	mul := map[quant.Type]func(dst *float32, stride int, w *byte, rowBytes int, x *float32, xBytes, n, rest int){
		quant.F32: avx512MulF32, quant.F16: avx512MulF16, quant.BF16: avx512MulBF16,
	}[t]
	size := t.Geometry().BlockBytes
	return func(dst []float32, stride int, w []byte, rows int, x *Acts, col, nCols int, s *Scratch) {
		if rows < 4 || nCols < 4 || x.K == 0 {
			small(dst, stride, w, rows, x, col, nCols, s)
			return
		}
		rowBytes := x.K * size
		w, dst = w[:rows*rowBytes], dst[:(nCols-1)*stride+rows]
		v := x.F[col*x.K : (col+nCols)*x.K]
		for r := 0; r < rows; r += 4 {
			r := min(r, rows-4)
			for c := 0; c < nCols; c += 4 {
				c := min(c, nCols-4)
				mul(&dst[c*stride+r], stride, &w[r*rowBytes], rowBytes, &v[c*x.K], 4*x.K, x.K/16, x.K%16)
			}
		}
	}
}

// avx512FloatMatVec takes four rows at a time; the last ones may overlap, with equal results. Fewer than four go to other.
func avx512FloatMatVec(t quant.Type, other MatVecFunc) MatVecFunc {
	mul := map[quant.Type]func(dst *float32, w *byte, rowBytes int, x *float32, n, rest int, ahead *byte){
		quant.F32: avx512RowsF32, quant.F16: avx512RowsF16, quant.BF16: avx512RowsBF16,
	}[t]
	size := t.Geometry().BlockBytes
	return func(dst []float32, w []byte, x *Acts, col int, next []byte) {
		if len(dst) < 4 || x.K == 0 {
			other(dst, w, x, col, next)
			return
		}
		rowBytes := x.K * size
		w = w[:len(dst)*rowBytes]
		v := x.F[col*x.K : (col+1)*x.K]
		for r := 0; r < len(dst); r += 4 {
			ahead := aheadOf(w, next, r*rowBytes, 4*rowBytes, tilesAhead(4*rowBytes))
			r := min(r, len(dst)-4)
			mul(&dst[r], &w[r*rowBytes], rowBytes, &v[0], x.K/16, x.K%16, ahead)
		}
	}
}
