package kernel

import (
	"encoding/binary"
	"math"

	"kvasir/quant/half"
)

// rneBits rounds x, of magnitude below 2^22, to the nearest integer, ties to even: the sum's last place is 1. The low
// bits of the sum's pattern are the integer.
func rneBits(x float32) uint32 { return math.Float32bits(x + rounder) }

// magnitude returns the largest magnitude in x as a bit pattern, and those of NaNs are the largest of all.
func magnitude(x []float32) (m uint32) {
	for _, v := range x {
		m = max(m, math.Float32bits(v)&^(1<<31))
	}
	return m
}

const infBits = 0x7f800000

// quantizeGroup quantises the values that share one scale and returns it. No product exceeds 127.5, so nothing is
// left to clamp.
func quantizeGroup(q []int8, x []float32) float32 {
	bits := magnitude(x)
	if bits >= infBits {
		clear(q)
		return float32(math.NaN())
	}
	amax := math.Float32frombits(bits)
	inv := 127 / amax
	if math.Float32bits(inv) == infBits {
		clear(q)
		return 0
	}
	q = q[:len(x)]
	for i, v := range x {
		q[i] = int8(rneBits(float32(v * inv)))
	}
	return amax / 127
}

func quantize32(q []int8, d []float32, s []int32, x []float32) {
	for i := range d {
		qi := q[i*32 : (i+1)*32]
		d[i] = quantizeGroup(qi, x[i*32:(i+1)*32])
		s[i] = sumOf(qi)
	}
}

func quantize256(q []int8, d []float32, s []int16, x []float32) {
	for i := range d {
		d[i] = quantizeGroup(q[i*256:(i+1)*256], x[i*256:(i+1)*256])
	}
	for i := range s {
		s[i] = int16(sumOf(q[i*16 : (i+1)*16]))
	}
}

func rmsNorm(dst, x, w []float32, eps float32) {
	var acc lanes
	acc.add(x, x)
	inv := 1 / sqrt32(acc.sum()/float32(len(x))+eps)
	dst = dst[:len(x)]
	if w == nil {
		for i, v := range x {
			dst[i] = v * inv
		}
		return
	}
	w = w[:len(x)]
	for i, v := range x {
		dst[i] = float32(v*inv) * w[i]
	}
}

func ropePairs(x []float32, headDim int, cos, sin []float32) {
	n := len(cos)
	sin = sin[:n]
	for ; len(x) >= headDim && len(x) > 0; x = x[headDim:] {
		p := x[:2*n]
		for i, c := range cos {
			if len(p) < 2 {
				break
			}
			p[0], p[1] = turn(p[0], p[1], c, sin[i])
			p = p[2:]
		}
	}
}

func ropeHalves(x []float32, headDim int, cos, sin []float32) {
	n := len(cos)
	sin = sin[:n]
	for ; len(x) >= headDim && len(x) > 0; x = x[headDim:] {
		a, b := x[:n], x[n:2*n]
		for i, c := range cos {
			a[i], b[i] = turn(a[i], b[i], c, sin[i])
		}
	}
}

func encodeInt8(dst, scale []byte, x []float32) {
	bits := magnitude(x)
	code := half.NaN
	if bits < infBits {
		code = min(half.FromFloat32(math.Float32frombits(bits)/127), half.Max)
	}
	binary.LittleEndian.PutUint16(scale, code)
	dst = dst[:len(x)]
	if code == 0 || code == half.NaN {
		clear(dst)
		return
	}
	inv := 1 / half.ToFloat32(code)
	for i, v := range x {
		v *= inv
		if v > 127 {
			v = 127
		}
		if v < -127 {
			v = -127
		}
		dst[i] = byte(rneBits(v))
	}
}

func encodeF16(dst []byte, x []float32) {
	dst = dst[:2*len(x)]
	for i, v := range x {
		binary.LittleEndian.PutUint16(dst[2*i:], half.FromFloat32(clamp(v, 65504)))
	}
}

func quantizeQuery(q []int16, x []float32, scale float32) float32 {
	const limit = 16256
	amax := math.Float32frombits(magnitude(x))
	inv := limit / amax
	q = q[:len(x)]
	if math.Float32bits(inv) == infBits {
		clear(q)
		return 0
	}
	for i, v := range x {
		q[i] = int16(rneBits(float32(v * inv)))
	}
	return float32(amax/limit) * scale
}

func sumOf(q []int8) (s int32) {
	for _, v := range q {
		s += int32(v)
	}
	return s
}
