package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// A panel is a run of blocks of 8 or 16 rows, decoded for matrix products: the lane of a vector is the row. It holds a
// record per block:
//
//	codes   4 bytes (values 4i..4i+3) of each row, for each i
//	scales  a dword per row with the scale in both halves, for each scale        blocks of 256 only
//	minima  8 dwords per row, each of two words that meet two sums of 16 codes   blocks of 256 only
//	D       a float32 per row
//	DMin    a float32 per row                                                    where there are minima
//
// Eight rows are decoded at a time; a panel of 16 takes two calls. Keep in step with panelRecord in ../panel_amd64.go.
type record struct {
	rows                          int
	scales, minima, d, dMin, size int // byte positions
}

func record32(rows int, f block32) record {
	r := record{rows: rows, d: 32 * rows}
	r.dMin = r.d + 4*rows
	r.size = r.dMin
	if f.minOff != 0 {
		r.size += 4 * rows
	}
	return r
}

func record256(rows int, f block256) record {
	r := record{rows: rows, scales: 256 * rows}
	r.minima = r.scales + 4*rows*f.scales()
	r.d = r.minima + 4*rows*8
	r.dMin = r.d + 4*rows
	r.size = r.dMin + 4*rows
	return r
}

// unpackPanels writes the decoders of all formats for panels of rows.
func unpackPanels(rows int) {
	for _, f := range blocks32 {
		if rows == 16 || f.words == nil {
			unpackPanel32(rows, f)
		}
	}
	for _, f := range blocks256 {
		if rows == 16 || !f.signed {
			unpackPanel256(rows, f)
		}
	}
}

// panelFunc begins a function that decodes nBlocks blocks of eight rows.
func panelFunc(rows int, name string) (w rows8, dst, n, ahead Register) {
	name = fmt.Sprintf("panel%dUnpack%s", rows, name)
	function(name, "func(dst *byte, w *byte, rowBytes int, nBlocks int, ahead *byte)",
		fmt.Sprintf("%s decodes nBlocks blocks of eight rows into a panel of %d, and prefetches as many bytes at ahead.", name, rows))
	w = newRows8(Load(Param("w"), GP64()), Load(Param("rowBytes"), GP64()))
	return w, Load(Param("dst"), GP64()), Load(Param("nBlocks"), GP64()), Load(Param("ahead"), GP64())
}

// panelEnd closes the loop over blocks.
func panelEnd(w rows8, blockBytes int, dst Register, recordBytes int, n Register) {
	w.advance(blockBytes)
	ADDQ(I32(recordBytes), dst)
	DECQ(n)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}

// topBit turns signed codes into unsigned ones, for panels whose products read them so.
func topBit(rows int, signed bool, y VecVirtual) VecVirtual {
	if rows == 16 && signed {
		VPXOR(byteConst(0x80), y, y)
	}
	return y
}

func unpackPanel32(rows int, f block32) {
	w, dst, n, ahead := panelFunc(rows, f.name)
	rec := record32(rows, f)
	Label("block")
	prefetch(ahead, 8*f.bytes)
	transpose8(func(j int) VecVirtual { return topBit(rows, f.signed, f.unpack(w, j)) },
		func(i int) Mem { return Mem{Base: dst, Disp: 4 * rows * i} })
	VMOVUPS(f.scale(w), Mem{Base: dst, Disp: rec.d})
	if f.minOff != 0 {
		VMOVUPS(halves8(w, f.minOff), Mem{Base: dst, Disp: rec.dMin})
	}
	panelEnd(w, f.bytes, dst, rec.size, n)
}

func unpackPanel256(rows int, f block256) {
	w, dst, n, ahead := panelFunc(rows, f.name)
	rec := record256(rows, f)
	Label("block")
	prefetch(ahead, 8*f.bytes)
	for g := range 8 {
		transpose8(func(j int) VecVirtual { return topBit(rows, f.signed, f.codes(w, j, g)) },
			func(i int) Mem { return Mem{Base: dst, Disp: 4 * rows * (8*g + i)} })
	}
	nScale, nMin := 0, 0
	var even VecVirtual
	// pair joins the words of two minima of 16 values each; a minimum of 32 values meets both sums.
	min := func(v VecVirtual) {
		switch {
		case !f.group16:
			VMOVDQU(twice(v), Mem{Base: dst, Disp: rec.minima + 4*rows*nMin})
		case nMin%2 == 0:
			even = v
		default:
			VPSLLD(U8(16), v, v)
			VPBLENDW(U8(0xaa), v, even, v)
			VMOVDQU(v, Mem{Base: dst, Disp: rec.minima + 4*rows*(nMin/2)})
		}
		nMin++
	}
	f.panel(w, func(v VecVirtual) {
		VMOVDQU(twice(v), Mem{Base: dst, Disp: rec.scales + 4*rows*nScale})
		nScale++
		offset := f.offset
		if f.signed {
			offset = 128
		}
		if offset != 0 {
			t := YMM()
			VPSLLW(U8(log2(offset)), v, t) // of each dword only the lower word is read
			min(t)
		}
	}, min)
	VMOVUPS(halves8(w, f.dOff), Mem{Base: dst, Disp: rec.d})
	if f.dMinOff != 0 {
		dMin := halves8(w, f.dMinOff)
		VPXOR(dwordConst(1<<31), dMin, dMin)
		VMOVUPS(dMin, Mem{Base: dst, Disp: rec.dMin})
	}
	panelEnd(w, f.bytes, dst, rec.size, n)
}

// transpose8 stores, for i < 8, dword i of each of eight vectors at dst(i).
func transpose8(vector func(j int) VecVirtual, dst func(i int) Mem) {
	var half [2][4]VecVirtual // [rows 0-3, rows 4-7][dwords i and i+4]
	for h := range half {
		var lo, hi [2]VecVirtual
		for p := range 2 {
			a := vector(4*h + 2*p)
			b := vector(4*h + 2*p + 1)
			lo[p], hi[p] = YMM(), YMM()
			VPUNPCKLDQ(b, a, lo[p])
			VPUNPCKHDQ(b, a, hi[p])
		}
		for i, pair := range [][2]VecVirtual{lo, hi} {
			half[h][2*i], half[h][2*i+1] = YMM(), YMM()
			VPUNPCKLQDQ(pair[1], pair[0], half[h][2*i])
			VPUNPCKHQDQ(pair[1], pair[0], half[h][2*i+1])
		}
	}
	for i := range 4 {
		t := YMM()
		VPERM2I128(U8(0x20), half[1][i], half[0][i], t)
		VMOVDQU(t, dst(i))
		VPERM2I128(U8(0x31), half[1][i], half[0][i], t)
		VMOVDQU(t, dst(i+4))
	}
}
