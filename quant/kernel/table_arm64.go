package kernel

import (
	"kvasir/platform/cpu"
	"kvasir/quant"
)

// archTables returns the variants of this architecture, best first.
func archTables() []*Table {
	neon := neonTable()
	dot := dotTable(neon)
	return []*Table{mmTable(dot), dot, neon}
}

// neonTable is plain NEON: every arm64 processor.
func neonTable() *Table {
	t := *portableTable()
	t.Name, t.Needs = "neon", []cpu.Feature{cpu.NEON}
	t.setRows(map[quant.Type]rowsFunc{
		quant.Q4_0: neonQ4_0Rows, quant.Q5_0: neonQ5_0Rows, quant.Q8_0: neonQ8_0Rows, quant.IQ4_NL: neonIQ4_NLRows,
		quant.Q4_1: neonQ4_1Rows, quant.Q5_1: neonQ5_1Rows,
		quant.Q2_K: neonQ2_KRows, quant.Q3_K: neonQ3_KRows, quant.Q4_K: neonQ4_KRows, quant.Q5_K: neonQ5_KRows,
		quant.Q6_K: neonQ6_KRows, quant.IQ4_XS: neonIQ4_XSRows, quant.MXFP4: neonMXFP4Rows, quant.TQ2_0: neonTQ2_0Rows,
	})
	t.setPanels(
		linear32(quant.Q8_0, 3, neonUnpackQ8_0, neonMulWide32),
		linear32(quant.Q4_0, 3, neonUnpackQ4_0, neonMulNarrow32),
		linear32(quant.Q5_0, 3, neonUnpackQ5_0, neonMulNarrow32),
		linear32(quant.IQ4_NL, 3, neonUnpackIQ4_NL, neonMulWide32),
		linear256(quant.Q4_K, 3, neonUnpackQ4_K),
		linear256(quant.Q5_K, 3, neonUnpackQ5_K),
		linear256(quant.Q6_K, 3, neonUnpackQ6_K),
		linear256(quant.TQ1_0, 2, nil),
	)
	for _, f := range []struct {
		typ  quant.Type
		tile floatRowsFunc
	}{{quant.F32, neonF32Rows}, {quant.F16, neonF16Rows}, {quant.BF16, neonBF16Rows}} {
		t.MatVec[f.typ] = neonFloatMatVec(f.typ, f.tile)
		t.MatMul[f.typ] = byColumns(f.typ, t.MatVec[f.typ])
	}
	t.ScoresF16, t.ScoresF32 = neonScoresF16(neonFloatScores(2, neonF16Rows)), neonFloatScores(4, neonF32Rows)
	t.ScoresInt8 = neonScoresInt8(t.ScoresInt8)
	t.MixInt8 = neonMixInt8(t.MixInt8)
	t.MixF16, t.MixF32 = neonMixFloat(2, neonMixF16, neonMixF16x1, t.MixF16), neonMixFloat(4, neonMixF32, nil, t.MixF32)
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

// dotTable is neon with the products of FEAT_DotProd (Cortex-A55, A75, A76 and later).
func dotTable(neon *Table) *Table {
	t := *neon
	t.Name, t.Needs = "neon-dotprod", []cpu.Feature{cpu.NEON, cpu.DotProd}
	t.setRows(map[quant.Type]rowsFunc{
		quant.Q4_0: dotQ4_0Rows, quant.Q5_0: dotQ5_0Rows, quant.Q8_0: dotQ8_0Rows,
		quant.Q4_K: dotQ4_KRows, quant.Q5_K: dotQ5_KRows, quant.Q6_K: dotQ6_KRows,
	})
	v := weave{4, dotMul32, dotMul256, dotMul256x}
	t.setPanels(v.all(map[quant.Type]unpackRowsFunc{
		quant.Q8_0: dotUnpackQ8_0, quant.Q4_0: dotUnpackQ4_0, quant.Q4_K: dotUnpackQ4_K, quant.Q6_K: dotUnpackQ6_K,
		quant.Q5_0: dotUnpackQ5_0, quant.Q5_K: dotUnpackQ5_K, quant.IQ4_NL: dotUnpackIQ4_NL,
		quant.Q4_1: dotUnpackQ4_1, quant.Q5_1: dotUnpackQ5_1,
	})...)
	t.ScoresInt8, t.MixInt8 = dotScoresInt8(t.ScoresInt8), dotMixInt8(t.MixInt8)
	return &t
}

// mmTable is dot with the matrix products of FEAT_I8MM (Cortex-A510, A710, X2, Neoverse N2, V1 and later).
func mmTable(dot *Table) *Table {
	t := *dot
	t.Name, t.Needs = "neon-i8mm", []cpu.Feature{cpu.NEON, cpu.DotProd, cpu.I8MM}
	v := weave{8, mmMul32, mmMul256, mmMul256x}
	t.setPanels(v.all(map[quant.Type]unpackRowsFunc{
		quant.Q8_0: mmUnpackQ8_0, quant.Q4_0: mmUnpackQ4_0, quant.Q4_K: mmUnpackQ4_K, quant.Q6_K: mmUnpackQ6_K,
		quant.Q5_0: mmUnpackQ5_0, quant.Q5_K: mmUnpackQ5_K, quant.IQ4_NL: mmUnpackIQ4_NL,
		quant.Q4_1: mmUnpackQ4_1, quant.Q5_1: mmUnpackQ5_1,
	})...)
	return &t
}

// setRows makes the products of the types; setPanels may replace those with matrices.
func (t *Table) setRows(rows map[quant.Type]rowsFunc) {
	for typ, f := range rows {
		t.MatVec[typ] = neonMatVec(typ, f)
		t.MatMul[typ] = byColumns(typ, t.MatVec[typ])
	}
}

// setPanels makes the matrix products of the types; for few columns they are made of those of MatVec, which is set.
func (t *Table) setPanels(all ...panels) {
	for _, p := range all {
		p.few = byColumns(p.typ, t.MatVec[p.typ])
		t.MatMul[p.typ] = p.matMul()
	}
}
