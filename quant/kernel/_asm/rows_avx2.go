package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func avx2Rows() {
	maxAbs()
	quantize32()
	quantize256()
	encodeInt8()
	encodeInt16()
	encodeF16()
	sumSquares()
	normalize()
	mapRows("Add", "func(dst *float32, a *float32, n int)", []string{"dst", "a"}, func(v []VecVirtual, _ VecVirtual) { VADDPS(v[1], v[0], v[0]) })
	mapRows("Scale", "func(dst *float32, n int, f float32)", []string{"dst"}, func(v []VecVirtual, f VecVirtual) { VMULPS(f, v[0], v[0]) })
	gates("SwiGLU", siluArgument)
	gates("GeGLU", geluArgument)
	mapRows("IntToFloat", "func(dst *float32, src *int32, n int, f float32)", []string{"dst", "src"}, func(v []VecVirtual, f VecVirtual) {
		VCVTDQ2PS(v[1], v[0])
		VMULPS(f, v[0], v[0])
	})
	mapRows("Blend", "func(dst *float32, y *float32, n int, a float32, b float32)", []string{"dst", "y"}, nil)
	ropeHalves()
	ropePairs()
	rotate()
}

// begin starts a function and loads the named arguments.
func begin(name, signature, doc string, args ...string) []GPVirtual {
	function(name, signature, name+" "+doc)
	var rs []GPVirtual
	for _, a := range args {
		rs = append(rs, Load(Param(a), GP64()).(GPVirtual))
	}
	return rs
}

func end() {
	VZEROUPPER()
	RET()
}

// loop runs body n times, n > 0, and moves the pointers on.
func loop(label string, n Register, body func(), steps ...any) {
	Label(label)
	body()
	for i := 0; i < len(steps); i += 2 {
		ADDQ(I32(steps[i+1].(int)), steps[i].(Register))
	}
	DECQ(n)
	JNZ(LabelRef(label))
}

// argument broadcasts a float32 argument.
func argument(name string) VecVirtual {
	x, y := Load(Param(name), XMM()).(VecVirtual), YMM()
	VBROADCASTSS(x, y)
	return y
}

// foldMax leaves the largest unsigned dword of y in every lane.
func foldMax(y VecVirtual) {
	t := YMM()
	VPERM2I128(U8(1), y, y, t)
	VPMAXUD(t, y, y)
	VPSHUFD(U8(0x4e), y, t)
	VPMAXUD(t, y, y)
	VPSHUFD(U8(0xb1), y, t)
	VPMAXUD(t, y, y)
}

// maxMagnitude folds the magnitude patterns of n vectors at p into y.
func maxMagnitude(y VecVirtual, p Mem, n int) {
	for i := range n {
		t := loadYMM(dwordConst(0x7fffffff))
		VPAND(p.Offset(32*i), t, t)
		VPMAXUD(t, y, y)
	}
}

func maxAbs() {
	a := begin("avx2MaxAbs", "func(x *float32, n int) uint32", "returns the largest pattern of a magnitude in 8*n values.", "x", "n")
	m := zeroYMM()
	loop("loop", a[1], func() { maxMagnitude(m, Mem{Base: a[0]}, 1) }, a[0], 32)
	foldMax(m)
	r := GP32()
	VMOVD(m.AsX(), r)
	Store(r, ReturnIndex(0))
	end()
}

// quantizeScale turns magnitudes into the factor for the codes, in every lane, and stores D. It jumps to zero where
// there is nothing to multiply: the group is zero or damaged.
func quantizeScale(m VecVirtual, d Mem) VecVirtual {
	foldMax(m)
	bits, limit := GP32(), YMM()
	VMOVD(m.AsX(), bits)
	CMPL(bits, U32(0x7f800000))
	JAE(LabelRef("damaged"))
	VMOVUPS(floatConst(127), limit)
	dx := XMM()
	VDIVSS(limit.AsX(), m.AsX(), dx)
	VDIVPS(m, limit, m)
	VMOVD(m.AsX(), bits)
	CMPL(bits, U32(0x7f800000))
	JEQ(LabelRef("zero"))
	VMOVSS(dx, d)
	return m
}

