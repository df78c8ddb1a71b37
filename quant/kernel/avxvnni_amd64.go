package kernel

import (
	"kvasir/platform/cpu"
	"kvasir/quant"
)

// avxvnniTable is for processors that have the dot products of VNNI on the vectors of AVX2 alone: Alder Lake and later
// desktops, and small cores such as the N100's (Gracemont).
func avxvnniTable() *Table {
	t := avx2Table()
	t.Name, t.Needs = "avx-vnni", []cpu.Feature{cpu.AVX2, cpu.F16C, cpu.AVXVNNI}
	t.setRows(&avxvnniRows)
	t.setPanels(&avxvnniPanels)
	t.ScoresInt8, t.MixInt8 = avxvnniInt8.scores, avxvnniInt8.mix
	return t
}

// setRows sets the products of rows with a column.
func (t *Table) setRows(rows *[quant.NTypes]eightRows) {
	for typ := range rows {
		if f := &rows[typ]; f.mul32 != nil || f.mul256 != nil {
			t.MatVec[typ] = f.matVec(quant.Type(typ))
		}
	}
}

// setPanels sets the products that take panels of 16 rows. What has fewer rows keeps AVX2's product of 8 rows, where there
// is one.
func (t *Table) setPanels(panels *[quant.NTypes]panelFormat) {
	for typ := range panels {
		if p := &panels[typ]; p.unpack != nil {
			small := columnByColumn(t.MatVec[typ])
			if p := &avx2Panels[typ]; p.unpack != nil {
				small = p.matMul(quant.Type(typ), 8, small)
			}
			t.MatMul[typ] = p.matMul(quant.Type(typ), 16, small)
		}
	}
}

// A mix for one query has two sums only, which wait for each other's dot products: AVX2's products and sums are faster.
var avxvnniInt8 = int8Kernels{avxvnniScoresInt8x1, avxvnniScoresInt8x2,
	[4]func(acc *int32, accStride int, w *int16, wStride int, v *byte, vStride, n int){
		avx2MixInt8x1, avxvnniMixInt8x2, avxvnniMixInt8x3, avxvnniMixInt8x4}}

var avxvnniPanels = [quant.NTypes]panelFormat{
	quant.Q8_0:   fourColumns(panel16UnpackQ8_0, avxvnniMulQ8_0, nil),
	quant.Q4_0:   fourColumns(panel16UnpackQ4_0, avxvnniMulQ4_0, nil),
	quant.Q4_1:   fourColumns(panel16UnpackQ4_1, avxvnniMulQ4_1, nil),
	quant.Q5_0:   fourColumns(panel16UnpackQ5_0, avxvnniMulQ5_0, nil),
	quant.Q5_1:   fourColumns(panel16UnpackQ5_1, avxvnniMulQ5_1, nil),
	quant.IQ4_NL: fourColumns(panel16UnpackIQ4NL, avxvnniMulIQ4NL, nil),
	quant.MXFP4:  fourColumns(panel16UnpackMXFP4, avxvnniMulMXFP4, nil),
	quant.Q2_K:   fourColumns(panel16UnpackQ2K, nil, avxvnniMulQ2K),
	quant.Q3_K:   fourColumns(panel16UnpackQ3K, nil, avxvnniMulQ3K),
	quant.Q4_K:   fourColumns(panel16UnpackQ4K, nil, avxvnniMulQ4K),
	quant.Q5_K:   fourColumns(panel16UnpackQ5K, nil, avxvnniMulQ5K),
	quant.Q6_K:   fourColumns(panel16UnpackQ6K, nil, avxvnniMulQ6K),
	quant.IQ4_XS: fourColumns(panel16UnpackIQ4XS, nil, avxvnniMulIQ4XS),
	quant.TQ1_0:  fourColumns(panel16UnpackTQ1, nil, avxvnniMulTQ1),
	quant.TQ2_0:  fourColumns(panel16UnpackTQ2, nil, avxvnniMulTQ2),
}

var avxvnniRows = [quant.NTypes]eightRows{
	quant.Q8_0:   {mul32: avxvnniMatVecQ8_0},
	quant.Q4_0:   {mul32: avxvnniMatVecQ4_0},
	quant.Q4_1:   {mul32: avxvnniMatVecQ4_1},
	quant.Q5_0:   {mul32: avxvnniMatVecQ5_0},
	quant.Q5_1:   {mul32: avxvnniMatVecQ5_1},
	quant.IQ4_NL: {mul32: avxvnniMatVecIQ4NL},
	quant.MXFP4:  {mul32: avxvnniMatVecMXFP4},
	quant.Q2_K:   {mul256: avxvnniMatVecQ2K},
	quant.Q3_K:   {mul256: avxvnniMatVecQ3K},
	quant.Q4_K:   {mul256: avxvnniMatVecQ4K},
	quant.Q5_K:   {mul256: avxvnniMatVecQ5K},
	quant.Q6_K:   {mul256: avxvnniMatVecQ6K},
	quant.IQ4_XS: {mul256: avxvnniMatVecIQ4XS},
	quant.TQ1_0:  {mul256: avxvnniMatVecTQ1},
	quant.TQ2_0:  {mul256: avxvnniMatVecTQ2},
}
