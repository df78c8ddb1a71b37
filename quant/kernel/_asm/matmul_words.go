package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Formats whose codes are signed bytes take part in AVX2 matrix products as words. With bytes (|code| times the
// activation with the code's sign) a pair of products may fill its word, so that three of four instructions per vector
// want the multipliers; with words it is two of four, no sum can overflow, and scales of groups go into the codes.
//
// A panel of words is a run of blocks of 16 rows, a record per block:
//
//	codes  two words (values 2i and 2i+1, with their group's scale) of each row, for each i
//	D      a float32 per row
//
// Eight rows are decoded at a time. Keep in step with wordRecordBytes in ../avx2_words_amd64.go.
func wordRecord(blockSize int) (d, size int) { return blockSize / 2 * 64, blockSize/2*64 + 64 }

func wordMatMul() {
	for _, f := range blocks32 {
		if f.words != nil {
			unpackWords(f.name, 32, f.bytes, f.words, nil, f.scale)
		}
	}
	unpackWords("IQ4XS", 256, 136, func(r rows8, j, i int) VecVirtual { return lookupWords(8+i/2*16, iq4Values)(r, j, i%2) },
		scalesIQ4XS, scale0)
	mulWords(32)
	mulWords(256)
	widen()
}

// byteWords are the bytes at off as words.
func byteWords(off int) func(r rows8, j, i int) VecVirtual {
	return func(r rows8, j, i int) VecVirtual {
		y := YMM()
		VPMOVSXBW(r.at(j, off+16*i), y)
		return y
	}
}

// lookupWords are the low or the high nibbles of 16 bytes at off through a table, as words.
func lookupWords(off int, table []int8) func(r rows8, j, i int) VecVirtual {
	return func(r rows8, j, i int) VecVirtual {
		x, t, y := XMM(), XMM(), YMM()
		VMOVDQU(r.at(j, off), x)
		if i == 1 {
			VPSRLW(U8(4), x, x)
		}
		VPAND(low(byteConst(15)), x, x)
		VMOVDQU(low(bytes32(func(i int) byte { return byte(table[i%16]) })), t)
		VPSHUFB(x, t, t)
		VPMOVSXBW(t, y)
		return y
	}
}

// unpackWords decodes blocks of eight rows: words returns values 16i..16i+15 of row j, and groups, where it is set, the
// scales of its groups of 32 as dwords of two equal words.
func unpackWords(name string, blockSize, blockBytes int, words func(r rows8, j, i int) VecVirtual, groups func(r rows8, j int) VecVirtual,
	scale func(r rows8) VecVirtual) {
	name = "wordsUnpack" + name
	function(name, "func(dst *byte, w *byte, rowBytes int, nBlocks int, ahead *byte)",
		name+" decodes nBlocks blocks of eight rows into a panel of words, and prefetches the blocks of as many rows at ahead.")
	w := newRows8(Load(Param("w"), GP64()), Load(Param("rowBytes"), GP64()))
	dst, n := Load(Param("dst"), GP64()), Load(Param("nBlocks"), GP64())
	a := Load(Param("ahead"), GP64())
	ahead := rows8{base: a, base4: GP64(), stride: w.stride, stride3: w.stride3}
	LEAQ(Mem{Base: a, Index: w.stride, Scale: 4}, ahead.base4)
	d, size := wordRecord(blockSize)
	var scales Mem
	if groups != nil {
		scales = AllocLocal(8 * 32)
	}
	Label("block")
	for j := range 8 {
		for off := 0; off < blockBytes; off += 64 {
			PREFETCHT1(ahead.at(j, off))
		}
		if groups != nil {
			VMOVDQU(groups(w, j), scales.Offset(32*j))
		}
	}
	for i := range blockSize / 16 {
		transpose8(func(j int) VecVirtual {
			y := words(w, j, i)
			if groups != nil {
				t := YMM()
				VPBROADCASTD(scales.Offset(32*j+4*(i/2)), t)
				VPMULLW(t, y, y)
			}
			return y
		}, func(k int) Mem { return Mem{Base: dst, Disp: 64 * (8*i + k)} })
	}
	VMOVUPS(scale(w), Mem{Base: dst, Disp: d})
	w.advance(blockBytes)
	ahead.advance(blockBytes)
	ADDQ(I32(size), dst)
	DECQ(n)
	JNZ(LabelRef("block"))
	end()
}

// wordColumns is the distance of two columns of words in bytes: keep in step with wordsK in ../avx2_words_amd64.go.
const wordColumns = 2 * 512

// mulWords multiplies a panel of words with four columns of words: two vectors of sums per column.
func mulWords(blockSize int) {
	name := fmt.Sprintf("avx2MulWords%d", blockSize)
	function(name, "func(dst *float32, stride int, panel *byte, x *int16, d *float32, dStride int, nBlocks int, first int)",
		name+" adds nBlocks blocks to the products of a panel of 16 rows of words with four columns at x. The columns'",
		"scales at d lie dStride float32 apart, and the outputs stride. If first is not 0, dst is only written.")
	const cols = 4
	acc := Mem{Base: GP64()}
	room := AllocLocal(cols*64 + 32)
	LEAQ(room.Offset(31), acc.Base)
	ANDQ(I32(-32), acc.Base)
	at := func(c, h int) Mem { return acc.Offset(64*c + 32*h) }
	outputs := func(f func(out Mem, c, h int)) {
		stride := Load(Param("stride"), GP64())
		SHLQ(U8(2), stride)
		out := newColumns4(Load(Param("dst"), GP64()), stride)
		for c := range cols {
			for h := range 2 {
				f(out.at(c, 32*h), c, h)
			}
		}
	}
	zero := zeroYMM()
	for c := range cols {
		for h := range 2 {
			VMOVDQU(zero, at(c, h))
		}
	}
	first := Load(Param("first"), GP64())
	TESTQ(first, first)
	JNZ(LabelRef("start"))
	outputs(func(out Mem, c, h int) { VMOVUPS(loadYMM(out), at(c, h)) })
	Label("start")
	panel, x, n := Load(Param("panel"), GP64()), Load(Param("x"), GP64()), Load(Param("nBlocks"), GP64())
	dStride := Load(Param("dStride"), GP64())
	SHLQ(U8(2), dStride)
	d := newColumns4(Load(Param("d"), GP64()), dStride)
	dAt, size := wordRecord(blockSize)

	Label("block")
	var sums [cols][2]VecVirtual
	dots := func(pairs int, fresh bool) {
		for i := range pairs {
			w := [2]VecVirtual{loadYMM(Mem{Base: panel, Disp: 64 * i}), loadYMM(Mem{Base: panel, Disp: 64*i + 32})}
			for c := range sums {
				v, t := YMM(), YMM()
				VPBROADCASTD(Mem{Base: x, Disp: wordColumns*c + 4*i}, v)
				if fresh && i == 0 {
					sums[c] = [2]VecVirtual{YMM(), v}
					VPMADDWD(v, w[0], sums[c][0])
					VPMADDWD(v, w[1], v)
					continue
				}
				// Two products, then two sums: in turn they get in each other's way on Zen 4.
				VPMADDWD(v, w[0], t)
				VPMADDWD(v, w[1], v)
				VPADDD(t, sums[c][0], sums[c][0])
				VPADDD(v, sums[c][1], sums[c][1])
			}
		}
	}
	if blockSize == 32 {
		dots(16, true)
	} else {
		groups := GP64()
		MOVQ(U32(blockSize/32), groups)
		for c := range sums {
			sums[c] = [2]VecVirtual{zeroYMM(), zeroYMM()}
		}
		Label("group")
		dots(16, false)
		ADDQ(I32(64*16), panel)
		ADDQ(U8(64), x)
		DECQ(groups)
		JNZ(LabelRef("group"))
		dAt -= 64 * blockSize / 2
		size -= 64 * blockSize / 2
	}
	for c := range sums {
		dx := YMM()
		VBROADCASTSS(d.at(c, 0), dx)
		for h, sum := range sums[c] {
			t := YMM()
			VMULPS(Mem{Base: panel, Disp: dAt + 32*h}, dx, t)
			VCVTDQ2PS(sum, sum)
			VMULPS(t, sum, sum)
			VADDPS(at(c, h), sum, sum)
			VMOVUPS(sum, at(c, h))
		}
	}
	ADDQ(I32(size), panel)
	if blockSize == 32 {
		ADDQ(U8(64), x)
	}
	ADDQ(U8(4), d.base)
	DECQ(n)
	JNZ(LabelRef("block"))
	outputs(func(out Mem, c, h int) { VMOVUPS(loadYMM(at(c, h)), out) })
	end()
}

// widen turns codes into words.
func widen() {
	a := begin("avx2Widen", "func(dst *int16, src *int8, n int)", "writes 32*n codes as words.", "dst", "src", "n")
	loop("loop", a[2], func() {
		for h := range 2 {
			y := YMM()
			VPMOVSXBW(Mem{Base: a[1], Disp: 16 * h}, y)
			VMOVDQU(y, Mem{Base: a[0], Disp: 32 * h})
		}
	}, a[0], 64, a[1], 32)
	end()
}