// codes32 converts 32 values at x times inv into codes in their order.
func codes32(x Mem, inv VecVirtual) VecVirtual {
	var v [4]VecVirtual
	for i := range v {
		v[i] = YMM()
		VMULPS(x.Offset(32*i), inv, v[i])
		VCVTPS2DQ(v[i], v[i])
	}
	VPACKSSDW(v[1], v[0], v[0])
	VPACKSSDW(v[3], v[2], v[2])
	VPACKSSWB(v[2], v[0], v[0])
	order := loadYMM(bytes32(func(i int) byte { return byte([]int{0, 4, 1, 5, 2, 6, 3, 7}[i/4]) * b2(i%4 == 0) }))
	VPERMD(v[0], order, v[0])
	return v[0]
}

// sums16 leaves in dword 0 of each half the sum of its 16 codes.
func sums16(codes VecVirtual) VecVirtual {
	t, u := YMM(), YMM()
	VMOVDQU(byteConst(1), t)
	VPMADDUBSW(codes, t, t)
	VPMADDWD(wordConst(1), t, t)
	VPSHUFD(U8(0x4e), t, u)
	VPADDD(u, t, t)
	VPSHUFD(U8(0xb1), t, u)
	VPADDD(u, t, t)
	return t
}

func quantize32() {
	a := begin("avx2Quantize32", "func(q *int8, d *float32, s *int32, x *float32, n int)", "quantises n groups of 32 values.", "q", "d", "s", "x", "n")
	q, d, s, x, n := a[0], a[1], a[2], a[3], a[4]
	Label("loop")
	m := zeroYMM()
	maxMagnitude(m, Mem{Base: x}, 4)
	inv := quantizeScale(m, Mem{Base: d})
	codes := codes32(Mem{Base: x}, inv)
	VMOVDQU(codes, Mem{Base: q})
	sum, hi := sums16(codes), XMM()
	VEXTRACTI128(U8(1), sum, hi)
	VPADDD(hi, sum.AsX(), hi)
	VMOVD(hi, Mem{Base: s})
	next := func() {
		ADDQ(U8(32), q)
		ADDQ(U8(4), d)
		ADDQ(U8(4), s)
		ADDQ(I32(128), x)
		DECQ(n)
		JNZ(LabelRef("loop"))
		end()
	}
	next()
	damaged(Mem{Base: d})
	z := zeroYMM()
	VMOVDQU(z, Mem{Base: q})
	MOVL(U32(0), Mem{Base: s})
	next()
}

// damaged writes the scales of groups without codes: NaN, or 0.
func damaged(d Mem) {
	Label("damaged")
	MOVL(U32(0x7fc00000), d)
	JMP(LabelRef("clear"))
	Label("zero")
	MOVL(U32(0), d)
	Label("clear")
}

func quantize256() {
	a := begin("avx2Quantize256", "func(q *int8, d *float32, s *int16, x *float32, n int)", "quantises n groups of 256 values.", "q", "d", "s", "x", "n")
	q, d, s, x, n := a[0], a[1], a[2], a[3], a[4]
	Label("loop")
	m := zeroYMM()
	maxMagnitude(m, Mem{Base: x}, 32)
	inv := quantizeScale(m, Mem{Base: d})
	part := GP64()
	MOVQ(U32(8), part)
	loop("part", part, func() {
		codes := codes32(Mem{Base: x}, inv)
		VMOVDQU(codes, Mem{Base: q})
		sum, hi := sums16(codes), XMM()
		VEXTRACTI128(U8(1), sum, hi)
		VPUNPCKLWD(hi, sum.AsX(), hi)
		VMOVD(hi, Mem{Base: s})
	}, x, 128, q, 32, s, 4)
	next := func() {
		ADDQ(U8(4), d)
		DECQ(n)
		JNZ(LabelRef("loop"))
		end()
	}
	next()
	damaged(Mem{Base: d})
	z := zeroYMM()
	for i := range 8 {
		VMOVDQU(z, Mem{Base: q, Disp: 32 * i})
	}
	VMOVDQU(z, Mem{Base: s})
	ADDQ(I32(256), q)
	ADDQ(I32(32), s)
	ADDQ(I32(1024), x)
	next()
}

// words16 converts 16 values at x times inv, limited to [-limit, limit] if limit is not 0, into words in their order.
func words16(x Mem, inv VecVirtual, limit float32) VecVirtual {
	var v [2]VecVirtual
	for i := range v {
		v[i] = YMM()
		VMULPS(x.Offset(32*i), inv, v[i])
		if limit != 0 {
			VMINPS(floatConst(limit), v[i], v[i])
			VMAXPS(floatConst(-limit), v[i], v[i])
		}
		VCVTPS2DQ(v[i], v[i])
	}
	VPACKSSDW(v[1], v[0], v[0])
	VPERMQ(U8(0xd8), v[0], v[0])
	return v[0]
}

