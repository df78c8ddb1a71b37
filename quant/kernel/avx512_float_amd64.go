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
