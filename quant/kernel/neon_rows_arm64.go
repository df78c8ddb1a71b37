package kernel

import (
	"encoding/binary"
	"math"

	"kvasir/quant"
	"kvasir/quant/half"
)

// The functions here give the assembly whole vectors and leave what remains of a row to the reference code.

func neonQuantizeAct32(q []int8, d []float32, s []int32, x []float32) {
	groups := len(x) / 32
	if groups == 0 {
		return
	}
	q, d, s = q[:32*groups], d[:groups], s[:groups]
	neonQuantize32(&q[0], &d[0], &s[0], &x[0], groups)
}

func neonQuantizeAct256(q []int8, d []float32, s []int16, x []float32) {
	q, d, s = q[:len(x)], d[:len(x)/256], s[:len(x)/16]
	for i := range d {
		g, qg := x[256*i:256*i+256], q[256*i:256*i+256]
		amax := neonMaxAbs(&g[0], 256)
		inv := 127 / amax
		switch {
		case math.Float32bits(amax) >= infBits:
			clear(qg)
			d[i] = float32(math.NaN())
		case math.Float32bits(inv) >= infBits:
			clear(qg)
			d[i] = 0
		default:
			neonQuantize8(&qg[0], &g[0], 256, inv)
			d[i] = amax / 127
		}
		neonSums16(&s[16*i], &qg[0], 16)
	}
}

// neonMagnitude is maxAbs, and a NaN if x holds one.
func neonMagnitude(x []float32) float32 {
	n := len(x) &^ 3
	m := maxAbs(x[n:])
	if n > 0 {
		m = max(m, neonMaxAbs(&x[0], n))
	}
	return m
}

func neonEncodeInt8(dst, scale []byte, x []float32) {
	dst = dst[:len(x)]
	amax := neonMagnitude(x)
	code := half.NaN
	if math.Float32bits(amax) < infBits {
		code = min(half.FromFloat32(amax/127), half.Max)
	}
	binary.LittleEndian.PutUint16(scale, code)
	if code == 0 || code == half.NaN {
		clear(dst)
		return
	}
	inv := 1 / half.ToFloat32(code)
	n := len(x) &^ 15
	if n > 0 {
		neonQuantize8(bytesAsInt8(dst), &x[0], n, inv)
	}
	for i, v := range x[n:] {
		dst[n+i] = byte(int8(clamp(rne(float32(v*inv)), 127)))
	}
}

func neonEncodeF16(dst []byte, x []float32) {
	dst = dst[:2*len(x)]
	n := len(x) &^ 7
	if n > 0 {
		neonToHalf(&dst[0], &x[0], n)
	}
	refEncodeF16(dst[2*n:], x[n:])
}

func neonQuantizeQuery(q []int16, x []float32, scale float32) float32 {
	const limit = 16256
	q = q[:len(x)]
	amax := neonMagnitude(x)
	inv := limit / amax
	if math.Float32bits(inv) >= infBits {
		clear(q)
		return 0
	}
	n := len(x) &^ 7
	if n > 0 {
		neonQuantize16(&q[0], &x[0], n, inv, limit)
	}
	for i, v := range x[n:] {
		q[n+i] = int16(clamp(rne(float32(v*inv)), limit))
	}
	return float32(amax/limit) * scale
}

func neonRMSNorm(dst, x, w []float32, eps float32) {
	var sums lanes
	n := len(x) &^ 15
	if n > 0 {
		neonSumSquares(&x[0], n, &sums)
	}
	for i, v := range x[n:] {
		sums[i] += float32(v * v)
	}
	f := 1 / sqrt32(sums.sum()/float32(len(x))+eps)
	dst = dst[:len(x)]
	if w == nil {
		neonScaleTo(dst, x, f)
		return
	}
	w = w[:len(x)]
	n = len(x) &^ 3
	if n > 0 {
		neonScaledBy(&dst[0], &x[0], &w[0], n, f)
	}
	for i := n; i < len(x); i++ {
		dst[i] = float32(x[i]*f) * w[i]
	}
}

// neonScaleTo is dst[i] = x[i]*f.
func neonScaleTo(dst, x []float32, f float32) {
	n := len(x) &^ 3
	if n > 0 {
		neonScaled(&dst[0], &x[0], n, f)
	}
	for i := n; i < len(x); i++ {
		dst[i] = x[i] * f
	}
}

func neonScale(dst []float32, f float32) { neonScaleTo(dst, dst, f) }

func neonAddTo(dst, a []float32) {
	dst = dst[:len(a)]
	n := len(a) &^ 3
	if n > 0 {
		neonAdd(&dst[0], &a[0], n)
	}
	refAdd(dst[n:], a[n:])
}

func neonIntsToFloats(dst []float32, src []int32, f float32) {
	dst = dst[:len(src)]
	n := len(src) &^ 3
	if n > 0 {
		neonIntToFloat(&dst[0], &src[0], n, f)
	}
	refIntToFloat(dst[n:], src[n:], f)
}

// neonGate is SwiGLU or GeGLU: f takes multiples of 8 values, rest the others.
func neonGate(f func(dst, gate, up *float32, n int), rest func(dst, gate, up []float32)) func(dst, gate, up []float32) {
	return func(dst, gate, up []float32) {
		gate, up = gate[:len(dst)], up[:len(dst)]
		n := len(dst) &^ 7
		if n > 0 {
			f(&dst[0], &gate[0], &up[0], n)
		}
		rest(dst[n:], gate[n:], up[n:])
	}
}

func neonTurnPairs(x []float32, headDim int, cos, sin []float32) {
	sin = sin[:len(cos)]
	n := len(cos) &^ 3
	for ; headDim > 0 && len(x) >= headDim; x = x[headDim:] {
		head := x[:headDim:headDim][:2*len(cos)]
		if n > 0 {
			neonRopePairs(&head[0], &cos[0], &sin[0], n)
		}
		for i := n; i < len(cos); i++ {
			head[2*i], head[2*i+1] = turn(head[2*i], head[2*i+1], cos[i], sin[i])
		}
	}
}

func neonTurnHalves(x []float32, headDim int, cos, sin []float32) {
	rot := len(cos)
	sin = sin[:rot]
	n := rot &^ 3
	for ; headDim > 0 && len(x) >= headDim; x = x[headDim:] {
		head := x[:headDim:headDim][:2*rot]
		if n > 0 {
			neonRopeHalves(&head[0], &head[rot], &cos[0], &sin[0], n)
		}
		for i := n; i < rot; i++ {
			head[i], head[i+rot] = turn(head[i], head[i+rot], cos[i], sin[i])
		}
	}
}

func neonRotate(x []float32) {
	size := quant.HadamardSize(len(x))
	if size < 8 {
		quant.Rotate(x)
		return
	}
	neonHadamard4(&x[0], len(x))
	for h := 4; h < size; h *= 2 {
		neonHadamardStep(&x[0], len(x), h)
	}
	neonScaled(&x[0], &x[0], len(x), float32(1/math.Sqrt(float64(size))))
}

func neonMergeTile(o []float32, m, l float32, y []float32, mj, lj float32) (float32, float32) {
	mm := max(m, mj) + 0
	a, b := exp32(m-mm), exp32(mj-mm)
	o = o[:len(y)]
	n := len(y) &^ 3
	if n > 0 {
		neonMerge(&o[0], &y[0], n, a, b)
	}
	for i := n; i < len(y); i++ {
		o[i] = float32(o[i]*a) + float32(y[i]*b)
	}
	return mm, float32(l*a) + float32(lj*b)
}
