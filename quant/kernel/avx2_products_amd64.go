package kernel

import (
	"kvasir/platform/cpu"
	"kvasir/quant"
)

// avx2Table is for every amd64 processor of the last ten years.
func avx2Table() *Table {
	t := portableTable()
	t.Name, t.Needs = "avx2", []cpu.Feature{cpu.AVX2, cpu.F16C}
	for typ := range avx2Rows {
		if rows := &avx2Rows[typ]; rows.mul32 != nil || rows.mul256 != nil {
			t.MatVec[typ] = rows.matVec(quant.Type(typ))
		}
	}
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
	quant.Q4_0:  avx2Panel32(panel8UnpackQ4_0, avx2MulQ4_0),
	quant.Q4_1:  avx2Panel32(panel8UnpackQ4_1, avx2MulQ4_1),
	quant.Q5_0:  avx2Panel32(panel8UnpackQ5_0, avx2MulQ5_0),
	quant.Q5_1:  avx2Panel32(panel8UnpackQ5_1, avx2MulQ5_1),
	quant.MXFP4: avx2Panel32(panel8UnpackMXFP4, avx2MulMXFP4),
	quant.Q2_K:  avx2Panel256(panel8UnpackQ2K, avx2MulQ2K),
	quant.Q3_K:  avx2Panel256(panel8UnpackQ3K, avx2MulQ3K),
	quant.Q4_K:  avx2Panel256(panel8UnpackQ4K, avx2MulQ4K),
	quant.Q5_K:  avx2Panel256(panel8UnpackQ5K, avx2MulQ5K),
	quant.Q6_K:  avx2Panel256(panel8UnpackQ6K, avx2MulQ6K),
	quant.TQ1_0: avx2Panel256(panel8UnpackTQ1, avx2MulTQ1),
	quant.TQ2_0: avx2Panel256(panel8UnpackTQ2, avx2MulTQ2),
}

func avx2Panel32(unpack func(dst, w *byte, rowBytes, nBlocks int, ahead *byte),
	mul func(dst *float32, stride int, panel *byte, q *int8, d *float32, s *int32, k, nBlocks, first int)) panelFormat {
	p := panelMul{cols: 4, mul32: mul}
	return panelFormat{unpack, p, p}
}

func avx2Panel256(unpack func(dst, w *byte, rowBytes, nBlocks int, ahead *byte),
	mul func(dst *float32, stride int, panel *byte, q *int8, d *float32, s *int16, k, nBlocks, first int)) panelFormat {
	p := panelMul{cols: 4, mul256: mul}
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
