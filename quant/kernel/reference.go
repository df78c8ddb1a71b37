package kernel

import "kvasir/quant"

// referenceTable is docs/NUMERICS.md in Go: the shortest code that gives its bits, and the oracle of every test.
func referenceTable() *Table {
	t := &Table{
		Name: "reference",

		Quantize32:  quant.QuantizeActivation32,
		Quantize256: quant.QuantizeActivation256,

		RMSNorm:    refRMSNorm,
		Add:        refAdd,
		Scale:      refScale,
		SwiGLU:     refSwiGLU,
		GeGLU:      refGeGLU,
		RopePairs:  refRopePairs,
		RopeHalves: refRopeHalves,

		Rotate:        quant.Rotate,
		EncodeInt8:    refEncodeInt8,
		EncodeF16:     refEncodeF16,
		QuantizeQuery: refQuantizeQuery,

		ScoresInt8:   refScoresInt8,
		WeightsInt8:  refWeightsInt8,
		MixInt8:      refMixInt8,
		ScoresF16:    refScoresF16,
		WeightsFloat: refWeightsFloat,
		MixF16:       refMixF16,
		ScoresF32:    refScoresF32,
		MixF32:       refMixF32,

		Merge:      refMerge,
		IntToFloat: refIntToFloat,
	}
	for _, typ := range quant.Types() {
		t.MatVec[typ] = refMatVec(typ)
		t.MatMul[typ] = refMatMul(typ)
	}
	return t
}
