package kernel

import (
	"kvasir/platform/cpu"
	"kvasir/quant"
)

// twins is the AVX-VNNI variant with the dot products in the encoding of AVX-512 and all else the same
// (TestTwinsAreTheSameCode), for processors that have the one and not the other. It is for tests alone: avx512-vnni is faster.
func twins() []*Table {
	t := avx2Table()
	t.Name, t.Needs = "avx-vnni-evex", []cpu.Feature{cpu.AVX2, cpu.F16C, cpu.AVX512, cpu.AVX512VNNI}
	t.setRows(&evexRows)
	t.setPanels(&evexPanels)
	t.ScoresInt8, t.MixInt8 = evexInt8.scores, evexInt8.mix
	return runnable([]*Table{t})
}

var evexInt8 = int8Kernels{vnniScoresInt8x1, vnniScoresInt8x2,
	[4]func(acc *int32, accStride int, w *int16, wStride int, v *byte, vStride, n int){
		avx2MixInt8x1, vnniMixInt8x2, vnniMixInt8x3, vnniMixInt8x4}}

var evexPanels = [quant.NTypes]panelFormat{
	quant.Q8_0:   fourColumns(panel16UnpackQ8_0, evexMulQ8_0, nil),
	quant.Q4_0:   fourColumns(panel16UnpackQ4_0, evexMulQ4_0, nil),
	quant.Q4_1:   fourColumns(panel16UnpackQ4_1, evexMulQ4_1, nil),
	quant.Q5_0:   fourColumns(panel16UnpackQ5_0, evexMulQ5_0, nil),
	quant.Q5_1:   fourColumns(panel16UnpackQ5_1, evexMulQ5_1, nil),
	quant.IQ4_NL: fourColumns(panel16UnpackIQ4NL, evexMulIQ4NL, nil),
	quant.MXFP4:  fourColumns(panel16UnpackMXFP4, evexMulMXFP4, nil),
	quant.Q2_K:   fourColumns(panel16UnpackQ2K, nil, evexMulQ2K),
	quant.Q3_K:   fourColumns(panel16UnpackQ3K, nil, evexMulQ3K),
	quant.Q4_K:   fourColumns(panel16UnpackQ4K, nil, evexMulQ4K),
	quant.Q5_K:   fourColumns(panel16UnpackQ5K, nil, evexMulQ5K),
	quant.Q6_K:   fourColumns(panel16UnpackQ6K, nil, evexMulQ6K),
	quant.IQ4_XS: fourColumns(panel16UnpackIQ4XS, nil, evexMulIQ4XS),
	quant.TQ1_0:  fourColumns(panel16UnpackTQ1, nil, evexMulTQ1),
	quant.TQ2_0:  fourColumns(panel16UnpackTQ2, nil, evexMulTQ2),
}

var evexRows = [quant.NTypes]eightRows{
	quant.Q8_0:   {mul32: vnniMatVecQ8_0},
	quant.Q4_0:   {mul32: vnniMatVecQ4_0},
	quant.Q4_1:   {mul32: vnniMatVecQ4_1},
	quant.Q5_0:   {mul32: vnniMatVecQ5_0},
	quant.Q5_1:   {mul32: vnniMatVecQ5_1},
	quant.IQ4_NL: {mul32: vnniMatVecIQ4NL},
	quant.MXFP4:  {mul32: vnniMatVecMXFP4},
	quant.Q2_K:   {mul256: evexMatVecQ2K},
	quant.Q3_K:   {mul256: evexMatVecQ3K},
	quant.Q4_K:   {mul256: evexMatVecQ4K},
	quant.Q5_K:   {mul256: evexMatVecQ5K},
	quant.Q6_K:   {mul256: evexMatVecQ6K},
	quant.IQ4_XS: {mul256: vnniMatVecIQ4XS},
	quant.TQ1_0:  {mul256: vnniMatVecTQ1},
	quant.TQ2_0:  {mul256: vnniMatVecTQ2},
}
