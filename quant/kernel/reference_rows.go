package kernel

import (
	"encoding/binary"

	"kvasir/quant"
	"kvasir/quant/half"
)

func refRMSNorm(dst, x, w []float32, eps float32) {
	var acc lanes
	for i, v := range x {
		acc[i%16] += float32(v * v)
	}
	inv := 1 / sqrt32(acc.sum()/float32(len(x))+eps)
	for i, v := range x {
		dst[i] = float32(v * inv)
		if w != nil {
			dst[i] *= w[i]
		}
	}
}

func refAdd(dst, a []float32) {
	for i, v := range a {
		dst[i] += v
	}
}

func refScale(dst []float32, f float32) {
	for i := range dst {
		dst[i] *= f
	}
}

func refSwiGLU(dst, gate, up []float32) {
	for i := range dst {
		dst[i] = silu(gate[i]) * up[i]
	}
}

func refGeGLU(dst, gate, up []float32) {
	for i := range dst {
		dst[i] = gelu(gate[i]) * up[i]
	}
}

func refRopePairs(x []float32, headDim int, cos, sin []float32) {
	for h := 0; h < len(x); h += headDim {
		for i, c := range cos {
			a, b := &x[h+2*i], &x[h+2*i+1]
			*a, *b = turn(*a, *b, c, sin[i])
		}
	}
}

func refRopeHalves(x []float32, headDim int, cos, sin []float32) {
	for h := 0; h < len(x); h += headDim {
		for i, c := range cos {
			a, b := &x[h+i], &x[h+i+len(cos)]
			*a, *b = turn(*a, *b, c, sin[i])
		}
	}
}

// turn rotates (a, b) by the angle whose cosine and sine are c and s.
func turn(a, b, c, s float32) (float32, float32) {
	return float32(a*c) - float32(b*s), float32(a*s) + float32(b*c)
}

// The row codec of the store is package quant's.
func refEncodeInt8(dst, scale []byte, x []float32) {
	binary.LittleEndian.PutUint16(scale, quant.EncodeKVRow(quant.KVInt8, dst, x))
}

func refEncodeF16(dst []byte, x []float32) {
	for i, v := range x {
		binary.LittleEndian.PutUint16(dst[2*i:], half.FromFloat32(clamp(v, 65504)))
	}
}

func refQuantizeQuery(q []int16, x []float32, scale float32) float32 {
	const limit = 16256 // 128*127: the bound that keeps a score's sum in int32
	amax := maxAbs(x)
	inv := limit / amax
	if isInf(inv) {
		clear(q[:len(x)])
		return 0
	}
	for i, v := range x {
		q[i] = int16(clamp(rne(v*inv), limit))
	}
	return float32(amax/limit) * scale
}

func refIntToFloat(dst []float32, src []int32, f float32) {
	for i, v := range src {
		dst[i] = float32(v) * f
	}
}
