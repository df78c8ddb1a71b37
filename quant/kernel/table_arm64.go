package kernel

import (
	"kvasir/platform/cpu"
	"kvasir/quant"
)

// archTables returns the variants of this architecture, best first.
func archTables() []*Table { return []*Table{neonTable()} }

// neonTable is plain NEON: every arm64 processor.
func neonTable() *Table {
	t := *portableTable()
	t.Name, t.Needs = "neon", []cpu.Feature{cpu.NEON}
	t.MatVec[quant.Q8_0] = neonMatVec(quant.Q8_0, neonQ8_0Rows)
	t.MatVec[quant.Q4_0] = neonMatVec(quant.Q4_0, neonQ4_0Rows)
	t.MatVec[quant.Q4_K] = neonMatVec(quant.Q4_K, neonQ4_KRows)
	t.MatVec[quant.Q6_K] = neonMatVec(quant.Q6_K, neonQ6_KRows)
	for _, p := range []panels{
		{typ: quant.Q8_0, mul32: neonMulWide32, unpack: neonUnpackQ8_0, minBatch: 3},
		{typ: quant.Q4_0, mul32: neonMulNarrow32, unpack: neonUnpackQ4_0, minBatch: 3},
		{typ: quant.Q5_0, mul32: neonMulNarrow32, minBatch: 4},
		{typ: quant.IQ4_NL, mul32: neonMulWide32, minBatch: 4},
		{typ: quant.MXFP4, mul32: neonMulNarrow32, minBatch: 4},
		{typ: quant.Q2_K, mul256: neonMul256, minBatch: 4},
		{typ: quant.Q3_K, mul256: neonMul256, minBatch: 4},
		{typ: quant.Q4_K, mul256: neonMul256, unpack: neonUnpackQ4_K, minBatch: 3},
		{typ: quant.Q5_K, mul256: neonMul256, minBatch: 4},
		{typ: quant.Q6_K, mul256: neonMul256, unpack: neonUnpackQ6_K, minBatch: 3},
		{typ: quant.TQ1_0, mul256: neonMul256, minBatch: 4},
		{typ: quant.TQ2_0, mul256: neonMul256, minBatch: 4},
	} {
		p.few = t.MatVec[p.typ]
		t.MatMul[p.typ] = p.matMul()
	}
	for _, f := range []struct {
		typ  quant.Type
		tile floatRowsFunc
	}{{quant.F32, neonF32Rows}, {quant.F16, neonF16Rows}, {quant.BF16, neonBF16Rows}} {
		size := f.typ.Geometry().BlockBytes
		t.MatVec[f.typ] = neonFloatMatVec(size, f.tile)
		t.MatMul[f.typ] = neonFloatMatMul(size, t.MatVec[f.typ])
	}
	t.ScoresF16, t.ScoresF32 = neonFloatScores(2, neonF16Rows), neonFloatScores(4, neonF32Rows)
	t.ScoresInt8 = neonScoresInt8(neonScoresInt8x4, neonScoresInt8x1, t.ScoresInt8)
	t.MixInt8 = neonMixInt8(t.MixInt8)
	t.MixF16, t.MixF32 = neonMixFloat(2, neonMixF16, t.MixF16), neonMixFloat(4, neonMixF32, t.MixF32)
	t.Quantize32, t.Quantize256 = neonQuantizeAct32, neonQuantizeAct256
	t.RMSNorm, t.Add, t.Scale = neonRMSNorm, neonAddTo, neonScale
	t.SwiGLU, t.GeGLU = neonGate(neonSwiGLU, t.SwiGLU), neonGate(neonGeGLU, t.GeGLU)
	t.RopePairs, t.RopeHalves = neonTurnPairs, neonTurnHalves
	t.Rotate, t.EncodeInt8, t.EncodeF16 = neonRotate, neonEncodeInt8, neonEncodeF16
	t.QuantizeQuery = neonQuantizeQuery
	t.WeightsInt8, t.WeightsFloat = neonWeightsInt8, neonWeightsFloat
	t.Merge, t.IntToFloat = neonMergeTile, neonIntsToFloats
	return &t
}
