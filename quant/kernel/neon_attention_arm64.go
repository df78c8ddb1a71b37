package kernel

import "unsafe"

// The attention functions take head dims that are multiples of 16; others go to slow, the portable function.

// scoresInt8Func is Table.ScoresInt8.
type scoresInt8Func func(dst []float32, q []int16, qs []float32, nq int, k, ks []byte, n, headDim int)

// neonScoresInt8 works on four keys and up to four heads at a time.
func neonScoresInt8(slow scoresInt8Func) scoresInt8Func {
	return func(dst []float32, q []int16, qs []float32, nq int, k, ks []byte, n, headDim int) {
		if nq <= 0 || n <= 0 || headDim <= 0 || headDim%16 != 0 {
			slow(dst, q, qs, nq, k, ks, n, headDim)
			return
		}
		dst, q, qs = dst[:(nq-1)*TileLen+n], q[:nq*headDim], qs[:nq]
		k, ks = k[:n*headDim], ks[:2*n]
		for t := 0; t < n; t += 4 {
			i := 0
			for ; n-t >= 4 && nq-i >= 3; i += 4 {
				neonScoresInt8x4(&dst[i*TileLen+t], &q[i*headDim], &qs[i], min(4, nq-i), &k[t*headDim], &ks[2*t], headDim)
			}
			for ; i < nq; i++ {
				neonScoresInt8x1(&dst[i*TileLen+t], &q[i*headDim], &qs[i], min(4, n-t), &k[t*headDim], &ks[2*t], headDim)
			}
		}
	}
}

// maxSplitDim is the largest head dim whose split queries dotScoresInt8 keeps on the stack.
const maxSplitDim = 512

// dotScoresInt8 works on two heads at a time, with queries split into bytes, and four keys.
func dotScoresInt8(slow scoresInt8Func) scoresInt8Func {
	return func(dst []float32, q []int16, qs []float32, nq int, k, ks []byte, n, headDim int) {
		if nq <= 0 || n <= 0 || headDim <= 0 || headDim%16 != 0 || headDim > maxSplitDim {
			slow(dst, q, qs, nq, k, ks, n, headDim)
			return
		}
		dst, q, qs = dst[:(nq-1)*TileLen+n], q[:nq*headDim], qs[:nq]
		k, ks = k[:n*headDim], ks[:2*n]
		var planes [2 * 2 * maxSplitDim]int8
		for i := 0; i < nq; i += 2 {
			heads := min(2, nq-i)
			dotSplit(&planes[0], &q[i*headDim], heads*headDim)
			for t := 0; t < n; t += 4 {
				dotScores(&dst[i*TileLen+t], &planes[0], &qs[i], heads, &k[t*headDim], &ks[2*t], min(4, n-t), headDim)
			}
		}
	}
}

// mixInt8Func is Table.MixInt8.
type mixInt8Func func(acc []int32, w []int16, nq int, v []byte, n, headDim int)

// neonMixInt8 works on up to four heads at a time.
func neonMixInt8(slow mixInt8Func) mixInt8Func {
	return func(acc []int32, w []int16, nq int, v []byte, n, headDim int) {
		if nq <= 0 || n <= 0 || headDim <= 0 || headDim%16 != 0 {
			slow(acc, w, nq, v, n, headDim)
			return
		}
		acc, w, v = acc[:nq*headDim], w[:(nq-1)*TileLen+n], v[:n*headDim]
		i := 0
		for ; nq-i >= 3; i += 4 {
			neonMixInt8x4(&acc[i*headDim], &w[i*TileLen], min(4, nq-i), &v[0], n, headDim)
		}
		for ; i < nq; i++ {
			neonMixInt8x1(&acc[i*headDim], &w[i*TileLen], &v[0], n, headDim)
		}
	}
}

// dotMixInt8 works on two heads and 16 positions at a time; what remains of both goes to rest.
func dotMixInt8(rest mixInt8Func) mixInt8Func {
	return func(acc []int32, w []int16, nq int, v []byte, n, headDim int) {
		even, whole := nq&^1, n&^15
		if even <= 0 || whole <= 0 || headDim <= 0 || headDim%16 != 0 {
			rest(acc, w, nq, v, n, headDim)
			return
		}
		acc, w, v = acc[:nq*headDim], w[:(nq-1)*TileLen+n], v[:n*headDim]
		for i := 0; i < even; i += 2 {
			dotMix(&acc[i*headDim], &w[i*TileLen], &v[0], whole, headDim)
		}
		if n > whole {
			rest(acc[:even*headDim], w[whole:], even, v[whole*headDim:], n-whole, headDim)
		}
		if nq > even {
			rest(acc[even*headDim:], w[even*TileLen:], 1, v, n, headDim)
		}
	}
}

// neonScoresF16 widens a key once for up to four heads. A head alone, and rows that are no multiple of 16 values, go to rest.
func neonScoresF16(rest func(dst, q []float32, nq int, k []byte, n, headDim int)) func(dst, q []float32, nq int, k []byte, n, headDim int) {
	return func(dst, q []float32, nq int, k []byte, n, headDim int) {
		i := 0
		if n > 0 && headDim > 0 && headDim%16 == 0 && nq >= 2 {
			dst, q, k = dst[:(nq-1)*TileLen+n], q[:nq*headDim], k[:2*n*headDim]
			for ; nq-i >= 2; i += 4 {
				neonScoresF16x4(&dst[i*TileLen], &q[i*headDim], min(4, nq-i), &k[0], n, headDim)
			}
		}
		if i < nq {
			rest(dst[i*TileLen:], q[i*headDim:], nq-i, k, n, headDim)
		}
	}
}

// neonFloatScores is Table.ScoresF16 or ScoresF32: values of size bytes, and the row product tile.
func neonFloatScores(size int, tile floatRowsFunc) func(dst, q []float32, nq int, k []byte, n, headDim int) {
	return func(dst, q []float32, nq int, k []byte, n, headDim int) {
		if nq <= 0 || n <= 0 || headDim <= 0 {
			return
		}
		rowBytes := headDim * size
		dst, q, k = dst[:(nq-1)*TileLen+n], q[:nq*headDim], k[:n*rowBytes]
		for t := 0; t < n; t += 4 {
			row := k[t*rowBytes:]
			for i := range nq {
				tile(&dst[i*TileLen+t], min(4, n-t), &row[0], rowBytes, headDim, &q[i*headDim], unsafe.Pointer(&row[0]))
			}
		}
	}
}

// neonMixFloat is Table.MixF16 or MixF32: values of size bytes, up to four heads at a time with mix, one with one, which
// may be nil.
func neonMixFloat(
	size int, mix func(acc, p *float32, heads int, v *byte, n, headDim int), one func(acc, p *float32, v *byte, n, headDim int),
	slow func(acc, p []float32, nq int, v []byte, n, headDim int),
) func(acc, p []float32, nq int, v []byte, n, headDim int) {
	return func(acc, p []float32, nq int, v []byte, n, headDim int) {
		if nq <= 0 || n <= 0 || headDim <= 0 || headDim%16 != 0 {
			slow(acc, p, nq, v, n, headDim)
			return
		}
		acc, p, v = acc[:nq*headDim], p[:(nq-1)*TileLen+n], v[:n*headDim*size]
		i := 0
		for ; i < nq && (one == nil || nq-i >= 3); i += 4 {
			mix(&acc[i*headDim], &p[i*TileLen], min(4, nq-i), &v[0], n, headDim)
		}
		for ; i < nq; i++ {
			one(&acc[i*headDim], &p[i*TileLen], &v[0], n, headDim)
		}
	}
}
