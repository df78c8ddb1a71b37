package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func avx2Attention() {
	int8Attention("avx2", 1, false)
	for nq := 1; nq <= 4; nq++ {
		mix("avx2MixF16", nq, false, false)
	}
	scoresF16()
	maxOf()
	softmax()
	weigh()
}

// int8Attention writes the exact products of attention, mixes for mixed queries or more: for AVX2, or with the 16-bit dot
// products of VNNI on vectors of the same width.
func int8Attention(prefix string, mixed int, vnni bool) {
	scoresInt8(prefix, 8, 1, vnni)
	scoresInt8(prefix, 4, 2, vnni)
	for nq := mixed; nq <= 4; nq++ {
		mix(prefix+"MixInt8", nq, true, vnni)
	}
}

// scoresInt8 multiplies tiles of keys with nq queries: the sums of one query and all keys of a tile are one vector.
func scoresInt8(prefix string, keys, nq int, vnni bool) {
	name := fmt.Sprintf("%sScoresInt8x%d", prefix, nq)
	a := begin(name, "func(dst *float32, dstStride int, q *int16, qStride int, qs *float32, k *byte, ks *byte, headDim int, n int)",
		fmt.Sprintf("scores n times %d key rows for %d query rows; strides are in bytes, headDim is a multiple of 16.", keys, nq),
		"q", "qStride", "k", "headDim", "ks", "dst", "n")
	q, headDim, ks, dst, tiles := a[0], a[3], a[4], a[5], a[6]
	queries := columns4{base: q, stride: a[1]}
	k := newRows8(a[2], headDim)
	back := GP64() // from the end of a row of q to its start
	LEAQ(Mem{Base: headDim, Index: headDim, Scale: 1}, back)

	Label("tile")
	n := GP64()
	MOVQ(headDim, n)
	SHRQ(U8(4), n)
	var acc [8]VecVirtual // key by key, the queries of each side by side
	for i := range acc {
		acc[i] = zeroYMM()
	}
	loop("loop", n, func() {
		var qv []VecVirtual
		for i := range nq {
			qv = append(qv, loadYMM(queries.at(i, 0)))
		}
		for j := range keys {
			w := YMM()
			VPMOVSXBW(k.at(j, 0), w)
			for i, x := range qv {
				if vnni {
					VPDPWSSD(x, w, acc[i*keys+j])
					continue
				}
				t := w
				if i+1 < nq {
					t = YMM()
				}
				VPMADDWD(x, w, t)
				VPADDD(t, acc[i*keys+j], acc[i*keys+j])
			}
		}
	}, q, 32, k.base, 16, k.base4, 16)
	sum := tree8(VPADDD, func(j int) VecVirtual { return acc[j] })
	VCVTDQ2PS(sum, sum)
	scale, f := YMM(), YMM()
	qs := Load(Param("qs"), GP64())
	if nq == 1 {
		VCVTPH2PS(Mem{Base: ks}, scale)
		VBROADCASTSS(Mem{Base: qs}, f)
	} else {
		VCVTPH2PS(Mem{Base: ks}, scale.AsX())
		VINSERTF128(U8(1), scale.AsX(), scale, scale)
		t := XMM()
		VBROADCASTSS(Mem{Base: qs}, f.AsX())
		VBROADCASTSS(Mem{Base: qs, Disp: 4}, t)
		VINSERTF128(U8(1), t, f, f)
	}
	VMULPS(scale, f, f)
	VMULPS(f, sum, sum)
	if nq == 1 {
		VMOVUPS(sum, Mem{Base: dst})
	} else {
		VMOVUPS(sum.AsX(), Mem{Base: dst})
		dstStride := Load(Param("dstStride"), GP64())
		VEXTRACTF128(U8(1), sum, Mem{Base: dst, Index: dstStride, Scale: 1})
	}
	// The pointers to the keys stand at the end of the first and of the fifth row of the tile.
	SUBQ(back, q)
	if keys == 8 {
		LEAQ(Mem{Base: k.base4, Index: k.stride3, Scale: 1}, k.base)
	} else {
		ADDQ(k.stride3, k.base)
	}
	LEAQ(Mem{Base: k.base, Index: headDim, Scale: 4}, k.base4)
	ADDQ(U8(2*keys), ks)
	ADDQ(U8(4*keys), dst)
	DECQ(tiles)
	JNZ(LabelRef("tile"))
	end()
}

