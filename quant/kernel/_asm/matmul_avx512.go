package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func vnniMatMul() {
	for _, cols := range []int{4, 8} {
		for _, f := range blocks32 {
			vnniMul32("vnniMul", f, cols)
		}
		for _, f := range blocks256 {
			vnniMul256("vnniMul", f, cols)
		}
	}
}

// columns addresses one array of up to eight neighbouring columns; a second array may share the strides.
func newColumns(cols int, base, stride Register) rows8 {
	if cols > 4 {
		return newRows8(base, stride)
	}
	c := newColumns4(base, stride)
	return rows8{base: base, stride: stride, stride3: c.stride3}
}

func sharing(cols int, r rows8, base Register) rows8 {
	s := rows8{base: base, stride: r.stride, stride3: r.stride3}
	if cols > 4 {
		s.base4 = GP64()
		LEAQ(Mem{Base: base, Index: r.stride, Scale: 4}, s.base4)
	}
	return s
}

func advance(r rows8, n int) {
	ADDQ(I32(n), r.base)
	if r.base4 != nil {
		ADDQ(I32(n), r.base4)
	}
}

// vnniBegin reads the arguments of a product of 16 rows with cols columns.
func vnniBegin(name, sType string, cols int) (panel, n Register) {
	name = fmt.Sprintf("%s_%d", name, cols)
	function(name, "func(dst *float32, stride int, panel *byte, q *int8, d *float32, s "+sType+", k int, nBlocks int, first int)",
		fmt.Sprintf("%s adds nBlocks blocks to the products of a panel of 16 rows with %d columns of k codes, which lie stride", name, cols),
		"float32 apart in dst. If first is not 0, dst is only written.")
	return Load(Param("panel"), GP64()), Load(Param("nBlocks"), GP64())
}

// vnniOutputs addresses the outputs: register by register, since all others are in use.
func vnniOutputs(cols int, f func(c int, m Mem)) {
	p, stride := Load(Param("dst"), GP64()), Load(Param("stride"), GP64())
	SHLQ(U8(2), stride)
	for c := range cols {
		f(c, Mem{Base: p})
		if c+1 < cols {
			ADDQ(stride, p)
		}
	}
}

// zeroZMM returns a register of zeros that lives through the whole function: an instruction of full width, since the
// allocator takes a wide read after a narrow write for a use before it.
func zeroZMM() VecVirtual {
	z := ZMM()
	VPXORD(z, z, z)
	return z
}

func copyOf(v VecVirtual) VecVirtual {
	z := ZMM()
	VMOVDQA64(v, z)
	return z
}

func loadZMM(m Mem) VecVirtual {
	z := ZMM()
	VMOVDQU32(m, z)
	return z
}

// addProduct512 is addProduct with the activations' scale in memory.
func addProduct512(acc, sum VecVirtual, scale VecVirtual, d Mem) {
	t := ZMM()
	VMULPS_BCST(d, scale, t)
	VCVTDQ2PS(sum, sum)
	if fused {
		VFMADD231PS(t, sum, acc)
		return
	}
	VMULPS(t, sum, sum)
	VADDPS(sum, acc, acc)
}

// vnniDots multiplies n quads of codes at w with those of each column at q and adds them to sums.
func vnniDots(w Mem, n int, q func(c, i int) Mem, sums []VecVirtual) {
	for i := range n {
		codes := loadZMM(w.Offset(64 * i))
		for c, sum := range sums {
			VPDPBUSD_BCST(q(c, i), codes, sum)
		}
	}
}

// startOutputs returns the running outputs: zeros, or what dst holds.
func startOutputs(cols int, zero VecVirtual) []VecVirtual {
	acc := make([]VecVirtual, cols)
	for c := range acc {
		acc[c] = copyOf(zero)
	}
	first := Load(Param("first"), GP64())
	TESTQ(first, first)
	JNZ(LabelRef("start"))
	vnniOutputs(cols, func(c int, m Mem) { VMOVUPS(m, acc[c]) })
	Label("start")
	return acc
}

