package kernel

import "unsafe"

// The attention functions in plain NEON take head dims that are multiples of 16; others go to portable code.

// neonScoresInt8 is Table.ScoresInt8 by tiles of four keys and four heads; x4 and x1 are the tiles, slow takes what they
// cannot.
func neonScoresInt8(
	x4, x1 func(dst, q, qs unsafe.Pointer, count int, k, ks unsafe.Pointer, headDim int),
	slow func(dst []float32, q []int16, qs []float32, nq int, k, ks []byte, n, headDim int),
) func(dst []float32, q []int16, qs []float32, nq int, k, ks []byte, n, headDim int) {
	return func(dst []float32, q []int16, qs []float32, nq int, k, ks []byte, n, headDim int) {
		if nq <= 0 || n <= 0 || headDim <= 0 || headDim%16 != 0 {
			slow(dst, q, qs, nq, k, ks, n, headDim)
			return
		}
		dst, q, qs = dst[:(nq-1)*TileLen+n], q[:nq*headDim], qs[:nq]
		k, ks = k[:n*headDim], ks[:2*n]
		for t := 0; t < n; t += 4 {
			keys, scales := unsafe.Pointer(&k[t*headDim]), unsafe.Pointer(&ks[2*t])
			i := 0
			for ; n-t >= 4 && nq-i >= 3; i += 4 {
				x4(unsafe.Pointer(&dst[i*TileLen+t]), unsafe.Pointer(&q[i*headDim]), unsafe.Pointer(&qs[i]), min(4, nq-i), keys, scales, headDim)
			}
			for ; i < nq; i++ {
				x1(unsafe.Pointer(&dst[i*TileLen+t]), unsafe.Pointer(&q[i*headDim]), unsafe.Pointer(&qs[i]), min(4, n-t), keys, scales, headDim)
			}
		}
	}
}

// neonMixInt8 is Table.MixInt8.
func neonMixInt8(slow func(acc []int32, w []int16, nq int, v []byte, n, headDim int)) func(acc []int32, w []int16, nq int, v []byte, n, headDim int) {
	return func(acc []int32, w []int16, nq int, v []byte, n, headDim int) {
		if nq <= 0 || n <= 0 || headDim <= 0 || headDim%16 != 0 {
			slow(acc, w, nq, v, n, headDim)
			return
		}
		acc, w, v = acc[:nq*headDim], w[:(nq-1)*TileLen+n], v[:n*headDim]
		values := unsafe.Pointer(&v[0])
		i := 0
		for ; nq-i >= 3; i += 4 {
			neonMixInt8x4(unsafe.Pointer(&acc[i*headDim]), unsafe.Pointer(&w[i*TileLen]), min(4, nq-i), values, n, headDim)
		}
		for ; i < nq; i++ {
			neonMixInt8x1(unsafe.Pointer(&acc[i*headDim]), unsafe.Pointer(&w[i*TileLen]), values, n, headDim)
		}
	}
}

// neonMixFloat is Table.MixF16 or MixF32, whose values have size bytes.
func neonMixFloat(
	size int, mix func(acc, p unsafe.Pointer, heads int, v unsafe.Pointer, n, headDim int),
	slow func(acc []float32, p []float32, nq int, v []byte, n, headDim int),
) func(acc []float32, p []float32, nq int, v []byte, n, headDim int) {
	return func(acc []float32, p []float32, nq int, v []byte, n, headDim int) {
		if nq <= 0 || n <= 0 || headDim <= 0 || headDim%16 != 0 {
			slow(acc, p, nq, v, n, headDim)
			return
		}
		acc, p, v = acc[:nq*headDim], p[:(nq-1)*TileLen+n], v[:n*headDim*size]
		for i := 0; i < nq; i += 4 {
			mix(unsafe.Pointer(&acc[i*headDim]), unsafe.Pointer(&p[i*TileLen]), min(4, nq-i), unsafe.Pointer(&v[0]), n, headDim)
		}
	}
}
