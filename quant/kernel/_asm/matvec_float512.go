package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// avx512FloatRows multiplies four rows of a float type with one column. The 16 lanes of a row are one register, and four
// rows are as many streams as memory delivers well.
func avx512FloatRows() {
	for _, f := range floatRows {
		a := begin("avx512Rows"+f.name, "func(dst *float32, w *byte, rowBytes int, x *float32, n int, rest int, ahead *byte)",
			"sets dst[:4] to the products of four rows of 16*n+rest values, rest < 16, with a column, and prefetches 4*16*n values at ahead.",
			"w", "rowBytes", "x", "n", "ahead")
		w, x, n, ahead := newColumns4(a[0], a[1]), a[2], a[3], a[4]
		var acc [4]VecVirtual
		for r := range acc {
			acc[r] = zeroZMM()
		}
		step := func(row, column func(m Mem) VecVirtual) {
			v := column(Mem{Base: x})
			for r := range acc {
				t := row(w.at(r, 0))
				VMULPS(t, v, t)
				VADDPS(t, acc[r], acc[r])
			}
		}
		TESTQ(n, n)
		JZ(LabelRef("rest"))
		Label("loop")
		prefetch(ahead, 4*16*f.bytes)
		step(f.load, loadZMM)
		ADDQ(I32(16*f.bytes), w.base)
		ADDQ(I32(64), x)
		DECQ(n)
		JNZ(LabelRef("loop"))
		Label("rest")
		rest := Load(Param("rest"), RCX)
		TESTQ(rest, rest)
		JZ(LabelRef("fold"))
		bits, k := GP32(), K()
		MOVL(U32(1), bits)
		SHLL(CL, bits)
		DECL(bits)
		KMOVW(bits, k)
		step(func(m Mem) VecVirtual { return f.masked(m, k) }, func(m Mem) VecVirtual { return floatRows[0].masked(m, k) })
		Label("fold")
		sum := foldLanes([4][4]VecVirtual{acc, acc, acc, acc})
		VMOVUPS(sum.AsX(), Mem{Base: Load(Param("dst"), GP64())})
		end()
	}
}
