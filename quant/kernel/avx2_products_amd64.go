package kernel

import (
	"kvasir/platform/cpu"
	"kvasir/quant"
)

// avx2Table is for every amd64 processor of the last ten years.
func avx2Table() *Table {
	t := portableTable()
	t.Name, t.Needs = "avx2", []cpu.Feature{cpu.AVX2, cpu.F16C}
	for _, typ := range []quant.Type{quant.Q8_0, quant.Q4_0, quant.Q4_1, quant.Q5_0, quant.Q5_1, quant.IQ4_NL, quant.MXFP4,
		quant.Q2_K, quant.Q3_K, quant.Q4_K, quant.Q5_K, quant.Q6_K, quant.IQ4_XS} {
		t.MatVec[typ] = avx2IntMatVec(typ)
	}
	for typ, p := range avx2Panels {
		if p.unpack != nil {
			t.MatMul[typ] = p.matMul(quant.Type(typ), t.MatVec[typ], 4)
		}
	}
	return t
}

var avx2Panels = [quant.NTypes]panelFormat{
	quant.Q8_0:   {unpack: panel8UnpackQ8_0, mul32: avx2MulQ8_0},
	quant.Q4_0:   {unpack: panel8UnpackQ4_0, mul32: avx2MulQ4_0},
	quant.Q4_1:   {unpack: panel8UnpackQ4_1, mul32: avx2MulQ4_1},
	quant.Q5_0:   {unpack: panel8UnpackQ5_0, mul32: avx2MulQ5_0},
	quant.Q5_1:   {unpack: panel8UnpackQ5_1, mul32: avx2MulQ5_1},
	quant.IQ4_NL: {unpack: panel8UnpackIQ4NL, mul32: avx2MulIQ4NL},
	quant.MXFP4:  {unpack: panel8UnpackMXFP4, mul32: avx2MulMXFP4},
	quant.Q2_K:   {unpack: panel8UnpackQ2K, mul256: avx2MulQ2K},
	quant.Q3_K:   {unpack: panel8UnpackQ3K, mul256: avx2MulQ3K},
	quant.Q4_K:   {unpack: panel8UnpackQ4K, mul256: avx2MulQ4K},
	quant.Q5_K:   {unpack: panel8UnpackQ5K, mul256: avx2MulQ5K},
	quant.Q6_K:   {unpack: panel8UnpackQ6K, mul256: avx2MulQ6K},
	quant.IQ4_XS: {unpack: panel8UnpackIQ4XS, mul256: avx2MulIQ4XS},
}

// avx2IntMatVec takes eight rows at a time. The last eight may overlap the ones before, with equal results; fewer than
// eight rows in all are taken one by one, as eight rows at distance 0.
func avx2IntMatVec(t quant.Type) MatVecFunc {
	geo := t.Geometry()
	return func(dst []float32, w []byte, x *Acts, col int, next []byte) {
		rowBytes := x.K / geo.BlockSize * geo.BlockBytes
		if rowBytes == 0 {
			clear(dst)
			return
		}
		w = w[:len(dst)*rowBytes]
		if len(dst) < 8 {
			var out [8]float32
			for r := range dst {
				avx2Rows(t, &out, w[r*rowBytes:], 0, x, col, w)
				dst[r] = out[0]
			}
			return
		}
		if len(next) == 0 {
			next = w
		}
		for r := 0; r < len(dst); r += 8 {
			ahead := next
			if r+16 <= len(dst) {
				ahead = w[(r+8)*rowBytes:]
			}
			r := min(r, len(dst)-8)
			avx2Rows(t, (*[8]float32)(dst[r:]), w[r*rowBytes:], rowBytes, x, col, ahead)
		}
	}
}

// avx2Rows multiplies eight rows of t, which lie stride bytes apart, with a column.
func avx2Rows(t quant.Type, dst *[8]float32, w []byte, stride int, x *Acts, col int, ahead []byte) {
	if t.Geometry().Partner == quant.Partner256 {
		avx2Rows256(t, dst, w, stride, x, col, ahead)
		return
	}
	q, d, s := x.Col32(col)
	switch t {
	case quant.Q8_0:
		avx2MatVecQ8_0(&dst[0], &w[0], stride, &q[0], &d[0], &s[0], len(d), &ahead[0])
	case quant.Q4_0:
		avx2MatVecQ4_0(&dst[0], &w[0], stride, &q[0], &d[0], &s[0], len(d), &ahead[0])
	case quant.Q4_1:
		avx2MatVecQ4_1(&dst[0], &w[0], stride, &q[0], &d[0], &s[0], len(d), &ahead[0])
	case quant.Q5_0:
		avx2MatVecQ5_0(&dst[0], &w[0], stride, &q[0], &d[0], &s[0], len(d), &ahead[0])
	case quant.Q5_1:
		avx2MatVecQ5_1(&dst[0], &w[0], stride, &q[0], &d[0], &s[0], len(d), &ahead[0])
	case quant.IQ4_NL:
		avx2MatVecIQ4NL(&dst[0], &w[0], stride, &q[0], &d[0], &s[0], len(d), &ahead[0])
	case quant.MXFP4:
		avx2MatVecMXFP4(&dst[0], &w[0], stride, &q[0], &d[0], &s[0], len(d), &ahead[0])
	}
}

func avx2Rows256(t quant.Type, dst *[8]float32, w []byte, stride int, x *Acts, col int, ahead []byte) {
	q, d, s := x.Col256(col)
	switch t {
	case quant.Q2_K:
		avx2MatVecQ2K(&dst[0], &w[0], stride, &q[0], &d[0], &s[0], len(d), &ahead[0])
	case quant.Q3_K:
		avx2MatVecQ3K(&dst[0], &w[0], stride, &q[0], &d[0], &s[0], len(d), &ahead[0])
	case quant.Q4_K:
		avx2MatVecQ4K(&dst[0], &w[0], stride, &q[0], &d[0], &s[0], len(d), &ahead[0])
	case quant.Q5_K:
		avx2MatVecQ5K(&dst[0], &w[0], stride, &q[0], &d[0], &s[0], len(d), &ahead[0])
	case quant.Q6_K:
		avx2MatVecQ6K(&dst[0], &w[0], stride, &q[0], &d[0], &s[0], len(d), &ahead[0])
	case quant.IQ4_XS:
		avx2MatVecIQ4XS(&dst[0], &w[0], stride, &q[0], &d[0], &s[0], len(d), &ahead[0])
	}
}
