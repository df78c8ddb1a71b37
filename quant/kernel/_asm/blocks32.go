package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// block32 is a format with blocks of 32 values, as the AVX2 kernels read it.
type block32 struct {
	name   string
	bytes  int
	unpack func(r rows8, j int) VecVirtual // the 32 codes of row j's block
	scale  func(r rows8) VecVirtual        // D of eight rows

	// split unpacks two rows, j in the lower half of a vector and j+4 in the upper one: the first 16 codes of their
	// blocks, and the last 16. Formats whose halves lie in the same bytes have it.
	split func(r rows8, j int) (first, last VecVirtual)
	// words unpacks row j for AVX2 matrix products in words (matmul_words.go): codes 16i..16i+15.
	words func(r rows8, j, i int) VecVirtual

	signed bool // codes are signed; else unsigned, and offset is subtracted from each
	offset int  // a power of two or 0
	small  bool // the largest product of codes leaves room for eight sums of two in 16 bits
	minOff int  // position of the fp16 minimum; 0: none
}

var blocks32 = []block32{
	{name: "Q8_0", bytes: 34, unpack: func(r rows8, j int) VecVirtual { return loadYMM(r.at(j, 2)) }, words: byteWords(2), scale: scale0, signed: true},
	{name: "Q4_0", bytes: 18, unpack: nibbles(2), split: splitNibbles(2), scale: scale0, offset: 8, small: true},
	{name: "Q4_1", bytes: 20, unpack: nibbles(4), split: splitNibbles(4), scale: scale0, small: true, minOff: 2},
	{name: "Q5_0", bytes: 22, unpack: nibblesAndFifth(6, 2), split: splitFifth(6, 2), scale: scale0, offset: 16},
	{name: "Q5_1", bytes: 24, unpack: nibblesAndFifth(8, 4), split: splitFifth(8, 4), scale: scale0, minOff: 2},
	{name: "IQ4NL", bytes: 18, unpack: lookup(2, iq4Values), split: splitLookup(2, iq4Values), words: lookupWords(2, iq4Values), scale: scale0, signed: true},
	{name: "MXFP4", bytes: 17, unpack: lookup(1, mxfp4Values), split: splitLookup(1, mxfp4Values), scale: scaleE8M0, signed: true, small: true},
}

// The tables of package quant.
var (
	iq4Values   = []int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}
	mxfp4Values = []int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}
)

func scale0(r rows8) VecVirtual { return halves8(r, 0) }

// scaleE8M0 is 2^(e-128): (e-1)<<23, and for the subnormal results of e < 2, 1<<21<<e.
func scaleE8M0(r rows8) VecVirtual {
	x, e, y, sub, mask := XMM(), YMM(), YMM(), YMM(), YMM()
	VPXOR(x, x, x)
	for j := range 8 {
		VPINSRB(U8(j), r.at(j, 0), x, x)
	}
	VPMOVZXBD(x, e)
	VMOVDQU(dwordConst(1<<21), sub)
	VPSLLVD(e, sub, sub)
	VMOVDQU(dwordConst(2), mask)
	VPCMPGTD(e, mask, mask)
	VPSUBD(dwordConst(1), e, y)
	VPSLLD(U8(23), y, y)
	VPBLENDVB(mask, sub, y, y)
	return y
}

// shift4High moves the upper half of a vector right by 4 bits, within quadwords.
func shift4High() Op { return bytes32(func(i int) byte { return []byte{0, 4}[i/16] * b2(i%8 == 0) }) }

func b2(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// nibbles unpacks 16 bytes at off: low nibbles first, then the high ones.
func nibbles(off int) func(r rows8, j int) VecVirtual {
	return func(r rows8, j int) VecVirtual {
		y := YMM()
		VBROADCASTI128(r.at(j, off), y)
		VPSRLVQ(shift4High(), y, y)
		VPAND(byteConst(15), y, y)
		return y
	}
}

// nibblesAndFifth adds bit i of the 32 bits at high to nibble i as its fifth.
func nibblesAndFifth(off, high int) func(r rows8, j int) VecVirtual {
	return func(r rows8, j int) VecVirtual {
		y := nibbles(off)(r, j)
		bits, h := bytes32(func(i int) byte { return 1 << (i % 8) }), YMM()
		VPBROADCASTD(r.at(j, high), h)
		VPSHUFB(bytes32(func(i int) byte { return byte(i / 8) }), h, h)
		VPAND(bits, h, h)
		VPCMPEQB(bits, h, h)
		VPAND(byteConst(16), h, h)
		VPOR(h, y, y)
		return y
	}
}

// lookup unpacks nibbles through a table.
func lookup(off int, table []int8) func(r rows8, j int) VecVirtual {
	return func(r rows8, j int) VecVirtual {
		y, t := nibbles(off)(r, j), YMM()
		VMOVDQU(bytes32(func(i int) byte { return byte(table[i%16]) }), t)
		VPSHUFB(y, t, y)
		return y
	}
}

func splitNibbles(off int) func(r rows8, j int) (first, last VecVirtual) {
	return func(r rows8, j int) (VecVirtual, VecVirtual) {
		lo, hi := YMM(), YMM()
		VMOVDQU(r.at(j, off), lo.AsX())
		VINSERTI128(U8(1), r.at(j+4, off), lo, lo)
		VPSRLW(U8(4), lo, hi)
		VPAND(byteConst(15), lo, lo)
		VPAND(byteConst(15), hi, hi)
		return lo, hi
	}
}

func splitFifth(off, high int) func(r rows8, j int) (first, last VecVirtual) {
	return func(r rows8, j int) (VecVirtual, VecVirtual) {
		lo, hi := splitNibbles(off)(r, j)
		bits, h, t := bytes32(func(i int) byte { return 1 << (i % 8) }), YMM(), YMM()
		VPBROADCASTD(r.at(j, high), h)
		VPBROADCASTD(r.at(j+4, high), t)
		VPBLENDD(U8(0xf0), t, h, h)
		for i, y := range []VecVirtual{lo, hi} {
			VPSHUFB(bytes32(func(k int) byte { return byte(2*i + k%16/8) }), h, t)
			VPAND(bits, t, t)
			VPCMPEQB(bits, t, t)
			VPAND(byteConst(16), t, t)
			VPOR(t, y, y)
		}
		return lo, hi
	}
}

func splitLookup(off int, table []int8) func(r rows8, j int) (first, last VecVirtual) {
	return func(r rows8, j int) (VecVirtual, VecVirtual) {
		lo, hi := splitNibbles(off)(r, j)
		for _, y := range []VecVirtual{lo, hi} {
			t := YMM()
			VMOVDQU(bytes32(func(i int) byte { return byte(table[i%16]) }), t)
			VPSHUFB(y, t, y)
		}
		return lo, hi
	}
}
