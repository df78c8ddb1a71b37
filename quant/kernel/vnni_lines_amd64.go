package kernel

import "kvasir/quant"

// lineRows is the number of rows that the kernel of lines takes at a time, and lineBlocks32 that of blocks in a step. Rows are
// of at least so many blocks and at most of maxLineBlocks32: for longer ones the intermediate products would leave the
// first cache.
const (
	lineRows        = 16
	lineBlocks32    = 16
	maxLineBlocks32 = 128

	// lineAheadBytes is how far ahead of the one stream of bytes memory is asked: what the processor's own prefetching
	// stops short of at the end of a page.
	lineAheadBytes = 8 << 10
)

// matVecLinesQ4_0 takes lineRows rows at a time in the order of memory; rows that are too short or too long for that, and
// fewer of them, are left to other. The last rows may overlap the ones before, with equal results.
func matVecLinesQ4_0(other MatVecFunc) MatVecFunc {
	geo := quant.Q4_0.Geometry()
	return func(dst []float32, w []byte, x *Acts, col int, next []byte) {
		nBlocks := x.K / geo.BlockSize
		if nBlocks < lineBlocks32 || nBlocks > maxLineBlocks32 || len(dst) < lineRows {
			other(dst, w, x, col, next)
			return
		}
		rowBytes := nBlocks * geo.BlockBytes
		w = w[:len(dst)*rowBytes]
		var c lineColumn32
		c.set(x, col)
		for r := 0; r < len(dst); r += lineRows {
			ahead := aheadOf(w, next, r*rowBytes, lineRows*rowBytes, lineAheadBytes)
			r := min(r, len(dst)-lineRows)
			vnniLinesQ4_0(&dst[r], &w[r*rowBytes], &c.first[0], &c.last[0], &c.d[0], &c.s[0], nBlocks, ahead)
		}
	}
}

// aheadOf is what to prefetch while n bytes at w[at] are in work: the n bytes that come distance after them in w and then
// next, or w's first where nothing is left to fetch.
func aheadOf(w, next []byte, at, n, distance int) *byte {
	if at += distance; at+n <= len(w) {
		return &w[at]
	} else if at = max(at-len(w), 0); at+n <= len(next) {
		return &next[at]
	}
	return &w[0]
}

// lineColumn32 is a column in the Partner32 form as the kernel of lines reads it: the first and the last half of every
// block's codes apart, and behind the last block the first ones again, so that a step may begin anywhere.
type lineColumn32 struct {
	first, last [(maxLineBlocks32 + lineBlocks32) * 16]int8
	d           [maxLineBlocks32 + lineBlocks32]float32
	s           [maxLineBlocks32 + lineBlocks32]int32
}

func (c *lineColumn32) set(x *Acts, col int) {
	q, d, s := x.Col32(col)
	n := len(d)
	for b := range n {
		block := (*[32]int8)(q[32*b:])
		*(*[16]int8)(c.first[16*b:]) = [16]int8(block[:16])
		*(*[16]int8)(c.last[16*b:]) = [16]int8(block[16:])
	}
	copy(c.d[:], d)
	copy(c.s[:], s)
	copy(c.first[16*n:], c.first[:16*lineBlocks32])
	copy(c.last[16*n:], c.last[:16*lineBlocks32])
	copy(c.d[n:], d[:lineBlocks32])
	copy(c.s[n:], s[:lineBlocks32])
}
