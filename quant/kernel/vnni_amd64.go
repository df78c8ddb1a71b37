package kernel

import (
	"kvasir/platform/cpu"
	"kvasir/quant"
)

// vnniTable is for processors with AVX-512 and its 8-bit dot products.
func vnniTable() *Table {
	t := avx2Table()
	t.Name, t.Needs = "avx512-vnni", []cpu.Feature{cpu.AVX2, cpu.F16C, cpu.AVX512, cpu.AVX512VNNI}
	t.setRows(&vnniRows)
	t.MatVec[quant.Q4_0] = matVecLinesQ4_0(t.MatVec[quant.Q4_0])
	t.setPanels(&vnniPanels)
	for _, typ := range []quant.Type{quant.F32, quant.F16, quant.BF16} {
		t.MatMul[typ] = avx512FloatMatMul(typ, t.MatMul[typ])
		t.MatVec[typ] = avx512FloatMatVec(typ, t.MatVec[typ])
	}
	t.ScoresInt8, t.MixInt8 = vnniInt8.scores, vnniInt8.mix
	return t
}

var vnniInt8 = int8Kernels{vnniScoresInt8x1, vnniScoresInt8x2,
	[4]func(acc *int32, accStride int, w *int16, wStride int, v *byte, vStride, n int){vnniMixInt8x1, vnniMixInt8x2, vnniMixInt8x3, vnniMixInt8x4}}

var vnniPanels = [quant.NTypes]panelFormat{
	quant.Q8_0:   {panel16UnpackQ8_0, panelMul{8, vnniMulQ8_0_8, nil}, panelMul{4, vnniMulQ8_0_4, nil}},
	quant.Q4_0:   {panel16UnpackQ4_0, panelMul{8, vnniMulQ4_0_8, nil}, panelMul{4, vnniMulQ4_0_4, nil}},
	quant.Q4_1:   {panel16UnpackQ4_1, panelMul{8, vnniMulQ4_1_8, nil}, panelMul{4, vnniMulQ4_1_4, nil}},
	quant.Q5_0:   {panel16UnpackQ5_0, panelMul{8, vnniMulQ5_0_8, nil}, panelMul{4, vnniMulQ5_0_4, nil}},
	quant.Q5_1:   {panel16UnpackQ5_1, panelMul{8, vnniMulQ5_1_8, nil}, panelMul{4, vnniMulQ5_1_4, nil}},
	quant.IQ4_NL: {panel16UnpackIQ4NL, panelMul{8, vnniMulIQ4NL_8, nil}, panelMul{4, vnniMulIQ4NL_4, nil}},
	quant.MXFP4:  {panel16UnpackMXFP4, panelMul{8, vnniMulMXFP4_8, nil}, panelMul{4, vnniMulMXFP4_4, nil}},
	quant.Q2_K:   {panel16UnpackQ2K, panelMul{8, nil, vnniMulQ2K_8}, panelMul{4, nil, vnniMulQ2K_4}},
	quant.Q3_K:   {panel16UnpackQ3K, panelMul{8, nil, vnniMulQ3K_8}, panelMul{4, nil, vnniMulQ3K_4}},
	quant.Q4_K:   {panel16UnpackQ4K, panelMul{8, nil, vnniMulQ4K_8}, panelMul{4, nil, vnniMulQ4K_4}},
	quant.Q5_K:   {panel16UnpackQ5K, panelMul{8, nil, vnniMulQ5K_8}, panelMul{4, nil, vnniMulQ5K_4}},
	quant.Q6_K:   {panel16UnpackQ6K, panelMul{8, nil, vnniMulQ6K_8}, panelMul{4, nil, vnniMulQ6K_4}},
	quant.IQ4_XS: {panel16UnpackIQ4XS, panelMul{8, nil, vnniMulIQ4XS_8}, panelMul{4, nil, vnniMulIQ4XS_4}},
	quant.TQ1_0:  {panel16UnpackTQ1, panelMul{8, nil, vnniMulTQ1_8}, panelMul{4, nil, vnniMulTQ1_4}},
	quant.TQ2_0:  {panel16UnpackTQ2, panelMul{8, nil, vnniMulTQ2_8}, panelMul{4, nil, vnniMulTQ2_4}},
}

var vnniRows = [quant.NTypes]eightRows{
	quant.Q8_0:   {mul32: vnniMatVecQ8_0},
	quant.Q4_0:   {mul32: vnniMatVecQ4_0},
	quant.Q4_1:   {mul32: vnniMatVecQ4_1},
	quant.Q5_0:   {mul32: vnniMatVecQ5_0},
	quant.Q5_1:   {mul32: vnniMatVecQ5_1},
	quant.IQ4_NL: {mul32: vnniMatVecIQ4NL},
	quant.MXFP4:  {mul32: vnniMatVecMXFP4},
	quant.Q2_K:   {mul256: vnniMatVecQ2K},
	quant.Q3_K:   {mul256: vnniMatVecQ3K},
	quant.Q4_K:   {mul256: vnniMatVecQ4K},
	quant.Q5_K:   {mul256: vnniMatVecQ5K},
	quant.Q6_K:   {mul256: vnniMatVecQ6K},
	quant.IQ4_XS: {mul256: vnniMatVecIQ4XS},
	quant.TQ1_0:  {mul256: vnniMatVecTQ1},
	quant.TQ2_0:  {mul256: vnniMatVecTQ2},
}
