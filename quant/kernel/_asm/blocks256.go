package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// block256 is a format with blocks of 256 values, as the AVX2 kernels read it. "Group" is a run of 32 values here; a
// format with group16 has two scales in it.
type block256 struct {
	name    string
	bytes   int
	dOff    int // position of the fp16 D
	dMinOff int // of the fp16 that is -DMin; 0: no minima

	codes   func(r rows8, j, g int) VecVirtual // the codes of group g of row j
	max     int                                // the largest code
	signed  bool                               // codes are signed; else offset is subtracted from each
	offset  int                                // a power of two or 0
	group16 bool

	// row returns, for a product of row j: words(g), the scales of group g as 16 words; and minima, eight dwords whose
	// sum is the sum of Min[g]*x, or for a format with an offset of offset*Scale[g]*x. sums are the 16 sums of x as
	// words, sums32 the 8 sums of 32 as dwords.
	row func(r rows8, j int, sums, sums32 VecVirtual) (words func(g int) VecVirtual, minima VecVirtual)
	// panel calls scale (and min) for each scale in order with a dword per row, sign-extended.
	panel func(r rows8, scale, min func(v VecVirtual))
}

func (f block256) scales() int {
	if f.group16 {
		return 16
	}
	return 8
}

var blocks256 = []block256{
	{name: "Q4K", bytes: 144, dOff: 0, dMinOff: 2, codes: codesQ4K, max: 15, row: rowQ4K, panel: panelQ4K},
	{name: "Q5K", bytes: 176, dOff: 0, dMinOff: 2, codes: codesQ5K, max: 31, row: rowQ4K, panel: panelQ4K},
	{name: "Q6K", bytes: 210, dOff: 208, codes: codesQ6K, max: 63, offset: 32, group16: true, row: rowQ6K, panel: panelQ6K},
	{name: "Q2K", bytes: 84, dOff: 80, dMinOff: 82, codes: codesPairs(16), max: 3, group16: true, row: rowQ2K, panel: panelQ2K},
	{name: "Q3K", bytes: 110, dOff: 108, codes: codesQ3K, max: 7, offset: 4, group16: true, row: rowQ3K, panel: panelQ3K},
	{name: "IQ4XS", bytes: 136, dOff: 0, codes: codesIQ4XS, max: 127, signed: true, row: rowIQ4XS, panel: panelIQ4XS},
}

func and(y VecVirtual, m Mem) VecVirtual {
	VPAND(m, y, y)
	return y
}

// shifted loads 32 bytes, shifts each right by n bits and keeps the bits of mask.
func shifted(m Mem, n int, mask byte) VecVirtual {
	y := loadYMM(m)
	if n > 0 {
		VPSRLW(U8(n), y, y)
	} else if n < 0 {
		VPSLLW(U8(-n), y, y)
	}
	return and(y, byteConst(mask))
}

func or(a, b VecVirtual) VecVirtual {
	VPOR(b, a, a)
	return a
}

func codesQ4K(r rows8, j, g int) VecVirtual { return shifted(r.at(j, 16+32*(g/2)), 4*(g%2), 15) }

func codesQ5K(r rows8, j, g int) VecVirtual {
	y := shifted(r.at(j, 48+32*(g/2)), 4*(g%2), 15)
	return or(y, shifted(r.at(j, 16), g-4, 16))
}

func codesQ6K(r rows8, j, g int) VecVirtual {
	h, k := g/4, g%4
	y := shifted(r.at(j, 64*h+32*(k%2)), k/2*4, 15)
	return or(y, shifted(r.at(j, 128+32*h), 2*k-4, 0x30))
}

func codesPairs(off int) func(r rows8, j, g int) VecVirtual {
	return func(r rows8, j, g int) VecVirtual { return shifted(r.at(j, off+32*(g/4)), g%4*2, 3) }
}

func codesQ3K(r rows8, j, g int) VecVirtual {
	return or(codesPairs(32)(r, j, g), shifted(r.at(j, 0), g-2, 4))
}

func codesIQ4XS(r rows8, j, g int) VecVirtual { return lookup(8+16*g, iq4Values)(r, j) }

// pick returns 16 words per 128 bits that repeat byte i of the low (and byte hi of the high) half of y.
func pickByte(y VecVirtual, i int) VecVirtual {
	t := YMM()
	VPSHUFB(bytes32(func(k int) byte {
		if k%2 == 1 {
			return 0x80
		}
		return byte(i)
	}), y, t)
	return t
}