func vnniMul32(prefix string, f block32, cols int) {
	panel, n := vnniBegin(prefix+f.name, "*int32", cols)
	rec := record32(16, f)
	offset := f.offset
	if f.signed {
		offset = 128
	}
	zero := zeroZMM()
	acc := startOutputs(cols, zero)
	k := Load(Param("k"), GP64())
	q := newColumns(cols, Load(Param("q"), GP64()), k)
	dStride := GP64()
	MOVQ(k, dStride)
	SHRQ(U8(3), dStride)
	d := newColumns(cols, Load(Param("d"), GP64()), dStride)
	s := sharing(cols, d, Load(Param("s"), GP64()))

	Label("block")
	sums := make([]VecVirtual, cols)
	for c := range sums {
		if offset == 0 {
			sums[c] = copyOf(zero)
			continue
		}
		sums[c] = ZMM()
		VPSLLD_BCST(U8(log2(offset)), s.at(c, 0), sums[c])
		VPSUBD(sums[c], zero, sums[c])
	}
	vnniDots(Mem{Base: panel}, 8, func(c, i int) Mem { return q.at(c, 4*i) }, sums)
	scale := loadZMM(Mem{Base: panel, Disp: rec.d})
	for c, sum := range sums {
		addProduct512(acc[c], sum, scale, d.at(c, 0))
	}
	if f.minOff != 0 {
		min := loadZMM(Mem{Base: panel, Disp: rec.dMin})
		for c := range sums {
			sum := ZMM()
			VPBROADCASTD(s.at(c, 0), sum)
			addProduct512(acc[c], sum, min, d.at(c, 0))
		}
	}
	ADDQ(I32(rec.size), panel)
	advance(q, 32)
	advance(d, 4)
	advance(s, 4)
	DECQ(n)
	JNZ(LabelRef("block"))
	vnniOutputs(cols, func(c int, m Mem) { VMOVUPS(acc[c], m) })
	end()
}

func vnniMul256(prefix string, f block256, cols int) {
	panel, n := vnniBegin(prefix+f.name, "*int16", cols)
	rec := record256(16, f)
	zero := zeroZMM()
	acc := AllocLocal(64 * cols)
	for c, a := range startOutputs(cols, zero) {
		VMOVUPS(a, acc.Offset(64*c))
	}
	k := Load(Param("k"), GP64())
	q := newColumns(cols, Load(Param("q"), GP64()), k)
	dStride, sStride := GP64(), GP64()
	MOVQ(k, dStride)
	SHRQ(U8(6), dStride)
	MOVQ(k, sStride)
	SHRQ(U8(3), sStride)
	d := newColumns(cols, Load(Param("d"), GP64()), dStride)
	s := newColumns(cols, Load(Param("s"), GP64()), sStride)

	Label("block")
	quads := 256 / 4 / f.scales()
	sums := make([]VecVirtual, cols)
	for g := range f.scales() {
		dots := make([]VecVirtual, cols)
		for c := range dots {
			dots[c] = copyOf(zero)
		}
		vnniDots(Mem{Base: panel, Disp: 64 * quads * g}, quads, func(c, i int) Mem { return q.at(c, 4*(quads*g+i)) }, dots)
		scale := ZMM()
		VPSRAD(U8(16), Mem{Base: panel, Disp: rec.scales + 64*g}, scale)
		for c, dot := range dots {
			VPMULLD(scale, dot, dot)
			if g == 0 {
				sums[c] = dot
			} else {
				VPADDD(dot, sums[c], sums[c])
			}
		}
	}
	minima := make([]VecVirtual, cols)
	if f.offset != 0 || f.signed || f.dMinOff != 0 {
		for c := range minima {
			minima[c] = copyOf(zero)
		}
		for g := range 8 {
			v := loadZMM(Mem{Base: panel, Disp: rec.minima + 64*g})
			for c := range minima {
				VPDPWSSD_BCST(s.at(c, 4*g), v, minima[c])
			}
		}
	}
	scale, min := loadZMM(Mem{Base: panel, Disp: rec.d}), VecVirtual(nil)
	if f.dMinOff != 0 {
		min = loadZMM(Mem{Base: panel, Disp: rec.dMin})
	}
	for c, sum := range sums {
		a := loadZMM(acc.Offset(64 * c))
		if f.offset != 0 || f.signed {
			VPSUBD(minima[c], sum, sum)
		}
		addProduct512(a, sum, scale, d.at(c, 0))
		if min != nil {
			addProduct512(a, minima[c], min, d.at(c, 0))
		}
		VMOVUPS(a, acc.Offset(64*c))
	}
	ADDQ(I32(rec.size), panel)
	advance(q, 256)
	advance(d, 4)
	advance(s, 32)
	DECQ(n)
	JNZ(LabelRef("block"))
	vnniOutputs(cols, func(c int, m Mem) {
		VMOVUPS(loadZMM(acc.Offset(64*c)), m)
	})
	end()
}
