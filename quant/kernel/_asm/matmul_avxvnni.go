package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// dotMatMul writes the products of panels of 16 rows of unsigned codes with four columns, by 8-bit dot products on vectors
// of 256 bits: two of them hold the rows, so that a broadcast of activations serves two dot products and loads do not
// limit the loop. They use what AVX2 has beside the dot products.
func dotMatMul(prefix string) {
	for _, f := range blocks32 {
		dotMul32(prefix, f)
	}
	for _, f := range blocks256 {
		dotMul256(prefix, f)
	}
}

// tile16 are vectors of 16 rows by four columns.
type tile16 [4][2]VecVirtual

// each calls f for every vector.
func (s *tile16) each(f func(c, h int, sum VecVirtual)) {
	for c := range s {
		for h := range s[c] {
			f(c, h, s[c][h])
		}
	}
}

func tileOf(value func(c int) VecVirtual) (s tile16) {
	for c := range s {
		v := value(c)
		s[c] = [2]VecVirtual{v, YMM()}
		VMOVDQA(v, s[c][1])
	}
	return s
}

func zeroTile() (s tile16) {
	for c := range s {
		s[c] = [2]VecVirtual{zeroYMM(), zeroYMM()}
	}
	return s
}

// dots adds to s the products of n quads of codes of 16 rows at w with those of four columns at q.
func (s *tile16) dots(w Mem, n int, q func(c, i int) Mem, dot func(...Op)) {
	for i := range n {
		codes := [2]VecVirtual{loadYMM(w.Offset(64 * i)), loadYMM(w.Offset(64*i + 32))}
		for c := range s {
			x := YMM()
			VPBROADCASTD(q(c, i), x)
			for h := range s[c] {
				dot(x, codes[h], s[c][h])
			}
		}
	}
}

func vpdpbusd(ops ...Op) { VPDPBUSD(ops[0], ops[1], ops[2]) }
func vpdpwssd(ops ...Op) { VPDPWSSD(ops[0], ops[1], ops[2]) }

// outputs16 are the running outputs in aligned memory of the stack, since all registers are in use.
type outputs16 struct{ memory Mem }

func (o outputs16) at(c, h int) Mem { return o.memory.Offset(64*c + 32*h) }

// each calls f for every output, here and in dst.
func (o outputs16) each(f func(here, dst Mem)) {
	stride := Load(Param("stride"), GP64())
	SHLQ(U8(2), stride)
	out := newColumns4(Load(Param("dst"), GP64()), stride)
	for c := range 4 {
		for h := range 2 {
			f(o.at(c, h), out.at(c, 32*h))
		}
	}
}

// add adds sum, a float32, times (scale * d) to an output.
func (o outputs16) add(c, h int, sum VecVirtual, scale Mem, d VecVirtual) {
	t := YMM()
	VMULPS(scale, d, t)
	VMULPS(t, sum, t)
	VADDPS(o.at(c, h), t, t)
	VMOVUPS(t, o.at(c, h))
}

// float turns dwords into float32, in their register.
func float(y VecVirtual) VecVirtual {
	VCVTDQ2PS(y, y)
	return y
}

func (o outputs16) store() {
	o.each(func(here, dst Mem) { VMOVUPS(loadYMM(here), dst) })
	end()
}

// dotBegin begins a function and loads the outputs. It returns, beside them, size bytes of aligned memory.
func dotBegin(name, sType string, size int) (outputs16, Mem) {
	function(name, "func(dst *float32, stride int, panel *byte, q *int8, d *float32, s "+sType+", k int, nBlocks int, first int)",
		name+" adds nBlocks blocks to the products of a panel of 16 rows with 4 columns of k codes, which lie stride",
		"float32 apart in dst. If first is not 0, dst is only written.")
	memory := Mem{Base: GP64()}
	room := AllocLocal(4*64 + size + 32)
	LEAQ(room.Offset(31), memory.Base)
	ANDQ(I32(-32), memory.Base)
	o := outputs16{memory}
	zero := zeroYMM()
	for c := range 4 {
		for h := range 2 {
			VMOVDQU(zero, o.at(c, h))
		}
	}
	first := Load(Param("first"), GP64())
	TESTQ(first, first)
	JNZ(LabelRef("start"))
	o.each(func(here, dst Mem) { VMOVUPS(loadYMM(dst), here) })
	Label("start")
	return o, memory.Offset(4 * 64)
}

// broadcast returns a dword of memory in every lane.
func broadcast(m Mem) VecVirtual {
	y := YMM()
	VPBROADCASTD(m, y)
	return y
}