func encodeInt8() {
	a := begin("avx2EncodeInt8", "func(dst *byte, x *float32, n int, inv float32)", "writes 16*n codes of x*inv, clamped to 127.", "dst", "x", "n")
	inv := argument("inv")
	loop("loop", a[2], func() {
		w, hi := words16(Mem{Base: a[1]}, inv, 127), XMM()
		VEXTRACTI128(U8(1), w, hi)
		VPACKSSWB(hi, w.AsX(), hi)
		VMOVDQU(hi, Mem{Base: a[0]})
	}, a[0], 16, a[1], 64)
	end()
}

func encodeInt16() {
	a := begin("avx2EncodeInt16", "func(dst *int16, x *float32, n int, inv float32)", "writes 16*n words of x*inv.", "dst", "x", "n")
	inv := argument("inv")
	loop("loop", a[2], func() { VMOVDQU(words16(Mem{Base: a[1]}, inv, 0), Mem{Base: a[0]}) }, a[0], 32, a[1], 64)
	end()
}

func encodeF16() {
	a := begin("avx2EncodeF16", "func(dst *byte, x *float32, n int)", "writes 8*n fp16, saturated.", "dst", "x", "n")
	loop("loop", a[2], func() {
		v := loadYMM(Mem{Base: a[1]})
		VMINPS(floatConst(65504), v, v)
		VMAXPS(floatConst(-65504), v, v)
		VCVTPS2PH(U8(0), v, Mem{Base: a[0]})
	}, a[0], 16, a[1], 32)
	end()
}

func sumSquares() {
	a := begin("avx2SumSquares", "func(lanes *float32, x *float32, n int)", "writes the 16 lanes of the squares of 16*n values.", "lanes", "x", "n")
	lo, hi := zeroYMM(), zeroYMM()
	loop("loop", a[2], func() {
		for i, acc := range []VecVirtual{lo, hi} {
			v := loadYMM(Mem{Base: a[1], Disp: 32 * i})
			VMULPS(v, v, v)
			VADDPS(v, acc, acc)
		}
	}, a[1], 64)
	VMOVUPS(lo, Mem{Base: a[0]})
	VMOVUPS(hi, Mem{Base: a[0], Disp: 32})
	end()
}

func normalize() {
	a := begin("avx2Normalize", "func(dst *float32, x *float32, w *float32, n int, inv float32)", "sets dst to (x*inv)*w for 8*n values.", "dst", "x", "w", "n")
	inv := argument("inv")
	loop("loop", a[3], func() {
		v := YMM()
		VMULPS(Mem{Base: a[1]}, inv, v)
		VMULPS(Mem{Base: a[2]}, v, v)
		VMOVUPS(v, Mem{Base: a[0]})
	}, a[0], 32, a[1], 32, a[2], 32)
	end()
}

// mapRows generates a function over 8*n values: op gets a vector of each named array, and v[0] is stored to the first.
// A nil op is the blend of two rows, dst*a + y*b.
func mapRows(name, signature string, arrays []string, op func(v []VecVirtual, f VecVirtual)) {
	ps := begin("avx2"+name, signature, "is "+name+" of 8*n values.", append(arrays, "n")...)
	var f, b VecVirtual
	switch {
	case op == nil:
		f, b = argument("a"), argument("b")
	case name == "Scale" || name == "IntToFloat":
		f = argument("f")
	}
	n := ps[len(arrays)]
	var steps []any
	for _, p := range ps[:len(arrays)] {
		steps = append(steps, p, 32)
	}
	loop("loop", n, func() {
		var v []VecVirtual
		for _, p := range ps[:len(arrays)] {
			v = append(v, loadYMM(Mem{Base: p}))
		}
		if op == nil {
			VMULPS(f, v[0], v[0])
			VMULPS(b, v[1], v[1])
			VADDPS(v[1], v[0], v[0])
		} else {
			op(v, f)
		}
		VMOVUPS(v[0], Mem{Base: ps[0]})
	}, steps...)
	end()
}

