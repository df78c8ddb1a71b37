package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func avx2MatVec() {
	for _, f := range blocks32 {
		avx2MatVec32(f)
	}
	for _, f := range blocks256 {
		avx2MatVec256(f)
	}
}

// avx2MatVec32 multiplies eight rows with one column, block after block: eight exact sums fall out of a reduction
// tree as the lanes of one vector, and one multiplication and addition scale them all.
func avx2MatVec32(f block32) {
	TEXT("avx2MatVec"+f.name, NOSPLIT,
		"func(dst *float32, w *byte, rowBytes int, q *int8, d *float32, s *int32, nBlocks int, ahead *byte)")
	Pragma("noescape")
	Doc("avx2MatVec" + f.name + " sets dst[0:8] to the products of eight rows with a column; it prefetches 8*rowBytes at ahead.")
	rows := newRows8(Load(Param("w"), GP64()), Load(Param("rowBytes"), GP64()))
	q, d, s := Load(Param("q"), GP64()), Load(Param("d"), GP64()), Load(Param("s"), GP64())
	n, ahead := Load(Param("nBlocks"), GP64()), Load(Param("ahead"), GP64())
	acc := zeroYMM()
	ones := loadYMM(wordConst(1))

	Label("block")
	prefetch(ahead, 8*f.bytes)
	x := loadYMM(Mem{Base: q})
	add := VPADDD
	if f.small {
		add = VPADDW
	}
	sum := tree8(add, func(j int) VecVirtual {
		w := f.unpack(rows, j)
		if f.signed {
			t := YMM()
			VPSIGNB(w, x, t)
			VPABSB(w, w)
			VPMADDUBSW(t, w, w)
		} else {
			VPMADDUBSW(x, w, w)
		}
		if !f.small {
			VPMADDWD(ones, w, w)
		}
		return w
	})
	if f.small {
		VPMADDWD(ones, sum, sum)
	}
	if f.offset != 0 {
		t := YMM()
		VPBROADCASTD(Mem{Base: s}, t)
		VPSLLD(U8(log2(f.offset)), t, t)
		VPSUBD(t, sum, sum)
	}
	dx := YMM()
	VBROADCASTSS(Mem{Base: d}, dx)
	addProduct(acc, sum, f.scale(rows), dx)
	if f.minOff != 0 {
		m := YMM()
		VPBROADCASTD(Mem{Base: s}, m)
		addProduct(acc, m, halves8(rows, f.minOff), dx)
	}
	rows.advance(f.bytes)
	ADDQ(U8(32), q)
	ADDQ(U8(4), d)
	ADDQ(U8(4), s)
	DECQ(n)
	JNZ(LabelRef("block"))

	VMOVUPS(acc, Mem{Base: Load(Param("dst"), GP64())})
	VZEROUPPER()
	RET()
}

func log2(v int) int {
	n := 0
	for v > 1 {
		v /= 2
		n++
	}
	return n
}

// avx2MatVec256 multiplies eight rows with one column. The dwords of a row's exact sum are collected over its groups,
// and the trees over eight rows come once per super-block.
func avx2MatVec256(f block256) {
	TEXT("avx2MatVec"+f.name, NOSPLIT,
		"func(dst *float32, w *byte, rowBytes int, q *int8, d *float32, s *int16, nBlocks int, ahead *byte)")
	Pragma("noescape")
	Doc("avx2MatVec" + f.name + " sets dst[0:8] to the products of eight rows with a column; it prefetches 8*rowBytes at ahead.")
	rows := newRows8(Load(Param("w"), GP64()), Load(Param("rowBytes"), GP64()))
	q, d, s := Load(Param("q"), GP64()), Load(Param("d"), GP64()), Load(Param("s"), GP64())
	n, ahead := Load(Param("nBlocks"), GP64()), Load(Param("ahead"), GP64())
	minima := AllocLocal(8 * 32)
	acc := AllocLocal(32)
	VMOVUPS(zeroYMM(), acc)

	Label("block")
	prefetch(ahead, 8*f.bytes)
	sums, sums32 := loadYMM(Mem{Base: s}), YMM()
	VPMADDWD(wordConst(1), sums, sums32)
	sum := tree8(VPADDD, func(j int) VecVirtual {
		words, m := f.row(rows, j, sums, sums32)
		var total VecVirtual
		if m != nil && f.dMinOff != 0 {
			VMOVDQU(m, minima.Offset(32*j))
		}
		for g := range 8 {
			w, x := f.codes(rows, j, g), Mem{Base: q, Disp: 32 * g}
			if f.signed {
				t := loadYMM(x)
				VPSIGNB(w, t, t)
				VPABSB(w, w)
				VPMADDUBSW(t, w, w)
			} else {
				VPMADDUBSW(x, w, w)
			}
			VPMADDWD(words(g), w, w)
			if total == nil {
				total = w
			} else {
				VPADDD(w, total, total)
			}
		}
		if f.offset != 0 {
			VPSUBD(m, total, total)
		}
		return total
	})
	dx, a := YMM(), loadYMM(acc)
	VBROADCASTSS(Mem{Base: d}, dx)
	addProduct(a, sum, halves8(rows, f.dOff), dx)
	if f.dMinOff != 0 {
		m := tree8(VPADDD, func(j int) VecVirtual { return loadYMM(minima.Offset(32 * j)) })
		dMin := halves8(rows, f.dMinOff)
		VPXOR(dwordConst(1<<31), dMin, dMin)
		addProduct(a, m, dMin, dx)
	}
	VMOVUPS(a, acc)
	rows.advance(f.bytes)
	ADDQ(I32(256), q)
	ADDQ(U8(4), d)
	ADDQ(U8(32), s)
	DECQ(n)
	JNZ(LabelRef("block"))

	VMOVUPS(a, Mem{Base: Load(Param("dst"), GP64())})
	VZEROUPPER()
	RET()
}
