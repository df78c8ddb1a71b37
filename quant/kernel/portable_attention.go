package kernel

import (
	"math"

	"kvasir/quant"
)

func scoresInt8(dst []float32, q []int16, qs []float32, nq int, k, ks []byte, n, headDim int) {
	for t := range n {
		row, scale := k[t*headDim:(t+1)*headDim], fp16At(ks, t)
		for i := range nq {
			sum := dot16(q[i*headDim:(i+1)*headDim], row)
			dst[i*TileLen+t] = float32(sum) * float32(qs[i]*scale)
		}
	}
}

// dot16 is the exact product of 16-bit codes with as many 8-bit ones.
func dot16(a []int16, b []byte) int32 {
	var s0, s1 int32
	for len(a) >= 4 && len(b) >= 4 {
		s0 += int32(a[0])*int32(int8(b[0])) + int32(a[1])*int32(int8(b[1]))
		s1 += int32(a[2])*int32(int8(b[2])) + int32(a[3])*int32(int8(b[3]))
		a, b = a[4:], b[4:]
	}
	b = b[:len(a)]
	for i, v := range a {
		s0 += int32(v) * int32(int8(b[i]))
	}
	return s0 + s1
}

func weightsInt8(w []int16, s []float32, vs []byte, lo, hi int) (m, l, ws float32) {
	var tile [TileLen]float32
	p := tile[:hi]
	copy(p[lo:], s[lo:hi])
	m, l = weightsFloat(p, lo, hi)
	var umax float32
	for t := lo; t < hi; t++ {
		p[t] *= fromHalf(uint16(vs[2*t]) | uint16(vs[2*t+1])<<8)
		if p[t] > umax {
			umax = p[t]
		}
	}
	clear(w)
	inv := 32767 / umax
	if math.Float32bits(inv) == infBits {
		return m, l, 0
	}
	for t := lo; t < hi; t++ {
		w[t] = int16(rneBits(float32(p[t] * inv)))
	}
	return m, l, umax / 32767
}

// mixInt8 takes four rows of v at a time, so that each sum is read and written once for four products.
func mixInt8(acc []int32, w []int16, nq int, v []byte, n, headDim int) {
	t := 0
	for ; t+4 <= n; t += 4 {
		v0, v1, v2, v3 := v[t*headDim:], v[(t+1)*headDim:], v[(t+2)*headDim:], v[(t+3)*headDim:]
		for i := range nq {
			c := (*[4]int16)(w[i*TileLen+t:])
			w0, w1, w2, w3 := int32(c[0]), int32(c[1]), int32(c[2]), int32(c[3])
			a := acc[i*headDim : (i+1)*headDim]
			v0, v1, v2, v3 := v0[:len(a)], v1[:len(a)], v2[:len(a)], v3[:len(a)]
			for d := range a {
				a[d] += w0*int32(int8(v0[d])) + w1*int32(int8(v1[d])) + w2*int32(int8(v2[d])) + w3*int32(int8(v3[d]))
			}
		}
	}
	for ; t < n; t++ {
		row := v[t*headDim : (t+1)*headDim]
		for i := range nq {
			wt := int32(w[i*TileLen+t])
			a := acc[i*headDim : (i+1)*headDim]
			for d, u := range row {
				a[d] += wt * int32(int8(u))
			}
		}
	}
}

func weightsFloat(s []float32, lo, hi int) (m, l float32) {
	clear(s[:lo])
	clear(s[hi:])
	m = float32(math.Inf(-1))
	for _, v := range s[lo:hi] {
		if v > m {
			m = v
		}
	}
	m += 0
	var acc lanes
	for t := lo; t < hi; t++ {
		p := exp32(s[t] - m)
		s[t] = p
		acc[t&15] += p
	}
	return m, acc.sum()
}

func scoresF16(dst, q []float32, nq int, k []byte, n, headDim int) {
	floatScores(quant.F16, dst, q, nq, k, n, headDim)
}

func mixF16(acc, p []float32, nq int, v []byte, n, headDim int) {
	floatMix(quant.F16, acc, p, nq, v, n, headDim)
}

func scoresF32(dst, q []float32, nq int, k []byte, n, headDim int) {
	floatScores(quant.F32, dst, q, nq, k, n, headDim)
}

func mixF32(acc, p []float32, nq int, v []byte, n, headDim int) {
	floatMix(quant.F32, acc, p, nq, v, n, headDim)
}

// floatScores decodes each row once for all queries, in pieces of a chunk.
func floatScores(typ quant.Type, dst, q []float32, nq int, k []byte, n, headDim int) {
	size := typ.Geometry().BlockBytes
	var buf [chunk]float32
	for t := range n {
		row := k[t*headDim*size : (t+1)*headDim*size]
		if headDim <= chunk {
			key := buf[:headDim]
			decodeFloats(typ, key, row)
			for i := range nq {
				var acc lanes
				acc.add(key, q[i*headDim:])
				dst[i*TileLen+t] = acc.sum()
			}
			continue
		}
		for i := range nq {
			var acc lanes
			for d := 0; d < headDim; d += chunk {
				key := buf[:min(chunk, headDim-d)]
				decodeFloats(typ, key, row[d*size:])
				acc.add(key, q[i*headDim+d:])
			}
			dst[i*TileLen+t] = acc.sum()
		}
	}
}

// floatMix decodes each row once for all queries, in pieces of a chunk.
func floatMix(typ quant.Type, acc, p []float32, nq int, v []byte, n, headDim int) {
	size := typ.Geometry().BlockBytes
	var buf [chunk]float32
	for t := range n {
		for d := 0; d < headDim; d += chunk {
			val := buf[:min(chunk, headDim-d)]
			decodeFloats(typ, val, v[(t*headDim+d)*size:])
			for i := range nq {
				pt := p[i*TileLen+t]
				a := acc[i*headDim+d:][:len(val)]
				for j, u := range val {
					a[j] += float32(pt * u)
				}
			}
		}
	}
}
