package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// avx2MatMul writes the products of the formats that matmul_words.go does not take.
func avx2MatMul() {
	for _, f := range blocks32 {
		if f.words == nil {
			avx2Mul32("avx2Mul", f)
		}
	}
	for _, f := range blocks256 {
		if !f.signed {
			avx2Mul256(f)
		}
	}
}

// columns4 addresses one array of four neighbouring columns.
type columns4 struct{ base, stride, stride3 Register }

func newColumns4(base, stride Register) columns4 {
	c := columns4{base, stride, GP64()}
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, c.stride3)
	return c
}

func (c columns4) at(j, off int) Mem {
	m := Mem{Base: c.base, Disp: off}
	switch j {
	case 1:
		m.Index, m.Scale = c.stride, 1
	case 2:
		m.Index, m.Scale = c.stride, 2
	case 3:
		m.Index, m.Scale = c.stride3, 1
	}
	return m
}

// mulFunc is what the matrix products of 8 rows and 4 columns share: the arguments and the outputs.
type mulFunc struct {
	panel, n Register
	q, d, s  columns4 // d and s have the same strides
	acc      [4]VecVirtual
}

// begin reads the arguments. sType is the type of the sums; columns of d and s are K/dsShift bytes.
func (m *mulFunc) begin(name, sType string, dsShift int) {
	function(name, "func(dst *float32, stride int, panel *byte, q *int8, d *float32, s "+sType+", k int, nBlocks int, first int)",
		name+" adds nBlocks blocks to the products of a panel of 8 rows with 4 columns of k codes, which lie stride",
		"float32 apart in dst. If first is not 0, dst is only written.")
	for c := range m.acc {
		m.acc[c] = YMM()
		VXORPS(m.acc[c], m.acc[c], m.acc[c])
	}
	first := Load(Param("first"), GP64())
	TESTQ(first, first)
	JNZ(LabelRef("start"))
	out := m.dst()
	for c, a := range m.acc {
		VMOVUPS(out.at(c, 0), a)
	}
	Label("start")
	k := Load(Param("k"), GP64())
	m.panel, m.n = Load(Param("panel"), GP64()), Load(Param("nBlocks"), GP64())
	m.q = newColumns4(Load(Param("q"), GP64()), k)
	dStride := GP64()
	MOVQ(k, dStride)
	SHRQ(U8(dsShift), dStride)
	m.d = newColumns4(Load(Param("d"), GP64()), dStride)
	m.s = columns4{Load(Param("s"), GP64()), m.d.stride, m.d.stride3}
}

func (m *mulFunc) dst() columns4 {
	stride := Load(Param("stride"), GP64())
	SHLQ(U8(2), stride)
	return newColumns4(Load(Param("dst"), GP64()), stride)
}

func (m *mulFunc) end() {
	out := m.dst()
	for c, a := range m.acc {
		VMOVUPS(a, out.at(c, 0))
	}
	VZEROUPPER()
	RET()
}

// dots adds to sums the products of n quads of codes at w with those of four columns at q. Pairs of products are 16 bits
// wide; up to room of them are added before they are multiplied by the words of scale and widened.
func dots(w Mem, rowBytes int, q func(c, i int) Mem, n int, signed bool, room int, scale VecVirtual, sums *[4]VecVirtual) {
	room = min(room, n)
	var words [4]VecVirtual
	for i := range n {
		codes := loadYMM(w.Offset(rowBytes * i))
		magnitudes := codes
		if signed {
			magnitudes = YMM()
			VPABSB(codes, magnitudes)
		}
		for c := range sums {
			x := YMM()
			VPBROADCASTD(q(c, i), x)
			if signed {
				VPSIGNB(codes, x, x)
			}
			VPMADDUBSW(x, magnitudes, x)
			if i%room == 0 {
				words[c] = x
			} else {
				VPADDW(x, words[c], words[c])
			}
			if i%room != room-1 {
				continue
			}
			VPMADDWD(scale, words[c], words[c])
			if sums[c] == nil {
				sums[c] = words[c]
			} else {
				VPADDD(words[c], sums[c], sums[c])
			}
		}
	}
}

