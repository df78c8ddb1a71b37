package kernel

import "math"

// setAVX2Attention sets the functions over rows of the KV store. They want head dims that are multiples of 16.
func (t *Table) setAVX2Attention() {
	t.ScoresInt8, t.WeightsInt8, t.MixInt8 = avx2Int8.scores, avx2WeightsInt8, avx2Int8.mix
	t.ScoresF16, t.WeightsFloat, t.MixF16 = avx2ScoresF16Rows, avx2WeightsFloat, avx2MixF16
}

// int8Kernels are the exact products of attention: scores of whole tiles of keys for one query and for two, mixes of
// pairs of value rows for one query to four.
type int8Kernels struct {
	scores1, scores2 func(dst *float32, dstStride int, q *int16, qStride int, qs *float32, k, ks *byte, headDim, n int)
	mixes            [4]func(acc *int32, accStride int, w *int16, wStride int, v *byte, vStride, n int)
}

var avx2Int8 = int8Kernels{avx2ScoresInt8x1, avx2ScoresInt8x2,
	[4]func(acc *int32, accStride int, w *int16, wStride int, v *byte, vStride, n int){avx2MixInt8x1, avx2MixInt8x2, avx2MixInt8x3, avx2MixInt8x4}}

// scores takes two queries and four keys at a time, and eight keys for a last query. The last keys may be scored twice,
// with equal results.
func (f *int8Kernels) scores(dst []float32, q []int16, qs []float32, nq int, k, ks []byte, n, headDim int) {
	if headDim%16 != 0 || n < 8 {
		scoresInt8(dst, q, qs, nq, k, ks, n, headDim)
		return
	}
	_, _, _, _, _ = dst[(nq-1)*TileLen+n-1], q[nq*headDim-1], qs[nq-1], k[n*headDim-1], ks[2*n-1]
	i := 0
	for ; i+2 <= nq; i += 2 {
		f.scores2(&dst[i*TileLen], TileLen*4, &q[i*headDim], headDim*2, &qs[i], &k[0], &ks[0], headDim, n/4)
		if t := n - 4; n%4 > 0 {
			f.scores2(&dst[i*TileLen+t], TileLen*4, &q[i*headDim], headDim*2, &qs[i], &k[t*headDim], &ks[2*t], headDim, 1)
		}
	}
	if i < nq {
		f.scores1(&dst[i*TileLen], 0, &q[i*headDim], 0, &qs[i], &k[0], &ks[0], headDim, n/8)
		if t := n - 8; n%8 > 0 {
			f.scores1(&dst[i*TileLen+t], 0, &q[i*headDim], 0, &qs[i], &k[t*headDim], &ks[2*t], headDim, 1)
		}
	}
}

// mix takes pairs of rows; a last row without a partner goes through the portable code.
func (f *int8Kernels) mix(acc []int32, w []int16, nq int, v []byte, n, headDim int) {
	pairs := n / 2
	if headDim%16 != 0 || pairs == 0 {
		mixInt8(acc, w, nq, v, n, headDim)
		return
	}
	_, _, _ = acc[nq*headDim-1], w[(nq-1)*TileLen+n-1], v[n*headDim-1]
	for d := 0; d < headDim; d += 16 {
		for i := 0; i < nq; i += 4 {
			f.mixes[min(nq-i, 4)-1](&acc[i*headDim+d], headDim*4, &w[i*TileLen], TileLen*2, &v[d], headDim, pairs)
		}
	}
	if n%2 == 1 {
		mixInt8(acc, w[n-1:], nq, v[(n-1)*headDim:], 1, headDim)
	}
}

func avx2ScoresF16Rows(dst, q []float32, nq int, k []byte, n, headDim int) {
	if headDim%16 != 0 || n < 4 {
		scoresF16(dst, q, nq, k, n, headDim)
		return
	}
	_, _, _ = dst[(nq-1)*TileLen+n-1], q[nq*headDim-1], k[2*n*headDim-1]
	for i := range nq {
		avx2ScoresF16(&dst[i*TileLen], &q[i*headDim], &k[0], 2*headDim, headDim, n/4)
		if t := n - 4; n%4 > 0 {
			avx2ScoresF16(&dst[i*TileLen+t], &q[i*headDim], &k[2*t*headDim], 2*headDim, headDim, 1)
		}
	}
}