func dotMul32(prefix string, f block32) {
	out, _ := dotBegin(prefix+f.name, "*int32", 0)
	rec := record32(16, f)
	offset := f.offset
	if f.signed {
		offset = 128
	}
	k := Load(Param("k"), GP64())
	panel, n := Load(Param("panel"), GP64()), Load(Param("nBlocks"), GP64())
	q := newColumns4(Load(Param("q"), GP64()), k)
	dStride := GP64()
	MOVQ(k, dStride)
	SHRQ(U8(3), dStride)
	d := newColumns4(Load(Param("d"), GP64()), dStride)
	s := columns4{Load(Param("s"), GP64()), d.stride, d.stride3}

	Label("block")
	sums := zeroTile()
	if offset != 0 {
		sums = tileOf(func(c int) VecVirtual {
			t, sum := broadcast(s.at(c, 0)), zeroYMM()
			VPSLLD(U8(log2(offset)), t, t)
			VPSUBD(t, sum, sum)
			return sum
		})
	}
	sums.dots(Mem{Base: panel}, 8, func(c, i int) Mem { return q.at(c, 4*i) }, vpdpbusd)
	for c := range sums {
		dx := broadcast(d.at(c, 0))
		for h, sum := range sums[c] {
			out.add(c, h, float(sum), Mem{Base: panel, Disp: rec.d + 32*h}, dx)
		}
		if f.minOff != 0 {
			m := float(broadcast(s.at(c, 0)))
			for h := range sums[c] {
				out.add(c, h, m, Mem{Base: panel, Disp: rec.dMin + 32*h}, dx)
			}
		}
	}
	ADDQ(I32(rec.size), panel)
	ADDQ(U8(32), q.base)
	ADDQ(U8(4), d.base)
	ADDQ(U8(4), s.base)
	DECQ(n)
	JNZ(LabelRef("block"))
	out.store()
}

func dotMul256(prefix string, f block256) {
	out, total := dotBegin(prefix+f.name, "*int16", 4*64)
	totalAt := func(c, h int) Mem { return total.Offset(64*c + 32*h) }
	rec := record256(16, f)
	panel, n := Load(Param("panel"), GP64()), Load(Param("nBlocks"), GP64())
	q := newColumns4(Load(Param("q"), GP64()), Load(Param("k"), GP64()))
	d, s := Load(Param("d"), GP64()), Load(Param("s"), GP64())

	Label("block")
	groups, codes, scales := GP64(), GP64(), GP64()
	MOVQ(U32(8), groups)
	MOVQ(panel, codes)
	LEAQ(Mem{Base: panel, Disp: rec.scales}, scales)
	zero := zeroYMM()
	for c := range 4 {
		for h := range 2 {
			VMOVDQU(zero, totalAt(c, h))
		}
	}
	quads := 64 / f.scales() // of a scale
	// A sum that fits into a word is the lower word of its dword, so that a dot product multiplies it, with the scale in the
	// lower word and nothing in the upper one. VPMULLD is twice the work on Intel's processors.
	fits := !f.signed && f.max*127*4*quads < 1<<15
	Label("group")
	for g := range 8 / quads {
		sums := zeroTile()
		sums.dots(Mem{Base: codes, Disp: 64 * quads * g}, quads, func(c, i int) Mem { return q.at(c, 4*(quads*g+i)) }, vpdpbusd)
		var scale [2]VecVirtual
		for h := range scale {
			scale[h] = loadYMM(Mem{Base: scales, Disp: 64*g + 32*h})
			if fits {
				VPSRLD(U8(16), scale[h], scale[h])
			} else {
				VPSRAD(U8(16), scale[h], scale[h])
			}
		}
		sums.each(func(c, h int, sum VecVirtual) {
			if fits {
				t := loadYMM(totalAt(c, h))
				VPDPWSSD(scale[h], sum, t)
				sum = t
			} else {
				VPMULLD(scale[h], sum, sum)
				VPADDD(totalAt(c, h), sum, sum)
			}
			VMOVDQU(sum, totalAt(c, h))
		})
	}
	ADDQ(I32(64*8), codes)
	ADDQ(I32(64*8/quads), scales)
	ADDQ(U8(32), q.base)
	DECQ(groups)
	JNZ(LabelRef("group"))

	dStride, sStride := GP64(), GP64()
	MOVQ(q.stride, dStride)
	SHRQ(U8(6), dStride)
	MOVQ(q.stride, sStride)
	SHRQ(U8(3), sStride)
	dAt := newColumns4(d, dStride).at
	minima := zeroTile()
	if f.offset != 0 || f.signed || f.dMinOff != 0 {
		minima.dots(Mem{Base: panel, Disp: rec.minima}, 8, func(c, i int) Mem { return newColumns4(s, sStride).at(c, 4*i) }, vpdpwssd)
	}
	for c := range minima {
		dx := broadcast(dAt(c, 0))
		for h, m := range minima[c] {
			sum := loadYMM(totalAt(c, h))
			if f.offset != 0 || f.signed {
				VPSUBD(m, sum, sum)
			}
			out.add(c, h, float(sum), Mem{Base: panel, Disp: rec.d + 32*h}, dx)
			if f.dMinOff != 0 {
				out.add(c, h, float(m), Mem{Base: panel, Disp: rec.dMin + 32*h}, dx)
			}
		}
	}
	ADDQ(I32(rec.size), panel)
	ADDQ(U8(4), d)
	ADDQ(U8(32), s)
	DECQ(n)
	JNZ(LabelRef("block"))
	out.store()
}