// exp replaces each of xs by its exponential (docs/NUMERICS.md §4). The chains of the vectors are interleaved: one of
// them is a long wait. Below -87 the power of two is replaced by 0, and the rest is kept finite.
func exp(xs ...VecVirtual) {
	n := len(xs)
	vectors := func() []VecVirtual {
		v := make([]VecVirtual, n)
		for i := range v {
			v[i] = YMM()
		}
		return v
	}
	power, k, r, z, p := vectors(), vectors(), xs, vectors(), vectors()
	each := func(f func(i int)) {
		for i := range n {
			f(i)
		}
	}
	each(func(i int) { VCMPPS(U8(1), floatConst(-87), xs[i], z[i]) }) // less than
	each(func(i int) { VMAXPS(floatConst(-87), xs[i], xs[i]) })
	each(func(i int) { VMINPS(floatConst(88), xs[i], xs[i]) })
	each(func(i int) { VMULPS(floatConst(1.44269504), xs[i], power[i]) })
	each(func(i int) { VADDPS(floatConst(12582912), power[i], power[i]) })
	each(func(i int) { VSUBPS(floatConst(12582912), power[i], k[i]) })
	each(func(i int) { VPADDD(dwordConst(127), power[i], power[i]) })
	each(func(i int) { VPSLLD(U8(23), power[i], power[i]) })
	each(func(i int) { VANDNPS(power[i], z[i], power[i]) })
	each(func(i int) { VMULPS(floatConst(0.693359375), k[i], z[i]) })
	each(func(i int) { VSUBPS(z[i], xs[i], r[i]) })
	each(func(i int) { VMULPS(floatConst(-2.12194440e-4), k[i], k[i]) })
	each(func(i int) { VSUBPS(k[i], r[i], r[i]) })
	each(func(i int) { VMULPS(r[i], r[i], z[i]) })
	each(func(i int) { VMULPS(floatConst(1.9875691500e-4), r[i], p[i]) })
	for j, c := range []float32{1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1} {
		if j > 0 {
			each(func(i int) { VMULPS(r[i], p[i], p[i]) })
		}
		each(func(i int) { VADDPS(floatConst(c), p[i], p[i]) })
	}
	each(func(i int) { VMULPS(z[i], p[i], p[i]) })
	each(func(i int) { VADDPS(r[i], p[i], p[i]) })
	each(func(i int) { VADDPS(floatConst(1), p[i], p[i]) })
	each(func(i int) { VMULPS(power[i], p[i], xs[i]) })
}

// gates generates a gated activation of 16*n values, two vectors at a time: act turns the gates into what exp is taken
// of, and out = gate / (1 + exp(..)) * up.
func gates(name string, act func(x, y VecVirtual)) {
	a := begin("avx2"+name, "func(dst *float32, gate *float32, up *float32, n int)", "is "+name+" of 16*n values.", "dst", "gate", "up", "n")
	loop("loop", a[3], func() {
		y := []VecVirtual{YMM(), YMM()}
		for h, v := range y {
			act(loadYMM(Mem{Base: a[1], Disp: 32 * h}), v)
			VXORPS(dwordConst(1<<31), v, v)
		}
		exp(y...)
		for h, v := range y {
			x := loadYMM(Mem{Base: a[1], Disp: 32 * h})
			VADDPS(floatConst(1), v, v)
			VDIVPS(v, x, x)
			VMULPS(Mem{Base: a[2], Disp: 32 * h}, x, x)
			VMOVUPS(x, Mem{Base: a[0], Disp: 32 * h})
		}
	}, a[0], 64, a[1], 64, a[2], 64)
	end()
}

func siluArgument(x, y VecVirtual) { VMOVAPS(x, y) }

func geluArgument(x, y VecVirtual) {
	VMULPS(x, x, y)
	VMULPS(floatConst(0.044715), y, y)
	VADDPS(floatConst(1), y, y)
	VMULPS(y, x, y)
	VMULPS(floatConst(1.5957691216), y, y)
}

func ropeHalves() {
	a := begin("avx2RopeHalves", "func(a *float32, b *float32, cos *float32, sin *float32, n int)",
		"turns 8*n pairs (a[i], b[i]).", "a", "b", "cos", "sin", "n")
	loop("loop", a[4], func() {
		x, y, c, s := loadYMM(Mem{Base: a[0]}), loadYMM(Mem{Base: a[1]}), loadYMM(Mem{Base: a[2]}), loadYMM(Mem{Base: a[3]})
		u, v := YMM(), YMM()
		VMULPS(c, x, u)
		VMULPS(s, y, v)
		VSUBPS(v, u, u)
		VMOVUPS(u, Mem{Base: a[0]})
		VMULPS(s, x, u)
		VMULPS(c, y, v)
		VADDPS(v, u, u)
		VMOVUPS(u, Mem{Base: a[1]})
	}, a[0], 32, a[1], 32, a[2], 32, a[3], 32)
	end()
}