// mix adds the weighted rows of values to the outputs of nq queries, 16 columns of them. Integer rows are taken two by
// two: a dword holds the codes of two rows, and meets a dword with their two weights.
func mix(name string, nq int, integer, vnni bool) {
	name = fmt.Sprintf("%sx%d", name, nq)
	accType, wType, wBytes, step := "*float32", "*float32", 4, 1
	if integer {
		accType, wType, wBytes, step = "*int32", "*int16", 2, 2
	}
	a := begin(name, "func(acc "+accType+", accStride int, w "+wType+", wStride int, v *byte, vStride int, n int)",
		fmt.Sprintf("adds n times %d rows to 16 columns of %d queries; strides are in bytes.", step, nq),
		"acc", "accStride", "w", "wStride", "v", "vStride", "n")
	w, v, vStride, n := a[2], a[4], a[5], a[6]
	outs, ws := newColumns4(a[0], a[1]), newColumns4(w, a[3])
	var acc [4][2]VecVirtual
	for i := range nq {
		for h := range 2 {
			acc[i][h] = loadYMM(outs.at(i, 32*h))
		}
	}
	Label("loop")
	var row [2]VecVirtual
	if integer {
		x, y, lo, hi := XMM(), XMM(), XMM(), XMM()
		VMOVDQU(Mem{Base: v}, x)
		VMOVDQU(Mem{Base: v, Index: vStride, Scale: 1}, y)
		VPUNPCKLBW(y, x, lo)
		VPUNPCKHBW(y, x, hi)
		row[0], row[1] = YMM(), YMM()
		VPMOVSXBW(lo, row[0])
		VPMOVSXBW(hi, row[1])
		LEAQ(Mem{Base: v, Index: vStride, Scale: 2}, v)
	} else {
		for h := range row {
			row[h] = YMM()
			VCVTPH2PS(Mem{Base: v, Disp: 16 * h}, row[h])
		}
		ADDQ(vStride, v)
	}
	for i := range nq {
		f := YMM()
		VBROADCASTSS(ws.at(i, 0), f)
		for h := range 2 {
			if vnni {
				VPDPWSSD(f, row[h], acc[i][h])
				continue
			}
			t := YMM()
			if integer {
				VPMADDWD(f, row[h], t)
				VPADDD(t, acc[i][h], acc[i][h])
			} else {
				VMULPS(f, row[h], t)
				VADDPS(t, acc[i][h], acc[i][h])
			}
		}
	}
	ADDQ(U8(wBytes*step), w)
	DECQ(n)
	JNZ(LabelRef("loop"))
	for i := range nq {
		for h := range 2 {
			VMOVUPS(acc[i][h], outs.at(i, 32*h))
		}
	}
	end()
}

// treeFloat4 folds the lanes of four rows, given as the sums of lanes 0-7 and 8-15, into an XMM register, with the
// additions of docs/NUMERICS.md §1.
func treeFloat4(rows [4]VecVirtual) VecVirtual {
	var v [2]VecVirtual
	for i := range v {
		lo, hi := YMM(), YMM()
		VPERM2F128(U8(0x20), rows[2+i], rows[i], lo)
		VPERM2F128(U8(0x31), rows[2+i], rows[i], hi)
		VADDPS(hi, lo, lo)
		v[i] = lo
	}
	lo, hi := YMM(), YMM()
	VUNPCKLPD(v[1], v[0], lo)
	VUNPCKHPD(v[1], v[0], hi)
	VADDPS(hi, lo, lo)
	VHADDPS(lo, lo, lo)
	x := XMM()
	VEXTRACTF128(U8(1), lo, x)
	VUNPCKLPD(x, lo.AsX(), x)
	return x
}

func scoresF16() {
	a := begin("avx2ScoresF16", "func(dst *float32, q *float32, k *byte, kStride int, headDim int, n int)",
		"scores n times four key rows of headDim fp16, a multiple of 16, for one query row.", "q", "k", "kStride", "headDim", "dst", "n")
	q, headDim, dst, tiles := a[0], a[3], a[4], a[5]
	k := newColumns4(a[1], a[2])
	n := GP64()
	Label("tile")
	MOVQ(headDim, n)
	SHRQ(U8(4), n)
	var acc [4][2]VecVirtual
	for j := range acc {
		acc[j] = [2]VecVirtual{zeroYMM(), zeroYMM()}
	}
	loop("loop", n, func() {
		for h := range 2 {
			x := loadYMM(Mem{Base: q, Disp: 32 * h})
			for j := range acc {
				t := YMM()
				VCVTPH2PS(k.at(j, 16*h), t)
				VMULPS(x, t, t)
				VADDPS(t, acc[j][h], acc[j][h])
			}
		}
	}, q, 64, k.base, 32)
	var rows [4]VecVirtual
	for j := range acc {
		VADDPS(acc[j][1], acc[j][0], acc[j][0])
		rows[j] = acc[j][0]
	}
	VMOVUPS(treeFloat4(rows), Mem{Base: dst})
	ADDQ(U8(16), dst)
	ADDQ(k.stride3, k.base) // from the end of the first row to the start of the fifth
	MOVQ(headDim, n)
	SHLQ(U8(2), n)
	SUBQ(n, q)
	DECQ(tiles)
	JNZ(LabelRef("tile"))
	end()
}