// pickWord repeats word i of each half of y.
func pickWord(y VecVirtual, i int) VecVirtual {
	t := YMM()
	VPSHUFB(bytes32(func(k int) byte { return byte(2*i + k%2) }), y, t)
	return t
}

// rowQ4K unpacks the 6-bit scales and minima in general registers, eight bytes each.
func rowQ4K(r rows8, j int, _, sums32 VecVirtual) (func(g int) VecVirtual, VecVirtual) {
	a, b, c := GP64(), GP64(), GP64()
	MOVL(r.at(j, 4), a.As32())
	MOVL(r.at(j, 8), b.As32())
	MOVL(r.at(j, 12), c.As32())
	eight := func(x Register, shift int) Register {
		lo, hi, y := GP64(), GP64(), GP64()
		MOVL(x.(GPVirtual).As32(), lo.As32())
		ANDL(I32(0x3f3f3f3f), lo.As32())
		MOVL(x.(GPVirtual).As32(), hi.As32())
		SHRL(U8(2), hi.As32())
		ANDL(I32(0x30303030), hi.As32())
		MOVL(c.As32(), y.As32())
		if shift > 0 {
			SHRL(U8(shift), y.As32())
		}
		ANDL(I32(0x0f0f0f0f), y.As32())
		ORL(y.As32(), hi.As32())
		SHLQ(U8(32), hi)
		ORQ(lo, hi)
		return hi
	}
	sx, sy, mx, my := XMM(), YMM(), XMM(), YMM()
	MOVQ(eight(a, 0), sx)
	VPBROADCASTQ(sx, sy)
	MOVQ(eight(b, 4), mx)
	VPMOVZXBD(mx, my)
	VPMADDWD(sums32, my, my)
	return func(g int) VecVirtual { return pickByte(sy, g) }, my
}

// evenOdd orders 16 bytes as the even ones, then the odd ones, and widens them to words: after that word i of the two
// halves are the scales of the halves of group i.
func evenOdd(x VecVirtual) VecVirtual {
	y := YMM()
	VPSHUFB(bytes32(func(i int) byte { return byte(i%8*2 + i%16/8) }), x, x)
	VPMOVSXBW(x, y)
	return y
}

func rowQ6K(r rows8, j int, sums, _ VecVirtual) (func(g int) VecVirtual, VecVirtual) {
	m, x := YMM(), XMM()
	VPMOVSXBW(r.at(j, 192), m)
	VPMADDWD(sums, m, m)
	VPSLLD(U8(5), m, m)
	VMOVDQU(r.at(j, 192), x)
	y := evenOdd(x)
	return func(g int) VecVirtual { return pickWord(y, g) }, m
}

func rowQ2K(r rows8, j int, sums, _ VecVirtual) (func(g int) VecVirtual, VecVirtual) {
	x, s, m := XMM(), XMM(), YMM()
	VMOVDQU(r.at(j, 0), x)
	VPAND(byteConst(15), x, s)
	VPSRLW(U8(4), x, x)
	VPAND(byteConst(15), x, x)
	VPMOVZXBW(x, m)
	VPMADDWD(sums, m, m)
	y := evenOdd(s)
	return func(g int) VecVirtual { return pickWord(y, g) }, m
}

func rowQ3K(r rows8, j int, sums, _ VecVirtual) (func(g int) VecVirtual, VecVirtual) {
	lo, hi, t, m := XMM(), XMM(), XMM(), YMM()
	// Low nibbles: bytes 0-7, then the same shifted by 4. High pairs: bytes 8-11 four times, shifted by 0, 2, 4, 6.
	VMOVQ(r.at(j, 96), lo)
	VPSRLW(U8(4), lo, t)
	VPUNPCKLQDQ(t, lo, lo)
	VPAND(byteConst(15), lo, lo)
	VPBROADCASTD(r.at(j, 104), hi)
	VPSRLVD(bytes32(func(i int) byte { return byte(i%16/4*2) * b2(i%4 == 0) }), hi, hi)
	VPAND(byteConst(3), hi, hi)
	VPSLLW(U8(4), hi, hi)
	VPOR(hi, lo, lo)
	VPSUBB(byteConst(32), lo, lo)
	VPMOVSXBW(lo, m)
	VPMADDWD(sums, m, m)
	VPSLLD(U8(2), m, m)
	y := evenOdd(lo)
	return func(g int) VecVirtual { return pickWord(y, g) }, m
}

