package kernel

import (
	"kvasir/platform/cpu"
	"kvasir/quant"
)

// avx2Table is for every amd64 processor of the last ten years.
func avx2Table() *Table {
	t := portableTable()
	t.Name, t.Needs = "avx2", []cpu.Feature{cpu.AVX2, cpu.F16C}
	t.setRows(&avx2Rows)
	for typ := range avx2Panels {
		if p := &avx2Panels[typ]; p.unpack != nil {
			t.MatMul[typ] = p.matMul(quant.Type(typ), 8, columnByColumn(t.MatVec[typ]))
		}
	}
	for typ := range avx2Words {
		if p := &avx2Words[typ]; p.unpack != nil {
			t.MatMul[typ] = p.matMul(quant.Type(typ), columnByColumn(t.MatVec[typ]))
		}
	}
	for _, typ := range []quant.Type{quant.F32, quant.F16, quant.BF16} {
		t.MatVec[typ], t.MatMul[typ] = avx2FloatMatVec(typ), avx2FloatMatMul(typ)
	}
	t.setAVX2Rows()
	t.setAVX2Attention()
	return t
}

var avx2Panels = [quant.NTypes]panelFormat{
	quant.Q4_0:  fourColumns(panel8UnpackQ4_0, avx2MulQ4_0, nil),
	quant.Q4_1:  fourColumns(panel8UnpackQ4_1, avx2MulQ4_1, nil),
	quant.Q5_0:  fourColumns(panel8UnpackQ5_0, avx2MulQ5_0, nil),
	quant.Q5_1:  fourColumns(panel8UnpackQ5_1, avx2MulQ5_1, nil),
	quant.MXFP4: fourColumns(panel8UnpackMXFP4, avx2MulMXFP4, nil),
	quant.Q2_K:  fourColumns(panel8UnpackQ2K, nil, avx2MulQ2K),
	quant.Q3_K:  fourColumns(panel8UnpackQ3K, nil, avx2MulQ3K),
	quant.Q4_K:  fourColumns(panel8UnpackQ4K, nil, avx2MulQ4K),
	quant.Q5_K:  fourColumns(panel8UnpackQ5K, nil, avx2MulQ5K),
	quant.Q6_K:  fourColumns(panel8UnpackQ6K, nil, avx2MulQ6K),
	quant.TQ1_0: fourColumns(panel8UnpackTQ1, nil, avx2MulTQ1),
	quant.TQ2_0: fourColumns(panel8UnpackTQ2, nil, avx2MulTQ2),
}

// fourColumns is a format whose products all take four columns; mul32 or mul256 is set.
func fourColumns(unpack func(dst, w *byte, rowBytes, nBlocks int, ahead *byte),
	mul32 func(dst *float32, stride int, panel *byte, q *int8, d *float32, s *int32, k, nBlocks, first int),
	mul256 func(dst *float32, stride int, panel *byte, q *int8, d *float32, s *int16, k, nBlocks, first int)) panelFormat {
	p := panelMul{4, mul32, mul256}
	return panelFormat{unpack, p, p}
}

var avx2Rows = [quant.NTypes]eightRows{
	quant.Q8_0:   {mul32: avx2MatVecQ8_0},
	quant.Q4_0:   {mul32: avx2MatVecQ4_0},
	quant.Q4_1:   {mul32: avx2MatVecQ4_1},
	quant.Q5_0:   {mul32: avx2MatVecQ5_0},
	quant.Q5_1:   {mul32: avx2MatVecQ5_1},
	quant.IQ4_NL: {mul32: avx2MatVecIQ4NL},
	quant.MXFP4:  {mul32: avx2MatVecMXFP4},
	quant.Q2_K:   {mul256: avx2MatVecQ2K},
	quant.Q3_K:   {mul256: avx2MatVecQ3K},
	quant.Q4_K:   {mul256: avx2MatVecQ4K},
	quant.Q5_K:   {mul256: avx2MatVecQ5K},
	quant.Q6_K:   {mul256: avx2MatVecQ6K},
	quant.IQ4_XS: {mul256: avx2MatVecIQ4XS},
	quant.TQ1_0:  {mul256: avx2MatVecTQ1},
	quant.TQ2_0:  {mul256: avx2MatVecTQ2},
}
