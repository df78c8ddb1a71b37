package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// floatRow is how a vector of 16 values of a float type is read; the masked form reads zeros beyond the mask and
// touches no memory there.
type floatRow struct {
	name   string
	bytes  int
	load   func(m Mem) VecVirtual
	masked func(m Mem, k Register) VecVirtual
}

var floatRows = []floatRow{
	{"F32", 4, loadZMM, func(m Mem, k Register) VecVirtual {
		z := ZMM()
		VMOVUPS_Z(m, k, z)
		return z
	}},
	{"F16", 2, func(m Mem) VecVirtual {
		z := ZMM()
		VCVTPH2PS(m, z)
		return z
	}, func(m Mem, k Register) VecVirtual {
		z := ZMM()
		VCVTPH2PS_Z(m, k, z)
		return z
	}},
	{"BF16", 2, func(m Mem) VecVirtual {
		z := ZMM()
		VPMOVZXWD(m, z)
		VPSLLD(U8(16), z, z)
		return z
	}, func(m Mem, k Register) VecVirtual {
		z := ZMM()
		VPMOVZXWD_Z(m, k, z)
		VPSLLD(U8(16), z, z)
		return z
	}},
}

// avx512Float multiplies four rows of a float type with four columns: the 16 lanes of an output are one register.
func avx512Float() {
	for _, f := range floatRows {
		a := begin("avx512Mul"+f.name, "func(dst *float32, stride int, w *byte, rowBytes int, x *float32, xBytes int, n int, rest int)",
			"multiplies four rows with four columns of 16*n+rest values, rest < 16; outputs of a column are stride float32 from the last.",
			"w", "rowBytes", "x", "xBytes", "n")
		w, x, n := newColumns4(a[0], a[1]), newColumns4(a[2], a[3]), a[4]
		zero := zeroZMM()
		var acc [4][4]VecVirtual // column, row
		for c := range acc {
			for r := range acc[c] {
				acc[c][r] = copyOf(zero)
			}
		}
		step := func(row, column func(m Mem) VecVirtual) {
			var rows [4]VecVirtual
			for r := range rows {
				rows[r] = row(w.at(r, 0))
			}
			for c := range acc {
				v := column(x.at(c, 0))
				for r := range rows {
					t := ZMM()
					VMULPS(rows[r], v, t)
					VADDPS(t, acc[c][r], acc[c][r])
				}
			}
		}
		TESTQ(n, n)
		JZ(LabelRef("rest"))
		loop("loop", n, func() { step(f.load, loadZMM) }, w.base, 16*f.bytes, x.base, 64)
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
		sum := foldLanes(acc)
		dst, stride := Load(Param("dst"), GP64()), Load(Param("stride"), GP64())
		SHLQ(U8(2), stride)
		out := newColumns4(dst, stride)
		VMOVUPS(sum.AsX(), out.at(0, 0))
		for c := 1; c < 4; c++ {
			VEXTRACTF32X4(U8(c), sum, out.at(c, 0))
		}
		end()
	}
}

// foldLanes adds the lanes of 16 vectors in the order of docs/NUMERICS.md §1. In the result the columns are the
// quarters, and the rows the elements of each.
func foldLanes(v [4][4]VecVirtual) VecVirtual {
	add := func(lo, hi func(a, b, t VecVirtual), a, b VecVirtual) VecVirtual {
		t, u := ZMM(), ZMM()
		lo(a, b, t)
		hi(a, b, u)
		VADDPS(u, t, t)
		return t
	}
	quarters := func(order uint8) func(a, b, t VecVirtual) {
		return func(a, b, t VecVirtual) { VSHUFF64X2(U8(order), b, a, t) }
	}
	elements := func(order uint8) func(a, b, t VecVirtual) {
		return func(a, b, t VecVirtual) { VSHUFPS(U8(order), b, a, t) }
	}
	var rows [4]VecVirtual
	for r := range rows {
		a := add(quarters(0x44), quarters(0xee), v[0][r], v[1][r])
		b := add(quarters(0x44), quarters(0xee), v[2][r], v[3][r])
		rows[r] = add(quarters(0x88), quarters(0xdd), a, b)
	}
	pairs := [2]VecVirtual{}
	for i := range pairs {
		pairs[i] = add(func(a, b, t VecVirtual) { VUNPCKLPD(b, a, t) }, func(a, b, t VecVirtual) { VUNPCKHPD(b, a, t) }, rows[2*i], rows[2*i+1])
	}
	return add(elements(0x88), elements(0xdd), pairs[0], pairs[1])
}