func avx2Mul32(prefix string, f block32) {
	var m mulFunc
	m.begin(prefix+f.name, "*int32", 3)
	rec := record32(8, f)
	room := 4 // 31*127*2*4 < 2^15
	if f.small {
		room = 8
	}
	ones := loadYMM(wordConst(1))
	Label("block")
	var sums [4]VecVirtual
	dots(Mem{Base: m.panel}, 32, func(c, i int) Mem { return m.q.at(c, 4*i) }, 8, f.signed, room, ones, &sums)
	for c, sum := range sums {
		dx := YMM()
		VBROADCASTSS(m.d.at(c, 0), dx)
		if f.offset != 0 || f.minOff != 0 {
			t := YMM()
			VPBROADCASTD(m.s.at(c, 0), t)
			if f.offset != 0 {
				VPSLLD(U8(log2(f.offset)), t, t)
				VPSUBD(t, sum, sum)
			} else {
				addProduct(m.acc[c], sum, loadYMM(Mem{Base: m.panel, Disp: rec.d}), dx)
				addProduct(m.acc[c], t, loadYMM(Mem{Base: m.panel, Disp: rec.dMin}), dx)
				continue
			}
		}
		addProduct(m.acc[c], sum, loadYMM(Mem{Base: m.panel, Disp: rec.d}), dx)
	}
	ADDQ(I32(rec.size), m.panel)
	ADDQ(U8(32), m.q.base)
	ADDQ(U8(4), m.d.base)
	ADDQ(U8(4), m.s.base)
	DECQ(m.n)
	JNZ(LabelRef("block"))
	m.end()
}

// pow2 is the largest power of two up to n.
func pow2(n int) int {
	p := 1
	for 2*p <= n {
		p *= 2
	}
	return p
}

func avx2Mul256(f block256) {
	var m mulFunc
	m.begin("avx2Mul"+f.name, "*int16", 6)
	rec := record256(8, f)
	room := 32767 / (f.max * 127 * 2)
	sStride := GP64()
	MOVQ(m.q.stride, sStride)
	SHRQ(U8(3), sStride)
	s := newColumns4(m.s.base, sStride)
	panel, q := GP64(), m.q
	acc := AllocLocal(4 * 32)
	for c, a := range m.acc {
		VMOVUPS(a, acc.Offset(32*c))
	}

	Label("block")
	groups := GP64()
	MOVQ(m.panel, panel)
	scales := GP64()
	LEAQ(Mem{Base: m.panel, Disp: rec.scales}, scales)
	var sums [4]VecVirtual
	for c := range sums {
		sums[c] = zeroYMM()
	}
	MOVQ(U32(8), groups)
	Label("group")
	quads := 8
	if f.group16 {
		quads = 4
	}
	for h := range 8 / quads {
		dots(Mem{Base: panel, Disp: 32 * quads * h}, 32, func(c, i int) Mem { return q.at(c, 4*(quads*h+i)) }, quads, false,
			pow2(room), loadYMM(Mem{Base: scales, Disp: 32 * h}), &sums)
	}
	ADDQ(I32(256), panel)
	ADDQ(I32(32*8/quads), scales)
	ADDQ(U8(32), q.base)
	DECQ(groups)
	JNZ(LabelRef("group"))

	minima := func() [4]VecVirtual {
		var mins [4]VecVirtual
		for g := range 8 {
			v := loadYMM(Mem{Base: m.panel, Disp: rec.minima + 32*g})
			for c := range mins {
				t := YMM()
				VPBROADCASTD(s.at(c, 4*g), t)
				VPMADDWD(v, t, t)
				if g == 0 {
					mins[c] = t
				} else {
					VPADDD(t, mins[c], mins[c])
				}
			}
		}
		return mins
	}
	if f.offset != 0 {
		for c, t := range minima() {
			VPSUBD(t, sums[c], sums[c])
		}
	}
	addTo := func(c int, sum VecVirtual, off int) {
		dx, a := YMM(), loadYMM(acc.Offset(32*c))
		VBROADCASTSS(m.d.at(c, 0), dx)
		addProduct(a, sum, loadYMM(Mem{Base: m.panel, Disp: off}), dx)
		VMOVUPS(a, acc.Offset(32*c))
	}
	for c := range sums {
		addTo(c, sums[c], rec.d)
	}
	if f.dMinOff != 0 {
		for c, t := range minima() {
			addTo(c, t, rec.dMin)
		}
	}
	ADDQ(I32(rec.size), m.panel)
	ADDQ(U8(4), m.d.base)
	ADDQ(U8(32), m.s.base)
	DECQ(m.n)
	JNZ(LabelRef("block"))
	for c := range m.acc {
		m.acc[c] = loadYMM(acc.Offset(32 * c))
	}
	m.end()
}
