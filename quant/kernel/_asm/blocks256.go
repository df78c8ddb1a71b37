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

	codes func(r rows8, j, g int) VecVirtual // the codes of group g of row j
	// pair returns the codes of two groups that share bytes, and which groups they are, for p < 4; nil: two of codes.
	pair  func(r rows8, j, p int) (a, b VecVirtual, ga, gb int)
	masks []byte // constants of pair and codes
	// patterns are the constants of row's words.
	patterns func(g int) Op
	max      int  // the largest code
	signed   bool // codes are signed; else offset is subtracted from each
	offset   int  // a power of two or 0
	group16  bool

	// row returns, for a product of row j: words(g), the scales of group g as 16 words; and minima, eight dwords whose
	// sum is the sum of Min[g]*x, or for a format with an offset of offset*Scale[g]*x. sums are the 16 sums of x as
	// words, sums32 the 8 sums of 32 as dwords.
	row func(r rows8, j int, sums, sums32 VecVirtual) (words func(g int) VecVirtual, minima VecVirtual)
	// eight, where it is set, does the work of row for eight rows at once: it returns the sums over the minima of eight
	// rows as the lanes of a vector, and row's words for row j. It has 64 bytes of memory.
	eight func(r rows8, sums32 VecVirtual, memory Mem) (words func(j int) func(g int) VecVirtual, minima VecVirtual)
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
	{name: "Q4K", patterns: byteAsWord, bytes: 144, dOff: 0, dMinOff: 2, codes: codesQ4K, pair: pairQ4K, masks: []byte{15}, max: 15, eight: eightQ4K, panel: panelQ4K},
	{name: "Q5K", patterns: byteAsWord, bytes: 176, dOff: 0, dMinOff: 2, codes: codesQ5K, pair: pairQ5K, masks: []byte{15, 16}, max: 31, eight: eightQ4K, panel: panelQ4K},
	{name: "Q6K", patterns: word, bytes: 210, dOff: 208, codes: codesQ6K, pair: pairQ6K, masks: []byte{15, 0x30}, max: 63, offset: 32, group16: true, row: rowQ6K, panel: panelQ6K},
	{name: "Q2K", patterns: word, bytes: 84, dOff: 80, dMinOff: 82, codes: codesPairs(16), masks: []byte{3}, max: 3, group16: true, row: rowQ2K, panel: panelQ2K},
	{name: "Q3K", patterns: word, bytes: 110, dOff: 108, codes: codesQ3K, masks: []byte{3, 4}, max: 7, offset: 4, group16: true, row: rowQ3K, panel: panelQ3K},
	{name: "IQ4XS", bytes: 136, dOff: 0, codes: codesIQ4XS, masks: []byte{15}, max: 127, signed: true, row: rowIQ4XS, panel: panelIQ4XS},
	{name: "TQ1", bytes: 54, dOff: 52, codes: codesTQ1, max: 2, offset: 1, row: rowOnes, panel: panelOnes},
	{name: "TQ2", bytes: 66, dOff: 64, codes: codesPairs(0), masks: []byte{3}, max: 3, offset: 1, row: rowOnes, panel: panelOnes},
}

