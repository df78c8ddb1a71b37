package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// dotUse is what of VNNI a function may use.
type dotUse int

const (
	dotNone dotUse = iota // nothing
	dot16                 // the dot products, and 16 registers
	dotHigh               // the dot products, and 32 registers: AVX-512
)

// matVec writes the products of all formats with one column: for AVX2, or with the dot products of VNNI on vectors of the
// same width, where one instruction does the work of two or three.
func matVec(prefix string, dot dotUse) {
	for _, f := range blocks32 {
		matVec32(prefix, f, dot != dotNone)
	}
	for _, f := range blocks256 {
		if w, ok := wide[f.name]; ok && dot == dotHigh {
			matVecWide(prefix, f, w)
			continue
		}
		matVec256(prefix, f, dot)
	}
}

// matVecTwins writes the products that with dot16 are other ones than with dotHigh.
func matVecTwins(prefix string) {
	for _, f := range blocks256 {
		if f.patterns != nil {
			matVec256(prefix, f, dot16)
		}
	}
}

// matVec32 multiplies eight rows with one column, block after block: eight exact sums fall out of a reduction
// tree as the lanes of one vector, and one multiplication and addition scale them all.
func matVec32(prefix string, f block32, vnni bool) {
	name := prefix + f.name
	function(name, "func(dst *float32, w *byte, rowBytes int, q *int8, d *float32, s *int32, nBlocks int, ahead *byte, lanes int)",
		name+" sets dst[:lanes] to the first products of eight rows with a column, and prefetches 8*rowBytes at ahead.")
	rows := newRows8(Load(Param("w"), GP64()), Load(Param("rowBytes"), GP64()))
	q, d, s := Load(Param("q"), GP64()), Load(Param("d"), GP64()), Load(Param("s"), GP64())
	n, ahead := Load(Param("nBlocks"), GP64()), newTileAhead(rows, 8*f.bytes)
	acc := zeroYMM()
	ones := YMM()
	VMOVDQU(wordConst(1), ones)
	if f.split != nil {
		hold(byteConst(15))
	}
	if vnni && f.signed {
		hold(byteConst(0x80))
	}

	Label("block")
	var sum VecVirtual
	switch {
	case vnni:
		sum = vnniSums(f, rows, q, ahead)
		if f.signed {
			f.offset = 128
		}
	case f.split != nil:
		sum = splitSums(f, rows, q, ones, ahead)
		if f.small {
			VPMADDWD(ones, sum, sum)
		}
	default:
		x := loadYMM(Mem{Base: q})
		sum = tree8(VPADDD, func(j int) VecVirtual {
			ahead.part(j, 8)
			w := products(f.signed, f.unpack(rows, j), x)
			VPMADDWD(ones, w, w)
			return w
		})
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
	ahead.advance()
	ADDQ(U8(32), q)
	ADDQ(U8(4), d)
	ADDQ(U8(4), s)
	DECQ(n)
	JNZ(LabelRef("block"))

	storeLanes(acc)
}

// products multiplies codes with x and adds pairs of products, in words. It overwrites w.
func products(signed bool, w, x VecVirtual) VecVirtual {
	if signed {
		t := YMM()
		VPSIGNB(w, x, t)
		VPABSB(w, w)
		x = t
	}
	VPMADDUBSW(x, w, w)
	return w
}

// vnniSums forms the sums of eight rows by 8-bit dot products of unsigned codes.
func vnniSums(f block32, rows rows8, q Register, ahead tileAhead) VecVirtual {
	dot := func(w, x VecVirtual, sum VecVirtual) VecVirtual {
		if f.signed {
			VPXOR(byteConst(0x80), w, w)
		}
		if sum == nil {
			sum = zeroYMM()
		}
		VPDPBUSD(x, w, sum)
		return sum
	}
	if f.split == nil {
		x := loadYMM(Mem{Base: q})
		return tree8(VPADDD, func(j int) VecVirtual {
			ahead.part(j, 8)
			return dot(f.unpack(rows, j), x, nil)
		})
	}
	var x [2]VecVirtual
	for i := range x {
		x[i] = YMM()
		VBROADCASTI128(Mem{Base: q, Disp: 16 * i}, x[i])
	}
	return tree4(VPADDD, func(j int) VecVirtual {
		ahead.part(j, 4)
		first, last := f.split(rows, j)
		return dot(last, x[1], dot(first, x[0], nil))
	})
}

// splitSums forms the sums of eight rows, two in each vector; those of a small format are pairs of words still.
func splitSums(f block32, rows rows8, q Register, ones VecVirtual, ahead tileAhead) VecVirtual {
	var x [2]VecVirtual
	for i := range x {
		x[i] = YMM()
		VBROADCASTI128(Mem{Base: q, Disp: 16 * i}, x[i])
	}
	add := VPADDD
	if f.small {
		add = VPADDW
	}
	return tree4(add, func(j int) VecVirtual {
		ahead.part(j, 4)
		first, last := f.split(rows, j)
		first, last = products(f.signed, first, x[0]), products(f.signed, last, x[1])
		switch {
		case f.small:
			VPADDW(last, first, first)
		case f.signed: // a pair of products may fill its word
			VPMADDWD(ones, first, first)
			VPMADDWD(ones, last, last)
			VPADDD(last, first, first)
		default:
			VPADDW(last, first, first)
			VPMADDWD(ones, first, first)
		}
		return first
	})
}

// storeLanes writes the first lanes of y to dst and returns.
func storeLanes(y VecVirtual) {
	mask := YMM()
	VPBROADCASTD(NewParamAddr("lanes", 64), mask)
	VPCMPGTD(bytes32(func(i int) byte { return byte(i/4) * b2(i%4 == 0) }), mask, mask)
	VMASKMOVPS(y, mask, Mem{Base: Load(Param("dst"), GP64())})
	end()
}

func log2(v int) int {
	n := 0
	for v > 1 {
		v /= 2
		n++
	}
	return n
}

// matVec256 multiplies eight rows with one column. The dwords of a row's exact sum are collected over its groups,
// and the trees over eight rows come once per super-block.
func matVec256(prefix string, f block256, dot dotUse) {
	vnni := dot != dotNone
	name := prefix + f.name
	function(name, "func(dst *float32, w *byte, rowBytes int, q *int8, d *float32, s *int16, nBlocks int, ahead *byte, lanes int)",
		name+" sets dst[:lanes] to the first products of eight rows with a column, and prefetches 8*rowBytes at ahead.")
	rows := newRows8(Load(Param("w"), GP64()), Load(Param("rowBytes"), GP64()))
	q, d, s := Load(Param("q"), GP64()), Load(Param("d"), GP64()), Load(Param("s"), GP64())
	n, ahead := Load(Param("nBlocks"), GP64()), newTileAhead(rows, 8*f.bytes)
	minima := AllocLocal(8 * 32)
	acc := AllocLocal(32)
	for _, m := range f.masks {
		hold(byteConst(m))
	}
	if dot == dotHigh {
		for g := range 8 {
			if f.patterns != nil {
				holdHigh(g, f.patterns(g))
			}
		}
	}
	chains := 1 // of sums in a row: VPDPWSSD is slow to follow itself
	if vnni {
		chains = 2
	}
	VMOVUPS(zeroYMM(), acc)

	Label("block")
	sums, sums32 := loadYMM(Mem{Base: s}), YMM()
	VPMADDWD(wordConst(1), sums, sums32)
	var rowWords func(j int) func(g int) VecVirtual
	if f.eight != nil {
		var m VecVirtual
		rowWords, m = f.eight(rows, sums32, minima)
		VMOVDQU(m, minima.Offset(64))
	}
	sum := tree8(VPADDD, func(j int) VecVirtual {
		ahead.part(j, 8)
		var words func(g int) VecVirtual
		var m VecVirtual
		if f.eight != nil {
			words = rowWords(j)
		} else {
			words, m = f.row(rows, j, sums, sums32)
		}
		total := make([]VecVirtual, chains)
		if m != nil && f.dMinOff != 0 {
			VMOVDQU(m, minima.Offset(32*j))
		}
		nth := 0
		add := func(w VecVirtual, g int) {
			x := Mem{Base: q, Disp: 32 * g}
			if f.signed {
				t := loadYMM(x)
				VPSIGNB(w, t, t)
				VPABSB(w, w)
				VPMADDUBSW(t, w, w)
			} else {
				VPMADDUBSW(x, w, w)
			}
			if vnni && nth >= chains {
				VPDPWSSD(words(g), w, total[nth%chains])
			} else {
				VPMADDWD(words(g), w, w)
				if nth < chains {
					total[nth] = w
				} else {
					VPADDD(w, total[nth%chains], total[nth%chains])
				}
			}
			nth++
		}
		for p := range 4 {
			if f.pair == nil {
				add(f.codes(rows, j, 2*p), 2*p)
				add(f.codes(rows, j, 2*p+1), 2*p+1)
				continue
			}
			a, b, ga, gb := f.pair(rows, j, p)
			add(a, ga)
			add(b, gb)
		}
		for _, t := range total[1:] {
			VPADDD(t, total[0], total[0])
		}
		if f.offset != 0 {
			VPSUBD(m, total[0], total[0])
		}
		return total[0]
	})
	dx, a := YMM(), loadYMM(acc)
	VBROADCASTSS(Mem{Base: d}, dx)
	addProduct(a, sum, halves8(rows, f.dOff), dx)
	if f.dMinOff != 0 {
		var m VecVirtual
		if f.eight != nil {
			m = loadYMM(minima.Offset(64))
		} else {
			m = tree8(VPADDD, func(j int) VecVirtual { return loadYMM(minima.Offset(32 * j)) })
		}
		dMin := halves8(rows, f.dMinOff)
		VPXOR(dwordConst(1<<31), dMin, dMin)
		addProduct(a, m, dMin, dx)
	}
	VMOVUPS(a, acc)
	rows.advance(f.bytes)
	ahead.advance()
	ADDQ(I32(256), q)
	ADDQ(U8(4), d)
	ADDQ(U8(32), s)
	DECQ(n)
	JNZ(LabelRef("block"))

	storeLanes(a)
}
