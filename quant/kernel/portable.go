package kernel

import "kvasir/quant"

// portableTable is the fast form in plain Go: the main path where there is no assembly, and the source of what an
// instruction set does not accelerate.
func portableTable() *Table {
	t := &Table{
		Name: "portable",

		Quantize32:  quantize32,
		Quantize256: quantize256,

		RMSNorm:    rmsNorm,
		Add:        refAdd,
		Scale:      refScale,
		SwiGLU:     refSwiGLU,
		GeGLU:      refGeGLU,
		RopePairs:  ropePairs,
		RopeHalves: ropeHalves,

		Rotate:        quant.Rotate,
		EncodeInt8:    encodeInt8,
		EncodeF16:     encodeF16,
		QuantizeQuery: quantizeQuery,

		ScoresInt8:   scoresInt8,
		WeightsInt8:  weightsInt8,
		MixInt8:      mixInt8,
		ScoresF16:    scoresF16,
		WeightsFloat: weightsFloat,
		MixF16:       mixF16,
		ScoresF32:    scoresF32,
		MixF32:       mixF32,

		Merge:      refMerge,
		IntToFloat: refIntToFloat,
	}
	for _, typ := range quant.Types() {
		if shape, ok := typ.IntShape(); ok {
			t.MatVec[typ] = intMatVec(typ, shape)
			t.MatMul[typ] = intMatMul(typ, shape, t.MatVec[typ])
		} else {
			t.MatVec[typ] = floatMatVec(typ)
			t.MatMul[typ] = floatMatMul(typ)
		}
	}
	return t
}
