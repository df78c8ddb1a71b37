package main

import (
	"encoding/binary"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// maxLineBlocks32 is the number of blocks in a row that the products of 16 rows have room for on the stack.
const maxLineBlocks32 = 128

// words32 is a pattern of 32 words: read-only memory.
func words32(f func(i int) int) Mem {
	b := make([]byte, 64)
	for i := range 32 {
		binary.LittleEndian.PutUint16(b[2*i:], uint16(f(i)))
	}
	return stored(b)
}

// dwords16 is a pattern of 16 dwords.
func dwords16(f func(i int) int) Mem {
	return words32(func(i int) int { return f(i/2) >> (i % 2 * 16) })
}

// fold512 is fold for vectors of full width.
func fold512(lo, hi func(ops ...Op), a, b VecVirtual) VecVirtual {
	t, u := ZMM(), ZMM()
	lo(b, a, t)
	hi(b, a, u)
	VPADDD(u, t, t)
	return t
}

// fold4 adds up the dwords in each quarter of four vectors: dword j of a quarter is the sum of vector j's.
func fold4(v [4]VecVirtual) VecVirtual {
	return fold512(VPUNPCKLQDQ, VPUNPCKHQDQ, fold512(VPUNPCKLDQ, VPUNPCKHDQ, v[0], v[1]), fold512(VPUNPCKLDQ, VPUNPCKHDQ, v[2], v[3]))
}

// lineQ4_0 writes the products of rows that are read in the order of memory: the lanes of a vector are neighbouring blocks
// of one row and not, as in matVec, the same block of eight rows.
//
// It takes 16 blocks in a step: 288 bytes that five registers hold. Rows may end within a step, since blocks of
// the next row follow; the activations are laid out so that a step reads on from the end to the beginning.
func lineQ4_0() {
	lineFunction("vnniLinesQ4_0", "func(dst *float32, w *byte, first *int8, last *int8, d *float32, s *int32, nBlocks int, ahead *byte)",
		"vnniLinesQ4_0 sets dst[:16] to the products of 16 neighbouring rows of nBlocks blocks, 16 <= nBlocks <= 128, with a",
		"column, and prefetches as many bytes at ahead. first and last are the first and the last 16 codes of each block, behind the",
		"last block again those of the first 16, likewise d and s.")
	const blockBytes, lanes = 18, 16
	p := AllocLocal(lanes * maxLineBlocks32 * 4)
	w, n, ahead := Load(Param("w"), GP64()), Load(Param("nBlocks"), GP64()), Load(Param("ahead"), GP64())
	first, last := Load(Param("first"), GP64()), Load(Param("last"), GP64())
	d, s := Load(Param("d"), GP64()), Load(Param("s"), GP64())
	at, rowEnd, wrapped, left, out := GP64(), GP64(), GP64(), GP64(), GP64()
	XORQ(at, at) // 4 * block of the row
	MOVQ(n, rowEnd)
	SHLQ(U8(2), rowEnd)
	MOVQ(n, left) // 16 rows of n blocks are n steps of 16
	LEAQ(p, out)

	mask := loadZMM(dwords16(func(int) int { return 0x0f0f0f0f }))
	codes, scales := linePatterns(), lineScales(func(lane int) int { return lane })
	order := loadZMM(dwords16(func(i int) int { return i%4*4 + i/4 }))

	Label("step")
	for off := 0; off < lanes*blockBytes; off += 64 {
		PREFETCHT1(Mem{Base: ahead, Disp: off})
	}
	z, scale := loadLine(w, scales)
	var sums [4]VecVirtual
	for g := range sums {
		lo, hi := lineCodes(z, g, codes, mask)
		sum := ZMM()
		VPXORD(sum, sum, sum)
		VPDPBUSD(Mem{Base: first, Index: at, Scale: 4, Disp: 64 * g}, lo, sum)
		VPDPBUSD(Mem{Base: last, Index: at, Scale: 4, Disp: 64 * g}, hi, sum)
		sums[g] = sum
	}
	sum := fold4(sums)
	VPERMD(sum, order, sum)
	offset := ZMM()
	VPSLLD(U8(3), Mem{Base: s, Index: at, Scale: 1}, offset)
	VPSUBD(offset, sum, sum)
	VCVTDQ2PS(sum, sum)
	VCVTPH2PS(scale.AsY(), scale)
	VMULPS(Mem{Base: d, Index: at, Scale: 1}, scale, scale)
	VMULPS(scale, sum, sum)
	VMOVUPS(sum, Mem{Base: out})
	ADDQ(I32(lanes*blockBytes), w)
	ADDQ(I32(lanes*blockBytes), ahead)
	ADDQ(U8(64), out)
	ADDQ(U8(64), at)
	MOVQ(at, wrapped)
	SUBQ(rowEnd, wrapped)
	CMOVQGE(wrapped, at)
	DECQ(left)
	JNZ(LabelRef("step"))

	LEAQ(p, out)
	sumRows(rowEnd, n, out)
}

// lineStarts are the bytes of 16 blocks of Q4_0 at which registers begin: register r has words [lineStarts[r]/2,
// lineStarts[r]/2+32).
var lineStarts = []int{0, 64, 128, 192, 224}

// linePatterns take the 16 bytes of nibbles of blocks 4g..4g+3 from registers g and g+1, for g < 4.
func linePatterns() (codes []VecVirtual) {
	for g := range 4 {
		lo, hi := lineStarts[g]/2, lineStarts[g+1]/2
		codes = append(codes, loadZMM(words32(func(i int) int {
			word := (4*g+i/8)*9 + 1 + i%8
			if word < lo+32 {
				return word - lo
			}
			return 32 + word - hi
		})))
	}
	return codes
}

// lineScales are the patterns by which each register but the first adds the scales that it has to those before it; lane i has
// that of block(i).
func lineScales(block func(lane int) int) (scales []VecVirtual) {
	for r := 1; r < len(lineStarts); r++ {
		scales = append(scales, loadZMM(words32(func(i int) int {
			word := block(i%16) * 9
			before := lineStarts[r-1]/2 + 32
			switch {
			case r == 1 && word < 32:
				return word
			case word < before:
				return i % 16
			case word < lineStarts[r]/2+32:
				return 32 + word - lineStarts[r]/2
			}
			return 0
		})))
	}
	return scales
}

// loadLine loads 16 blocks, and joins their scales as fp16.
func loadLine(w Register, scales []VecVirtual) (z []VecVirtual, scale VecVirtual) {
	for _, start := range lineStarts {
		z = append(z, loadZMM(Mem{Base: w, Disp: start}))
	}
	scale = copyOf(z[0])
	for r, pattern := range scales {
		VPERMT2W(z[r+1], pattern, scale)
	}
	return z, scale
}

// lineCodes are the low and the high nibbles of blocks 4g..4g+3.
func lineCodes(z []VecVirtual, g int, codes []VecVirtual, mask VecVirtual) (lo, hi VecVirtual) {
	lo, hi = copyOf(z[g]), ZMM()
	VPERMT2W(z[g+1], codes[g], lo)
	VPSRLW(U8(4), lo, hi)
	VPANDD(mask, lo, lo)
	VPANDD(mask, hi, hi)
	return lo, hi
}

// lineFunction is function for one with a large frame, for which the stack may have to grow.
func lineFunction(name, signature string, doc ...string) {
	function(name, signature, doc...)
	Attributes(0)
}

// sumRows adds up 16 rows of n products each, which lie rowBytes apart from p on, stores the sums and returns: each row in
// order, as the lane of a vector. What lies behind the last row is read and not used.
func sumRows(rowBytes, n, p Register) {
	first := newRows8(p, rowBytes)
	second := sharing(8, first, GP64())
	LEAQ(Mem{Base: p, Index: rowBytes, Scale: 8}, second.base)
	LEAQ(Mem{Base: second.base, Index: rowBytes, Scale: 4}, second.base4)
	low := loadZMM(dwords16(func(i int) int { return []int{0, 16, 8, 24}[i/4] + i%4 }))
	top := loadZMM(dwords16(func(i int) int { return []int{4, 20, 12, 28}[i/4] + i%4 }))
	acc := zeroZMM()

	Label("eight")
	b := transposed([2]rows8{first, second})
	for c := range 8 {
		pattern := low
		if c >= 4 {
			pattern = top
		}
		column := copyOf(b[c%4])
		VPERMT2PS(b[4+c%4], pattern, column)
		VADDPS(column, acc, acc)
		DECQ(n)
		if c < 7 {
			JZ(LabelRef("store"))
		}
	}
	JZ(LabelRef("store"))
	advance(first, 32)
	advance(second, 32)
	JMP(LabelRef("eight"))

	Label("store")
	VMOVUPS(acc, Mem{Base: Load(Param("dst"), GP64())})
	end()
}

// transposed loads eight values of 16 rows: b[c] and b[4+c] have value c of rows 0-3 and 4-7 in the first quarter of a
// vector, value 4+c in the second one, and the same of rows 8-15 in the other half.
func transposed(rows [2]rows8) (b [8]VecVirtual) {
	var r, a [8]VecVirtual
	for j := range r {
		r[j] = ZMM()
		VBROADCASTF64X4(rows[0].at(j, 0), r[j])
		VINSERTF64X4(U8(1), rows[1].at(j, 0), r[j], r[j])
	}
	for j := 0; j < 8; j += 2 { // dwords of two rows
		a[j], a[j+1] = ZMM(), ZMM()
		VUNPCKLPS(r[j+1], r[j], a[j])
		VUNPCKHPS(r[j+1], r[j], a[j+1])
	}
	for j := range b { // and of four
		h, c := j/4, j%4
		x, y := a[4*h+c/2], a[4*h+c/2+2]
		b[j] = ZMM()
		if c%2 == 0 {
			VUNPCKLPD(y, x, b[j])
		} else {
			VUNPCKHPD(y, x, b[j])
		}
	}
	return b
}
