package kernel

import (
	"encoding/binary"
	"math"

	"kvasir/quant"
	"kvasir/quant/half"
)

func fp16At(b []byte, i int) float32 { return half.ToFloat32(binary.LittleEndian.Uint16(b[2*i:])) }

func refScoresInt8(dst []float32, q []int16, qs []float32, nq int, k, ks []byte, n, headDim int) {
	for i := range nq {
		for t := range n {
			var sum int32
			for d := range headDim {
				sum += int32(q[i*headDim+d]) * int32(int8(k[t*headDim+d]))
			}
			dst[i*TileLen+t] = float32(sum) * float32(qs[i]*fp16At(ks, t))
		}
	}
}

func refWeightsInt8(w []int16, s []float32, vs []byte, lo, hi int) (m, l, ws float32) {
	var tile [TileLen]float32
	p := tile[:hi]
	copy(p[lo:], s[lo:hi])
	m, l = refWeightsFloat(p, lo, hi)
	var umax float32
	for t := lo; t < hi; t++ {
		p[t] *= fp16At(vs, t)
		umax = max(umax, p[t])
	}
	clear(w)
	inv := 32767 / umax
	if isInf(inv) {
		return m, l, 0
	}
	for t := lo; t < hi; t++ {
		w[t] = int16(min(rne(p[t]*inv), 32767))
	}
	return m, l, umax / 32767
}

func refMixInt8(acc []int32, w []int16, nq int, v []byte, n, headDim int) {
	for i := range nq {
		for t := range n {
			for d := range headDim {
				acc[i*headDim+d] += int32(w[i*TileLen+t]) * int32(int8(v[t*headDim+d]))
			}
		}
	}
}

func refWeightsFloat(s []float32, lo, hi int) (m, l float32) {
	m = float32(math.Inf(-1))
	for _, v := range s[lo:hi] {
		m = max(m, v)
	}
	m += 0 // a maximum of -0 is +0, whichever zero came first
	var acc lanes
	for t := range s {
		if t < lo || t >= hi {
			s[t] = 0
			continue
		}
		s[t] = exp32(s[t] - m)
		acc[t%16] += s[t]
	}
	return m, acc.sum()
}

func refScoresF16(dst, q []float32, nq int, k []byte, n, headDim int) {
	refScores(quant.F16, dst, q, nq, k, n, headDim)
}

func refMixF16(acc, p []float32, nq int, v []byte, n, headDim int) {
	refMix(quant.F16, acc, p, nq, v, n, headDim)
}

func refScoresF32(dst, q []float32, nq int, k []byte, n, headDim int) {
	refScores(quant.F32, dst, q, nq, k, n, headDim)
}

func refMixF32(acc, p []float32, nq int, v []byte, n, headDim int) {
	refMix(quant.F32, acc, p, nq, v, n, headDim)
}

// refScores is the score of rows of a float type.
func refScores(typ quant.Type, dst, q []float32, nq int, k []byte, n, headDim int) {
	size := typ.Geometry().BlockBytes
	for i := range nq {
		for t := range n {
			var acc lanes
			for d := range headDim {
				acc[d%16] += float32(q[i*headDim+d] * float(typ, k[(t*headDim+d)*size:]))
			}
			dst[i*TileLen+t] = acc.sum()
		}
	}
}

// refMix is the weighted sum of rows of a float type.
func refMix(typ quant.Type, acc, p []float32, nq int, v []byte, n, headDim int) {
	size := typ.Geometry().BlockBytes
	for i := range nq {
		for t := range n {
			for d := range headDim {
				acc[i*headDim+d] += float32(p[i*TileLen+t] * float(typ, v[(t*headDim+d)*size:]))
			}
		}
	}
}

func refMerge(o []float32, m, l float32, y []float32, mj, lj float32) (float32, float32) {
	mm := max(m, mj) + 0
	a, b := exp32(m-mm), exp32(mj-mm)
	for d, v := range y {
		o[d] = float32(o[d]*a) + float32(v*b)
	}
	return mm, float32(l*a) + float32(lj*b)
}