func maxOf() {
	a := begin("avx2Max", "func(x *float32, n int) float32", "returns the largest of 16*n values, none a NaN.", "x", "n")
	m := [2]VecVirtual{loadYMM(Mem{Base: a[0]}), loadYMM(Mem{Base: a[0], Disp: 32})}
	loop("loop", a[1], func() {
		for h := range m {
			VMAXPS(Mem{Base: a[0], Disp: 32 * h}, m[h], m[h])
		}
	}, a[0], 64)
	VMAXPS(m[1], m[0], m[0])
	t := YMM()
	VPERM2F128(U8(1), m[0], m[0], t)
	VMAXPS(t, m[0], m[0])
	VPERMILPS(U8(0x4e), m[0], t)
	VMAXPS(t, m[0], m[0])
	VPERMILPS(U8(0xb1), m[0], t)
	VMAXPS(t, m[0], m[0])
	Store(m[0].AsX(), ReturnIndex(0))
	end()
}

func softmax() {
	a := begin("avx2Softmax", "func(lanes *float32, x *float32, n int, m float32)",
		"replaces 16*n values by exp(x-m) and writes the 16 lanes of their sum.", "lanes", "x", "n")
	m := argument("m")
	acc := [2]VecVirtual{zeroYMM(), zeroYMM()}
	loop("loop", a[2], func() {
		v := []VecVirtual{loadYMM(Mem{Base: a[1]}), loadYMM(Mem{Base: a[1], Disp: 32})}
		for h := range v {
			VSUBPS(m, v[h], v[h])
		}
		exp(v...)
		for h := range v {
			VMOVUPS(v[h], Mem{Base: a[1], Disp: 32 * h})
			VADDPS(v[h], acc[h], acc[h])
		}
	}, a[1], 64)
	for h := range acc {
		VMOVUPS(acc[h], Mem{Base: a[0], Disp: 32 * h})
	}
	end()
}

func weigh() {
	a := begin("avx2Weigh", "func(x *float32, scales *byte, n int) float32",
		"multiplies 16*n values, none of them negative, with as many fp16, and returns the largest product.", "x", "scales", "n")
	m := [2]VecVirtual{zeroYMM(), zeroYMM()}
	loop("loop", a[2], func() {
		for h := range m {
			v := YMM()
			VCVTPH2PS(Mem{Base: a[1], Disp: 16 * h}, v)
			VMULPS(Mem{Base: a[0], Disp: 32 * h}, v, v)
			VMOVUPS(v, Mem{Base: a[0], Disp: 32 * h})
			VMAXPS(v, m[h], m[h])
		}
	}, a[0], 64, a[1], 32)
	VPMAXUD(m[1], m[0], m[0]) // patterns of positive numbers are in their order
	foldMax(m[0])
	Store(m[0].AsX(), ReturnIndex(0))
	end()
}

// avx2Float multiplies four rows of a float type with a column; the lanes are folded, and the end of a row added, in Go.
func avx2Float() {
	for _, f := range []struct {
		name  string
		bytes int
		load  func(m Mem) VecVirtual
	}{
		{"F32", 4, func(m Mem) VecVirtual { return loadYMM(m) }},
		{"F16", 2, func(m Mem) VecVirtual {
			y := YMM()
			VCVTPH2PS(m, y)
			return y
		}},
		{"BF16", 2, func(m Mem) VecVirtual {
			y := YMM()
			VPMOVZXWD(m, y)
			VPSLLD(U8(16), y, y)
			return y
		}},
	} {
		a := begin("avx2Lanes"+f.name, "func(lanes *float32, w *byte, rowBytes int, x *float32, n int, ahead *byte)",
			"writes the 16 lanes of the products of four rows with a column, over 16*n values.", "w", "rowBytes", "x", "n", "ahead")
		w, x, ahead := newColumns4(a[0], a[1]), a[2], a[4]
		var acc [4][2]VecVirtual
		for j := range acc {
			acc[j] = [2]VecVirtual{zeroYMM(), zeroYMM()}
		}
		loop("loop", a[3], func() {
			prefetch(ahead, 4*16*f.bytes)
			for h := range 2 {
				v := loadYMM(Mem{Base: x, Disp: 32 * h})
				for j := range acc {
					t := f.load(w.at(j, 8*f.bytes*h))
					VMULPS(v, t, t)
					VADDPS(t, acc[j][h], acc[j][h])
				}
			}
		}, x, 64, w.base, 16*f.bytes)
		lanes := Load(Param("lanes"), GP64())
		for j := range acc {
			for h := range acc[j] {
				VMOVUPS(acc[j][h], Mem{Base: lanes, Disp: 64*j + 32*h})
			}
		}
		end()
	}
}
