package kernel

import "kvasir/quant"

// lineRows is the number of rows that the kernels of lines take at a time, and lineBlocks32 and lineBlocks256 that of
// blocks in a step. Rows are of at least so many blocks and at most of maxLineBlocks32 or maxLineBlocks256: for longer
// ones a kernel's intermediate products would leave the first cache.
const (
	lineRows         = 16
	lineBlocks32     = 16
	lineBlocks256    = 8
	maxLineBlocks32  = 128
	maxLineBlocks256 = 32

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

// matVecLinesQ4_K is matVecLinesQ4_0 for Q4_K.
func matVecLinesQ4_K(other MatVecFunc) MatVecFunc {
	return func(dst []float32, w []byte, x *Acts, col int, next []byte) {
		nBlocks := x.K / 256
		if nBlocks < lineBlocks256 || nBlocks > maxLineBlocks256 || len(dst) < lineRows {
			other(dst, w, x, col, next)
			return
		}
		rowBytes := nBlocks * quant.Q4_K.Geometry().BlockBytes
		w = w[:len(dst)*rowBytes]
		var c lineColumn256
		c.set(x, col)
		for r := 0; r < len(dst); r += lineRows {
			ahead := aheadOf(w, next, r*rowBytes, lineRows*rowBytes, lineAheadBytes)
			r := min(r, len(dst)-lineRows)
			vnniLinesQ4_K(&dst[r], &w[r*rowBytes], &c.q[0], &c.d[0], &c.s[0], nBlocks, ahead)
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

// lineColumn32 is a column in the Partner32 form as the kernels of lines read it: the first and the last half of every
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

// lineColumn256 is a column in the Partner256 form for the kernels of lines: in every block groups of 32 codes in the
// order 0 2 1 3 4 6 5 7, as the nibbles of 64 neighbouring bytes are, and one sum for each group, in their own order.
type lineColumn256 struct {
	q [(maxLineBlocks256 + lineBlocks256) * 256]int8
	d [maxLineBlocks256 + lineBlocks256]float32
	s [(maxLineBlocks256 + lineBlocks256) * 8]int16
}

func (c *lineColumn256) set(x *Acts, col int) {
	q, d, s := x.Col256(col)
	n := len(d)
	for half := range 2 * n {
		from, to := (*[128]int8)(q[128*half:]), (*[128]int8)(c.q[128*half:])
		*(*[32]int8)(to[:]) = [32]int8(from[:32])
		*(*[32]int8)(to[32:]) = [32]int8(from[64:])
		*(*[32]int8)(to[64:]) = [32]int8(from[32:])
		*(*[32]int8)(to[96:]) = [32]int8(from[96:])
	}
	for g := range 8 * n {
		c.s[g] = s[2*g] + s[2*g+1]
	}
	copy(c.d[:], d)
	copy(c.q[256*n:], c.q[:256*lineBlocks256])
	copy(c.d[n:], d[:lineBlocks256])
	copy(c.s[8*n:], c.s[:8*lineBlocks256])
}