func ropePairs() {
	a := begin("avx2RopePairs", "func(x *float32, cos *float32, sin *float32, n int)",
		"turns 4*n pairs (x[2i], x[2i+1]).", "x", "cos", "sin", "n")
	twice := loadYMM(bytes32(func(i int) byte { return byte(i/8) * b2(i%4 == 0) })) // 0 0 1 1 2 2 3 3
	loop("loop", a[3], func() {
		v, w, c, s := loadYMM(Mem{Base: a[0]}), YMM(), YMM(), YMM()
		VMOVUPS(Mem{Base: a[1]}, c.AsX())
		VPERMPS(c, twice, c)
		VMOVUPS(Mem{Base: a[2]}, s.AsX())
		VPERMPS(s, twice, s)
		VPERMILPS(U8(0xb1), v, w) // b a
		VMULPS(c, v, v)           // a*c b*c
		VMULPS(s, w, w)           // b*s a*s
		VADDSUBPS(w, v, v)
		VMOVUPS(v, Mem{Base: a[0]})
	}, a[0], 32, a[1], 16, a[2], 16)
	end()
}

// rotate is the Walsh-Hadamard transform of one block whose size is a power of two from 8.
func rotate() {
	a := begin("avx2Rotate", "func(x *float32, size int, norm float32)", "rotates one block of size values, a power of two from 8.", "x", "size")
	norm := argument("norm")
	x, size := a[0], a[1]
	p, h, n, q := GP64(), GP64(), GP64(), GP64()
	sign := func(f func(i int) bool) VecVirtual {
		return loadYMM(bytes32(func(i int) byte { return 0x80 * b2(i%4 == 3 && f(i/4)) }))
	}
	s1, s2, s4 := sign(func(i int) bool { return i%2 == 1 }), sign(func(i int) bool { return i%4 >= 2 }), sign(func(i int) bool { return i >= 4 })
	MOVQ(x, p)
	MOVQ(size, n)
	SHRQ(U8(3), n)
	loop("inside", n, func() {
		v, t := loadYMM(Mem{Base: p}), YMM()
		VPERMILPS(U8(0xb1), v, t)
		VXORPS(s1, v, v)
		VADDPS(v, t, v)
		VPERMILPS(U8(0x4e), v, t)
		VXORPS(s2, v, v)
		VADDPS(v, t, v)
		VPERM2F128(U8(1), v, v, t)
		VXORPS(s4, v, v)
		VADDPS(v, t, v)
		VMOVUPS(v, Mem{Base: p})
	}, p, 32)

	// Distances from 8: h in bytes, p from x to its end, pairs at p and p+h.
	MOVQ(U32(32), h)
	stop := GP64()
	LEAQ(Mem{Base: x, Index: size, Scale: 4}, stop)
	Label("distance")
	LEAQ(Mem{Base: x, Index: h, Scale: 1}, q)
	CMPQ(q, stop)
	JGE(LabelRef("norm"))
	MOVQ(x, p)
	Label("pairs")
	MOVQ(h, n)
	Label("pair")
	u, v, t := loadYMM(Mem{Base: p}), loadYMM(Mem{Base: p, Index: h, Scale: 1}), YMM()
	VADDPS(v, u, t)
	VSUBPS(v, u, u)
	VMOVUPS(t, Mem{Base: p})
	VMOVUPS(u, Mem{Base: p, Index: h, Scale: 1})
	ADDQ(U8(32), p)
	SUBQ(U8(32), n)
	JNZ(LabelRef("pair"))
	ADDQ(h, p)
	CMPQ(p, stop)
	JLT(LabelRef("pairs"))
	ADDQ(h, h)
	JMP(LabelRef("distance"))

	Label("norm")
	SHRQ(U8(3), size)
	loop("scale", size, func() {
		v := YMM()
		VMULPS(Mem{Base: x}, norm, v)
		VMOVUPS(v, Mem{Base: x})
	}, x, 32)
	end()
}
