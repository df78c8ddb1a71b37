package kernel

import (
	"encoding/binary"
	"math"

	"kvasir/quant"
	"kvasir/quant/half"
)

// The wrappers give whole vectors to assembly and the rest of a row to the portable functions.

// setRows sets the functions over float rows.
func (t *Table) setAVX2Rows() {
	t.Quantize32, t.Quantize256 = avx2Quantize32s, avx2Quantize256s
	t.RMSNorm = avx2RMSNorm
	t.Add, t.Scale, t.IntToFloat = avx2AddRow, avx2ScaleRow, avx2IntsToFloats
	t.SwiGLU, t.GeGLU = avx2SwiGLURow, avx2GeGLURow
	t.RopePairs, t.RopeHalves = avx2RopePairRows, avx2RopeHalfRows
	t.Rotate = avx2RotateRow
	t.EncodeInt8, t.EncodeF16, t.QuantizeQuery = avx2EncodeInt8Row, avx2EncodeF16Row, avx2QuantizeQuery
	t.Merge = avx2Merge
}

func avx2Quantize32s(q []int8, d []float32, s []int32, x []float32) {
	if n := len(d); n > 0 {
		_, _, _ = q[n*32-1], s[n-1], x[n*32-1]
		avx2Quantize32(&q[0], &d[0], &s[0], &x[0], n)
	}
}

func avx2Quantize256s(q []int8, d []float32, s []int16, x []float32) {
	if n := len(d); n > 0 {
		_, _, _ = q[n*256-1], s[n*16-1], x[n*256-1]
		avx2Quantize256(&q[0], &d[0], &s[0], &x[0], n)
	}
}

func avx2RMSNorm(dst, x, w []float32, eps float32) {
	var acc lanes
	n := len(x) / 16 * 16
	if n > 0 {
		avx2SumSquares(&acc[0], &x[0], n/16)
	}
	for i, v := range x[n:] {
		acc[i] += float32(v * v)
	}
	inv := 1 / sqrt32(acc.sum()/float32(len(x))+eps)
	dst = dst[:len(x)]
	if w == nil {
		copy(dst, x)
		avx2ScaleRow(dst, inv)
		return
	}
	w = w[:len(x)]
	if n > 0 {
		avx2Normalize(&dst[0], &x[0], &w[0], n/8, inv)
	}
	for i := n; i < len(x); i++ {
		dst[i] = float32(x[i]*inv) * w[i]
	}
}

func avx2AddRow(dst, a []float32) {
	n := len(a) &^ 7
	dst = dst[:len(a)]
	if n > 0 {
		avx2Add(&dst[0], &a[0], n/8)
	}
	refAdd(dst[n:], a[n:])
}

func avx2ScaleRow(dst []float32, f float32) {
	n := len(dst) &^ 7
	if n > 0 {
		avx2Scale(&dst[0], n/8, f)
	}
	refScale(dst[n:], f)
}

func avx2IntsToFloats(dst []float32, src []int32, f float32) {
	n := len(src) &^ 7
	dst = dst[:len(src)]
	if n > 0 {
		avx2IntToFloat(&dst[0], &src[0], n/8, f)
	}
	refIntToFloat(dst[n:], src[n:], f)
}

func avx2SwiGLURow(dst, gate, up []float32) {
	n := len(dst) &^ 15
	gate, up = gate[:len(dst)], up[:len(dst)]
	if n > 0 {
		avx2SwiGLU(&dst[0], &gate[0], &up[0], n/16)
	}
	refSwiGLU(dst[n:], gate[n:], up[n:])
}

func avx2GeGLURow(dst, gate, up []float32) {
	n := len(dst) &^ 15
	gate, up = gate[:len(dst)], up[:len(dst)]
	if n > 0 {
		avx2GeGLU(&dst[0], &gate[0], &up[0], n/16)
	}
	refGeGLU(dst[n:], gate[n:], up[n:])
}

func avx2RopeHalfRows(x []float32, headDim int, cos, sin []float32) {
	n := len(cos)
	if n == 0 || n%8 != 0 {
		ropeHalves(x, headDim, cos, sin)
		return
	}
	sin = sin[:n]
	for ; len(x) >= headDim; x = x[headDim:] {
		head := x[:2*n]
		avx2RopeHalves(&head[0], &head[n], &cos[0], &sin[0], n/8)
	}
}

func avx2RopePairRows(x []float32, headDim int, cos, sin []float32) {
	n := len(cos)
	if n == 0 || n%4 != 0 {
		ropePairs(x, headDim, cos, sin)
		return
	}
	sin = sin[:n]
	for ; len(x) >= headDim; x = x[headDim:] {
		head := x[:2*n]
		avx2RopePairs(&head[0], &cos[0], &sin[0], n/4)
	}
}

func avx2RotateRow(x []float32) {
	size := quant.HadamardSize(len(x))
	if size < 8 {
		quant.Rotate(x)
		return
	}
	norm := float32(1 / math.Sqrt(float64(size)))
	for i := 0; i < len(x); i += size {
		avx2Rotate(&x[i], size, norm)
	}
}

func avx2EncodeInt8Row(dst, scale []byte, x []float32) {
	if len(x)%16 != 0 || len(x) == 0 {
		encodeInt8(dst, scale, x)
		return
	}
	dst = dst[:len(x)]
	bits, code := avx2MaxAbs(&x[0], len(x)/8), half.NaN
	if bits < infBits {
		code = min(half.FromFloat32(math.Float32frombits(bits)/127), half.Max)
	}
	binary.LittleEndian.PutUint16(scale, code)
	if code == 0 || code == half.NaN {
		clear(dst)
		return
	}
	avx2EncodeInt8(&dst[0], &x[0], len(x)/16, 1/half.ToFloat32(code))
}

func avx2EncodeF16Row(dst []byte, x []float32) {
	n := len(x) &^ 7
	dst = dst[:2*len(x)]
	if n > 0 {
		avx2EncodeF16(&dst[0], &x[0], n/8)
	}
	encodeF16(dst[2*n:], x[n:])
}

func avx2QuantizeQuery(q []int16, x []float32, scale float32) float32 {
	if len(x)%16 != 0 || len(x) == 0 {
		return quantizeQuery(q, x, scale)
	}
	const limit = 16256
	q = q[:len(x)]
	amax := math.Float32frombits(avx2MaxAbs(&x[0], len(x)/8))
	inv := limit / amax
	if math.Float32bits(inv) == infBits {
		clear(q)
		return 0
	}
	avx2EncodeInt16(&q[0], &x[0], len(x)/16, inv)
	return float32(amax/limit) * scale
}

func avx2Merge(o []float32, m, l float32, y []float32, mj, lj float32) (float32, float32) {
	mm := max(m, mj) + 0
	a, b := exp32(m-mm), exp32(mj-mm)
	n := len(y) &^ 7
	o = o[:len(y)]
	if n > 0 {
		avx2Blend(&o[0], &y[0], n/8, a, b)
	}
	for d := n; d < len(y); d++ {
		o[d] = float32(o[d]*a) + float32(y[d]*b)
	}
	return mm, float32(l*a) + float32(lj*b)
}