func rowIQ4XS(r rows8, j int, _, _ VecVirtual) (func(g int) VecVirtual, VecVirtual) {
	lo, hi := YMM(), YMM()
	VPBROADCASTD(r.at(j, 4), lo)
	VPSRLVD(bytes32(func(i int) byte { return byte(i/4*4) * b2(i%4 == 0) }), lo, lo)
	VPAND(dwordConst(15), lo, lo)
	VPBROADCASTD(r.at(j, 0), hi)
	VPSRLVD(bytes32(func(i int) byte { return byte(16+i/4*2) * b2(i%4 == 0) }), hi, hi)
	VPAND(dwordConst(3), hi, hi)
	VPSLLD(U8(4), hi, hi)
	VPOR(hi, lo, lo)
	VPSUBD(dwordConst(32), lo, lo)
	lo = twice(lo)
	return func(g int) VecVirtual {
		t := loadYMM(dwordConst(uint32(g)))
		VPERMD(lo, t, t)
		return t
	}, VecVirtual(nil)
}

// twice copies the low word of each dword to its high word.
func twice(v VecVirtual) VecVirtual {
	t := YMM()
	VPSLLD(U8(16), v, t)
	VPBLENDW(U8(0xaa), t, v, t)
	return t
}

// dwords8 reads a dword at off of each row.
func dwords8(r rows8, off int) VecVirtual {
	lo, hi, y := XMM(), XMM(), YMM()
	for h, x := range []VecVirtual{lo, hi} {
		VMOVD(r.at(4*h, off), x)
		for j := 1; j < 4; j++ {
			VPINSRD(U8(j), r.at(4*h+j, off), x, x)
		}
	}
	VINSERTI128(U8(1), hi, lo.(VecVirtual).AsY(), y)
	return y
}

// eachByte calls f with byte i of every dword, sign-extended, for i = 0..3.
func eachByte(v VecVirtual, f func(VecVirtual)) {
	for i := range 4 {
		t := YMM()
		VPSLLD(U8(24-8*i), v, t)
		VPSRAD(U8(24), t, t)
		f(t)
	}
}

func panelQ4K(r rows8, scale, min func(VecVirtual)) {
	for _, p := range []struct {
		off, shift int
		f          func(VecVirtual)
	}{{4, 0, scale}, {8, 4, min}} {
		x := dwords8(r, p.off)
		lo, hi := YMM(), YMM()
		VPAND(byteConst(63), x, lo)
		eachByte(lo, p.f)
		VPSRLD(U8(2), x, hi)
		VPAND(byteConst(0x30), hi, hi)
		z := dwords8(r, 12)
		if p.shift > 0 {
			VPSRLD(U8(p.shift), z, z)
		}
		eachByte(or(hi, and(z, byteConst(15))), p.f)
	}
}

func panelQ6K(r rows8, scale, _ func(VecVirtual)) {
	for i := range 4 {
		eachByte(dwords8(r, 192+4*i), scale)
	}
}

func panelQ2K(r rows8, scale, min func(VecVirtual)) {
	for i := range 4 {
		x, t := dwords8(r, 4*i), YMM()
		VPAND(byteConst(15), x, t)
		eachByte(t, scale)
		VPSRLD(U8(4), x, x)
		eachByte(and(x, byteConst(15)), min)
	}
}

func panelQ3K(r rows8, scale, _ func(VecVirtual)) {
	for i := range 4 {
		lo := dwords8(r, 96+4*(i%2))
		if i >= 2 {
			VPSRLD(U8(4), lo, lo)
		}
		hi := dwords8(r, 104)
		if i > 0 {
			VPSRLD(U8(2*i), hi, hi)
		}
		hi = and(hi, byteConst(3))
		VPSLLD(U8(4), hi, hi)
		s := or(and(lo, byteConst(15)), hi)
		VPSUBB(byteConst(32), s, s)
		eachByte(s, scale)
	}
}

func panelIQ4XS(r rows8, scale, _ func(VecVirtual)) {
	for g := range 8 {
		lo, hi := dwords8(r, 4), dwords8(r, 0)
		if g > 0 {
			VPSRLD(U8(4*g), lo, lo)
		}
		VPSRLD(U8(16+2*g), hi, hi)
		hi = and(hi, dwordConst(3))
		VPSLLD(U8(4), hi, hi)
		s := or(and(lo, dwordConst(15)), hi)
		VPSUBD(dwordConst(32), s, s)
		scale(s)
	}
}