func avx2MixF16(acc, p []float32, nq int, v []byte, n, headDim int) {
	if headDim%16 != 0 || n == 0 {
		mixF16(acc, p, nq, v, n, headDim)
		return
	}
	_, _, _ = acc[nq*headDim-1], p[(nq-1)*TileLen+n-1], v[2*n*headDim-1]
	for d := 0; d < headDim; d += 16 {
		for i := 0; i < nq; i += 4 {
			avx2MixF16s[min(nq-i, 4)-1](&acc[i*headDim+d], headDim*4, &p[i*TileLen], TileLen*4, &v[2*d], 2*headDim, n)
		}
	}
}

var avx2MixF16s = [4]func(acc *float32, accStride int, w *float32, wStride int, v *byte, vStride, n int){avx2MixF16x1, avx2MixF16x2, avx2MixF16x3, avx2MixF16x4}

// visible is a copy of the visible scores of a tile between whole groups of 16: where nothing is visible it holds
// -Inf, whose exponential is an exact 0, and adding 0 to a lane changes nothing.
type visible struct {
	p        [TileLen]float32
	from, to int // multiples of 16
}

func (b *visible) fill(s []float32, lo, hi int) {
	b.from, b.to = lo&^15, (hi+15)&^15
	inf := float32(math.Inf(-1))
	for t := b.from; t < lo; t++ {
		b.p[t] = inf
	}
	copy(b.p[lo:hi], s[lo:hi])
	for t := hi; t < b.to; t++ {
		b.p[t] = inf
	}
}

// softmax turns the scores into p_t.
func (b *visible) softmax() (m, l float32) {
	var acc lanes
	n := b.to - b.from
	m = avx2Max(&b.p[b.from], n/16) + 0
	avx2Softmax(&acc[0], &b.p[b.from], n/16, m)
	return m, acc.sum()
}

func avx2WeightsFloat(s []float32, lo, hi int) (m, l float32) {
	if lo >= hi {
		return weightsFloat(s, lo, hi)
	}
	var b visible
	b.fill(s, lo, hi)
	m, l = b.softmax()
	clear(s[:lo])
	copy(s[lo:hi], b.p[lo:hi])
	clear(s[hi:])
	return m, l
}

func avx2WeightsInt8(w []int16, s []float32, vs []byte, lo, hi int) (m, l, ws float32) {
	if lo >= hi {
		return weightsInt8(w, s, vs, lo, hi)
	}
	var b visible
	b.fill(s, lo, hi)
	m, l = b.softmax()
	clear(w[:lo])
	clear(w[hi:])
	if (lo|hi)%16 == 0 {
		return m, l, b.weights(w[:hi], vs[:2*hi])
	}
	return m, l, b.edgeWeights(w, vs, lo, hi)
}

// edgeWeights is weights where the first or the last group of 16 is not all visible.
func (b *visible) edgeWeights(w []int16, vs []byte, lo, hi int) float32 {
	var scales [2 * TileLen]byte
	var codes [TileLen]int16
	copy(scales[2*lo:2*hi], vs[2*lo:2*hi])
	ws := b.weights(codes[:b.to], scales[:2*b.to])
	copy(w[lo:hi], codes[lo:hi])
	return ws
}

// weights turns p_t into the weights w of whole groups of 16.
func (b *visible) weights(w []int16, vs []byte) float32 {
	n := (b.to - b.from) / 16
	umax := avx2Weigh(&b.p[b.from], &vs[2*b.from], n)
	inv := 32767 / umax
	if math.Float32bits(inv) == infBits {
		clear(w[b.from:b.to])
		return 0
	}
	avx2EncodeInt16(&w[b.from], &b.p[b.from], n, inv)
	return umax / 32767
}
