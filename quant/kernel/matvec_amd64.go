package kernel

import "kvasir/quant"

// eightRows multiplies eight rows that lie rowBytes apart with a column, stores the first lanes products and prefetches
// 8*rowBytes at ahead. One of the functions is set.
type eightRows struct {
	mul32  func(dst *float32, w *byte, rowBytes int, q *int8, d *float32, s *int32, nBlocks int, ahead *byte, lanes int)
	mul256 func(dst *float32, w *byte, rowBytes int, q *int8, d *float32, s *int16, nBlocks int, ahead *byte, lanes int)
}

// aheadBytes is how far ahead of the rows in work memory is asked for, at least: eight rows of a small model are over
// before their successors arrive.
const aheadBytes = 16 << 10

// tilesAhead is the distance at which n bytes at a time are asked for: whole tiles, and two at least. What a tile asks for
// is then all of another one, and has the time of a whole one to arrive.
func tilesAhead(n int) int { return n * max(2, (aheadBytes+n-1)/n) }

// matVec takes eight rows at a time. The last eight may overlap the ones before, with equal results; fewer than eight
// rows in all are taken one by one, as eight rows at distance 0.
func (f *eightRows) matVec(t quant.Type) MatVecFunc {
	geo := t.Geometry()
	return func(dst []float32, w []byte, x *Acts, col int, next []byte) {
		rowBytes := x.K / geo.BlockSize * geo.BlockBytes
		if rowBytes == 0 {
			clear(dst)
			return
		}
		w = w[:len(dst)*rowBytes]
		if len(dst) < 8 {
			for r := range dst {
				f.mul(&dst[r], &w[r*rowBytes], 0, x, col, &w[0], 1)
			}
			return
		}
		for r := 0; r < len(dst); r += 8 {
			ahead := aheadOf(w, next, r*rowBytes, 8*rowBytes, tilesAhead(8*rowBytes))
			r := min(r, len(dst)-8)
			f.mul(&dst[r], &w[r*rowBytes], rowBytes, x, col, ahead, 8)
		}
	}
}

func (f *eightRows) mul(dst *float32, w *byte, stride int, x *Acts, col int, ahead *byte, lanes int) {
	if f.mul32 != nil {
		q, d, s := x.Col32(col)
		f.mul32(dst, w, stride, &q[0], &d[0], &s[0], len(d), ahead, lanes)
		return
	}
	q, d, s := x.Col256(col)
	f.mul256(dst, w, stride, &q[0], &d[0], &s[0], len(d), ahead, lanes)
}
