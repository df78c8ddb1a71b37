package kernel

import (
	"testing"

	"kvasir/quant"
)

// No function allocates: a token touches the heap nowhere.
func TestNoAllocations(t *testing.T) {
	const headDim, nq = 64, 3
	g := newGen(1)
	row, up := g.floats("plain", 512), g.floats("plain", 512)
	q8, d, s32, s16 := make([]int8, 512), make([]float32, 16), make([]int32, 16), make([]int16, 32)
	codes, scale := make([]byte, 2*512), make([]byte, 2)
	q16, qs, acc := g.codes16("plain", nq*headDim, 16256), g.floats("plain", nq), make([]int32, nq*headDim)
	keys, halves, ks := g.codes8("plain", 21*headDim), g.weights(quant.F16, "plain", 21*headDim), g.halves("plain", 21)
	floats := g.weights(quant.F32, "plain", 21*headDim)
	scores, w := g.floats("plain", nq*TileLen), g.codes16("plain", nq*TileLen, 100)
	out, scratch := make([]float32, 21*11), NewScratch()
	for _, v := range tested() {
		check := func(name string, f func()) {
			t.Helper()
			if n := testing.AllocsPerRun(3, f); n != 0 {
				t.Errorf("%s: %s allocates %v times", v.Name, name, n)
			}
		}
		for _, typ := range quant.Types() {
			k := max(blocks(typ, 2), 512)
			weights, x := g.weights(typ, "plain", 21*k/typ.Geometry().BlockSize), g.acts("plain", k, 11)
			for _, rows := range []int{3, 21} {
				check("MatVec of "+typ.String(), func() { v.MatVec[typ](out[:rows], weights, x, 1, nil) })
				check("MatMul of "+typ.String(), func() { v.MatMul[typ](out, rows, weights, rows, x, 0, 11, scratch) })
			}
		}
		check("Quantize32", func() { v.Quantize32(q8, d, s32, row) })
		check("Quantize256", func() { v.Quantize256(q8, d[:2], s16, row) })
		check("RMSNorm", func() { v.RMSNorm(up, row, row, 1e-5) })
		check("Add", func() { v.Add(up, row) })
		check("Scale", func() { v.Scale(up, 0.5) })
		check("SwiGLU", func() { v.SwiGLU(up, row, row) })
		check("GeGLU", func() { v.GeGLU(up, row, row) })
		check("RopePairs", func() { v.RopePairs(up, 64, row[:32], row[:32]) })
		check("RopeHalves", func() { v.RopeHalves(up, 64, row[:32], row[:32]) })
		check("Rotate", func() { v.Rotate(up) })
		check("EncodeInt8", func() { v.EncodeInt8(codes[:512], scale, row) })
		check("EncodeF16", func() { v.EncodeF16(codes, row) })
		check("QuantizeQuery", func() { v.QuantizeQuery(q16, row[:len(q16)], 1) })
		check("ScoresInt8", func() { v.ScoresInt8(scores, q16, qs, nq, keys, ks, 21, headDim) })
		check("WeightsInt8", func() { v.WeightsInt8(w[:TileLen], scores, ks, 2, 21) })
		check("MixInt8", func() { v.MixInt8(acc, w, nq, keys, 21, headDim) })
		check("ScoresF16", func() { v.ScoresF16(scores, row, nq, halves, 21, headDim) })
		check("WeightsFloat", func() { v.WeightsFloat(scores[:TileLen], 2, 21) })
		check("MixF16", func() { v.MixF16(up, scores, nq, halves, 21, headDim) })
		check("ScoresF32", func() { v.ScoresF32(scores, row, nq, floats, 21, headDim) })
		check("MixF32", func() { v.MixF32(up, scores, nq, floats, 21, headDim) })
		check("Merge", func() { v.Merge(up, 1, 2, row, 3, 4) })
		check("IntToFloat", func() { v.IntToFloat(up[:len(acc)], acc, 0.5) })
	}
}
