package kernel

import (
	"unsafe"

	"kvasir/quant"
)

// rowsFunc computes dst[r] for the 1 to 4 rows of a tile: w is the first row, stride the bytes from row to row. q, d
// and s are an activation column (s is *int32 or *int16, NUMERICS §2); pf is where the bytes begin that come next.
type rowsFunc func(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)

// neonMatVec makes the product of type t from tiles of 4 rows.
func neonMatVec(t quant.Type, tile rowsFunc) MatVecFunc {
	g := t.Geometry()
	return func(dst []float32, w []byte, x *Acts, col int, next []byte) {
		blocks := x.K / g.BlockSize
		if blocks == 0 {
			clear(dst)
			return
		}
		rowBytes := blocks * g.BlockBytes
		w = w[:len(dst)*rowBytes]
		q, d, s := x.column(g.Partner, col)
		for r := 0; r < len(dst); r += 4 {
			at := w[r*rowBytes:]
			pf := &at[0]
			if len(at) > 4*rowBytes {
				pf = &at[4*rowBytes]
			} else if len(next) > 0 {
				pf = &next[0]
			}
			tile(&dst[r], min(4, len(dst)-r), &at[0], rowBytes, blocks, q, d, s, unsafe.Pointer(pf))
		}
	}
}

// column returns where column c lies in the form p, which must have at least one block.
func (a *Acts) column(p quant.Partner, c int) (q *int8, d *float32, s unsafe.Pointer) {
	if p == quant.Partner256 {
		qs, ds, ss := a.Col256(c)
		return &qs[0], &ds[0], unsafe.Pointer(&ss[0])
	}
	qs, ds, ss := a.Col32(c)
	return &qs[0], &ds[0], unsafe.Pointer(&ss[0])
}

// floatRowsFunc computes the products of 1 to 4 rows of k values with x, see neonF32Rows.
type floatRowsFunc func(dst *float32, rows int, w *byte, stride, k int, x *float32, pf unsafe.Pointer)

// neonFloatMatVec makes the product of a float type.
func neonFloatMatVec(t quant.Type, tile floatRowsFunc) MatVecFunc {
	size := t.Geometry().BlockBytes
	return func(dst []float32, w []byte, x *Acts, col int, next []byte) {
		if x.K == 0 {
			clear(dst)
			return
		}
		rowBytes := x.K * size
		w = w[:len(dst)*rowBytes]
		f := x.F[col*x.K : (col+1)*x.K]
		for r := 0; r < len(dst); r += 4 {
			at := w[r*rowBytes:]
			pf := &at[0]
			if len(at) > 4*rowBytes {
				pf = &at[4*rowBytes]
			} else if len(next) > 0 {
				pf = &next[0]
			}
			tile(&dst[r], min(4, len(dst)-r), &at[0], rowBytes, x.K, &f[0], unsafe.Pointer(pf))
		}
	}
}

// byColumns makes the matrix product of a type from its matrix-vector product: four rows, which stay in cache, with
// every column.
func byColumns(t quant.Type, matVec MatVecFunc) MatMulFunc {
	g := t.Geometry()
	return func(dst []float32, stride int, w []byte, rows int, x *Acts, col, nCols int, _ *Scratch) {
		rowBytes := x.K / g.BlockSize * g.BlockBytes
		for r := 0; r < rows; r += 4 {
			end := min(rows, r+4)
			for c := range nCols {
				matVec(dst[c*stride+r:c*stride+end], w[r*rowBytes:end*rowBytes], x, col+c, w[end*rowBytes:rows*rowBytes])
			}
		}
	}
}

// The tables that neon_matveciq4_arm64.s loads.
var (
	neonIQ4Values   = quant.IQ4Values
	neonMXFP4Values = quant.MXFP4Values
)