func and(y VecVirtual, m Op) VecVirtual {
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

func pairQ4K(r rows8, j, p int) (a, b VecVirtual, ga, gb int) {
	a, b = halves(r.at(j, 16+32*p))
	return a, b, 2 * p, 2*p + 1
}

func pairQ5K(r rows8, j, p int) (a, b VecVirtual, ga, gb int) {
	a, b = halves(r.at(j, 48+32*p))
	return or(a, shifted(r.at(j, 16), 2*p-4, 16)), or(b, shifted(r.at(j, 16), 2*p-3, 16)), 2 * p, 2*p + 1
}

func pairQ6K(r rows8, j, p int) (a, b VecVirtual, ga, gb int) {
	h, k := p/2, p%2
	a, b = halves(r.at(j, 64*h+32*k))
	x, y := loadYMM(r.at(j, 128+32*h)), YMM()
	VPSLLW(U8(4-2*k), x, y)
	if k > 0 {
		VPSRLW(U8(2*k), x, x)
	}
	return or(a, and(y, byteConst(0x30))), or(b, and(x, byteConst(0x30))), 4*h + k, 4*h + k + 2
}

// halves loads 32 bytes and returns their low and their high nibbles.
func halves(m Mem) (lo, hi VecVirtual) {
	lo, hi = loadYMM(m), YMM()
	VPSRLW(U8(4), lo, hi)
	return and(lo, byteConst(15)), and(hi, byteConst(15))
}

// codesTQ1 takes digit after digit of bytes that are fractions in base 3: groups 0-4 are the digits of 32 bytes, the
// next two and a half those of 16, and the last 16 values are four digits of four bytes.
func codesTQ1(r rows8, j, g int) VecVirtual {
	if g < 5 {
		y := loadYMM(r.at(j, 0))
		return digit(times3(y, g))
	}
	y, t := YMM(), YMM()
	VBROADCASTI128(r.at(j, 32), y)
	if g < 7 { // digit 2(g-5) in the lower half, the next one in the upper half
		y = times3(y, 2*(g-5))
		VMOVDQA(y, t)
		t = times3(t, 1)
		VPBLENDD(U8(0xf0), t, y, y)
		return digit(y)
	}
	y = times3(y, 4)
	VPBROADCASTD(r.at(j, 48), t)
	last := YMM() // dword i of the upper half is i digits on
	VMOVDQA(t, last)
	for i := 1; i < 4; i++ {
		t = times3(t, 1)
		VPBLENDD(U8(0xff<<i&0xf|0xff<<(4+i)&0xf0), t, last, last)
	}
	VPBLENDD(U8(0xf0), last, y, y)
	return digit(y)
}

// times3 multiplies each byte by 3 n times, modulo 256.
func times3(y VecVirtual, n int) VecVirtual {
	for range n {
		t := YMM()
		VPADDB(y, y, t)
		VPADDB(t, y, y)
	}
	return y
}

// digit is the first digit of bytes as fractions of 256 in base 3: the number of 86 and 171 that they reach.
func digit(y VecVirtual) VecVirtual {
	t, u := YMM(), YMM()
	VPMAXUB(byteConst(86), y, t)
	VPCMPEQB(t, y, t)
	VPMAXUB(byteConst(171), y, u)
	VPCMPEQB(u, y, u)
	VPADDB(u, t, t)
	VPABSB(t, t)
	return t
}

// pick shuffles y by a pattern.
func pick(y VecVirtual, pattern Op) VecVirtual {
	t := YMM()
	VPSHUFB(pattern, y, t)
	return t
}

// byteAsWord repeats byte i of each half as words.
func byteAsWord(i int) Op {
	return bytes32(func(k int) byte {
		if k%2 == 1 {
			return 0x80
		}
		return byte(i)
	})
}

// word repeats word i of each half.
func word(i int) Op { return bytes32(func(k int) byte { return byte(2*i + k%2) }) }

// scalesQ4K unpacks the 6-bit scales and minima of eight rows: a dword per row with groups 0-3, and one with 4-7.
func scalesQ4K(r rows8) (scales, minima [2]VecVirtual) {
	c := dwords8(r, 12)
	for i, v := range []*[2]VecVirtual{&scales, &minima} {
		x, hi, y := dwords8(r, 4+4*i), YMM(), c
		VPSRLD(U8(2), x, hi)
		if i == 1 {
			VPSRLD(U8(4), c, y)
		}
		hi = and(hi, byteConst(0x30))
		z := YMM()
		VPAND(byteConst(15), y, z)
		*v = [2]VecVirtual{and(x, byteConst(63)), or(hi, z)}
	}
	return scales, minima
}

// placeOfRow is where eightQ4K puts the scales of row j.
func placeOfRow(j int) int { return 8 * []int{0, 1, 4, 5, 2, 3, 6, 7}[j] }

func eightQ4K(r rows8, sums32 VecVirtual, memory Mem) (func(j int) func(g int) VecVirtual, VecVirtual) {
	scales, minima := scalesQ4K(r)
	t, u := YMM(), YMM()
	VPUNPCKLDQ(scales[1], scales[0], t) // rows 0 1 4 5
	VPUNPCKHDQ(scales[1], scales[0], u) // rows 2 3 6 7
	VMOVDQU(t, memory)
	VMOVDQU(u, memory.Offset(32))

	// Two minima of a row meet two sums as the words of a dword.
	var total VecVirtual
	words := YMM()
	VPACKSSDW(sums32, sums32, words)
	for h, m := range minima {
		pair := YMM()
		VPERMQ(U8(0xaa*h), words, pair) // quadword 0 or 2 everywhere: sums 4h..4h+3
		for i := range 2 {
			x, y := YMM(), YMM()
			VPSHUFD(U8(0x55*i), pair, x)
			VPSHUFB(bytes32(func(k int) byte {
				if k%2 == 1 {
					return 0x80
				}
				return byte(k%16/4*4 + 2*i + k%4/2)
			}), m, y)
			VPMADDWD(x, y, y)
			if total == nil {
				total = y
			} else {
				VPADDD(y, total, total)
			}
		}
	}
	return func(j int) func(g int) VecVirtual {
		y := YMM()
		VPBROADCASTQ(memory.Offset(placeOfRow(j)), y)
		return func(g int) VecVirtual { return pick(y, byteAsWord(g)) }
	}, total
}

// low is the first half of a constant.
func low(c Op) Op {
	if y, ok := c.(VecVirtual); ok {
		return y.AsX()
	}
	return c
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
	return func(g int) VecVirtual { return pick(y, word(g)) }, m
}

func rowQ2K(r rows8, j int, sums, _ VecVirtual) (func(g int) VecVirtual, VecVirtual) {
	x, s, m := XMM(), XMM(), YMM()
	VMOVDQU(r.at(j, 0), x)
	VPAND(low(byteConst(15)), x, s)
	VPSRLW(U8(4), x, x)
	VPAND(low(byteConst(15)), x, x)
	VPMOVZXBW(x, m)
	VPMADDWD(sums, m, m)
	y := evenOdd(s)
	return func(g int) VecVirtual { return pick(y, word(g)) }, m
}

// scalesQ3K unpacks the scales of row j to words.
func scalesQ3K(r rows8, j int) VecVirtual {
	m := YMM()
	VPMOVSXBW(scaleBytesQ3K(r, j), m)
	return m
}

func scaleBytesQ3K(r rows8, j int) VecVirtual {
	lo, hi, t := XMM(), XMM(), XMM()
	// Low nibbles: bytes 0-7, then the same shifted by 4. High pairs: bytes 8-11 four times, shifted by 0, 2, 4, 6.
	VMOVQ(r.at(j, 96), lo)
	VPSRLW(U8(4), lo, t)
	VPUNPCKLQDQ(t, lo, lo)
	VPAND(low(byteConst(15)), lo, lo)
	VPBROADCASTD(r.at(j, 104), hi)
	VPSRLVD(bytes32(func(i int) byte { return byte(i%16/4*2) * b2(i%4 == 0) }), hi, hi)
	VPAND(low(byteConst(3)), hi, hi)
	VPSLLW(U8(4), hi, hi)
	VPOR(hi, lo, lo)
	VPSUBB(low(byteConst(32)), lo, lo)
	return lo
}

func rowQ3K(r rows8, j int, sums, _ VecVirtual) (func(g int) VecVirtual, VecVirtual) {
	lo, m := scaleBytesQ3K(r, j), YMM()
	VPMOVSXBW(lo, m)
	VPMADDWD(sums, m, m)
	VPSLLD(U8(2), m, m)
	y := evenOdd(lo)
	return func(g int) VecVirtual { return pick(y, word(g)) }, m
}

func rowIQ4XS(r rows8, j int, _, _ VecVirtual) (func(g int) VecVirtual, VecVirtual) {
	scales := scalesIQ4XS(r, j)
	return func(g int) VecVirtual {
		t := YMM()
		VMOVDQU(dwordConst(uint32(g)), t)
		VPERMD(scales, t, t)
		return t
	}, VecVirtual(nil)
}

// scalesIQ4XS unpacks the scales of row j: in dword g that of group g, twice.
func scalesIQ4XS(r rows8, j int) VecVirtual {
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
	return twice(lo)
}

// rowOnes is for formats without scales, whose offset is 1: the sum that it stands for is that of x.
func rowOnes(_ rows8, _ int, _, sums32 VecVirtual) (func(g int) VecVirtual, VecVirtual) {
	m := YMM()
	VMOVDQA(sums32, m)
	return func(int) VecVirtual {
		y := YMM()
		VMOVDQU(wordConst(1), y)
		return y
	}, m
}

func panelOnes(_ rows8, scale, _ func(VecVirtual)) {
	for range 8 {
		y := YMM()
		VMOVDQU(dwordConst(1), y)
		scale(y)
	}
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
	scales, minima := scalesQ4K(r)
	for h := range 2 {
		eachByte(scales[h], scale)
	}
	for h := range 2 {
		eachByte(minima[h], min)
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
