package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// fused lets products and sums be one instruction, against docs/NUMERICS.md: for bench/order alone.
var fused bool

// freeOrder writes products of Q4_0 in orders of arithmetic that are free, to be compared with the order in force. The first
// ones are the kernels themselves with fused products and sums; in the others the lanes of a vector are blocks of one row, each
// of them with a sum of its own.
func freeOrder() {
	fused = true
	for _, f := range blocks32 {
		if f.name != "Q4_0" {
			continue
		}
		matVec32("fusedMatVec", f, false)
		unpackPanel32(8, f)
		avx2Mul32("fusedMul8", f)
		unpackPanel32(16, f)
		vnniMul32("fusedMul16", f, 8)
		lanesAVX2(f)
	}
	lanesAVX512("treeLanes", true)
	lanesAVX512("wideLanes", false)
}

// laneLoop is the loop over rows and, within it, over steps of a row, of so many blocks.
type laneLoop struct {
	w, x, d, s, ahead Register // weights and activations of the step
	start             [3]Register
}

// freeRows begins a function and calls step for each step of each row. It stores what sum returns at the end of a row.
func freeRows(name, doc string, blocks, xBytes, sBytes int, begin func(), step func(l laneLoop), sum func() VecVirtual) {
	function(name, "func(dst *float32, w *byte, rows int, nBlocks int, x *int8, d *float32, s *int32, ahead *byte)",
		name+" sets dst[:rows] to the products of rows of nBlocks blocks with a column, and prefetches as many bytes at ahead.", doc)
	l := laneLoop{w: Load(Param("w"), GP64()), ahead: Load(Param("ahead"), GP64()), x: GP64(), d: GP64(), s: GP64()}
	rows, dst := Load(Param("rows"), GP64()), Load(Param("dst"), GP64())
	for i, p := range []string{"x", "d", "s"} {
		l.start[i] = Load(Param(p), GP64())
	}
	n, steps := Load(Param("nBlocks"), GP64()), GP64()
	SHRQ(U8(log2(blocks)), n)
	begin()
	Label("row")
	for i, p := range []Register{l.x, l.d, l.s} {
		MOVQ(l.start[i], p)
	}
	MOVQ(n, steps)
	loop("step", steps, func() { step(l) }, l.x, xBytes, l.d, 4*blocks, l.s, sBytes, l.w, 18*blocks, l.ahead, 18*blocks)
	VMOVSS(sum().AsX(), Mem{Base: dst})
	ADDQ(U8(4), dst)
	DECQ(rows)
	JNZ(LabelRef("row"))
	end()
}

// prefetchStep asks for n bytes at p.
func prefetchStep(p Register, n int) {
	for off := 0; off < n; off += 64 {
		PREFETCHT1(Mem{Base: p, Disp: off})
	}
}

// sumLanes leaves the sum of eight lanes in the first.
func sumLanes(y VecVirtual) VecVirtual {
	t := YMM()
	VEXTRACTF128(U8(1), y, t.AsX())
	VADDPS(t.AsX(), y.AsX(), y.AsX())
	VMOVHLPS(y.AsX(), y.AsX(), t.AsX())
	VADDPS(t.AsX(), y.AsX(), y.AsX())
	VMOVSHDUP(y.AsX(), t.AsX())
	VADDPS(t.AsX(), y.AsX(), y.AsX())
	return y
}

// lanesAVX2 is matVec32 with eight blocks of one row in place of a block of eight rows.
func lanesAVX2(f block32) {
	var acc, ones VecVirtual
	var stride Register
	freeRows("lanesAVX2", "x has of every eight blocks j the first codes of j and j+4, for j < 4, then the last ones; s is 8 times the sums.", 8, 256, 32, func() {
		acc, ones, stride = zeroYMM(), loadYMM(wordConst(1)), GP64()
		hold(byteConst(15))
		MOVQ(U32(f.bytes), stride)
	}, func(l laneLoop) {
		prefetchStep(l.ahead, 8*f.bytes)
		blocks := newRows8(l.w, stride)
		sum := tree4(VPADDW, func(j int) VecVirtual {
			first, last := f.split(blocks, j)
			VPMADDUBSW(Mem{Base: l.x, Disp: 32 * j}, first, first)
			VPMADDUBSW(Mem{Base: l.x, Disp: 128 + 32*j}, last, last)
			VPADDW(last, first, first)
			return first
		})
		VPMADDWD(ones, sum, sum)
		VPSUBD(Mem{Base: l.s}, sum, sum)
		addProduct(acc, sum, f.scale(blocks), loadYMM(Mem{Base: l.d}))
	}, func() VecVirtual {
		y := YMM()
		VMOVAPS(acc, y)
		VXORPS(acc, acc, acc)
		return sumLanes(y)
	})
}

// lanesAVX512 takes 16 blocks in a step, like lineQ4_0. With a tree the four dwords of each block's sum become one before
// they are scaled; without, each has the block's scale and sum of its own.
func lanesAVX512(name string, tree bool) {
	doc := "s is 8 times the sums; it and d have of every 16 blocks the order 0 4 8 12 1 5 9 13 ..."
	sBytes := 64
	if !tree {
		doc, sBytes = "s has for each block four times -2 times its sum.", 256
	}
	var mask VecVirtual
	var acc, codes, scales, spread []VecVirtual
	freeRows(name, "x has of every 16 blocks the first codes, then the last ones. "+doc, 16, 512, sBytes, func() {
		mask = loadZMM(dwords16(func(int) int { return 0x0f0f0f0f }))
		codes = linePatterns()
		block := func(lane int) int { return lane }
		if tree {
			block = func(lane int) int { return lane%4*4 + lane/4 }
		}
		scales = lineScales(block)
		for g := range 4 {
			if tree && g > 0 {
				break
			}
			acc = append(acc, zeroZMM())
			if !tree {
				spread = append(spread, loadZMM(dwords16(func(i int) int { return 4*g + i/4 })))
			}
		}
	}, func(l laneLoop) {
		prefetchStep(l.ahead, 16*18)
		z, scale := loadLine(l.w, scales)
		VCVTPH2PS(scale.AsY(), scale)
		VMULPS(Mem{Base: l.d}, scale, scale)
		var sums [4]VecVirtual
		for g := range sums {
			lo, hi := lineCodes(z, g, codes, mask)
			sums[g] = ZMM()
			if tree {
				VPXORD(sums[g], sums[g], sums[g])
			} else {
				VMOVDQU32(Mem{Base: l.s, Disp: 64 * g}, sums[g])
			}
			VPDPBUSD(Mem{Base: l.x, Disp: 64 * g}, lo, sums[g])
			VPDPBUSD(Mem{Base: l.x, Disp: 256 + 64*g}, hi, sums[g])
			if !tree {
				t := ZMM()
				VPERMPS(scale, spread[g], t)
				VCVTDQ2PS(sums[g], sums[g])
				VFMADD231PS(t, sums[g], acc[g])
			}
		}
		if tree {
			sum := fold4(sums)
			VPSUBD(Mem{Base: l.s}, sum, sum)
			VCVTDQ2PS(sum, sum)
			VFMADD231PS(scale, sum, acc[0])
		}
	}, func() VecVirtual {
		z := copyOf(acc[0])
		for _, a := range acc[1:] {
			VADDPS(a, z, z)
		}
		for _, a := range acc {
			VPXORD(a, a, a)
		}
		t := ZMM() // instructions with an EVEX form: z may be a high register
		for _, half := range []func(){
			func() { VSHUFF64X2(U8(0xee), z, z, t) }, func() { VSHUFF64X2(U8(0x55), z, z, t) },
			func() { VPERMILPS(U8(0xee), z, t) }, func() { VPERMILPS(U8(0x55), z, t) },
		} {
			half()
			VADDPS(t, z, z)
		}
		return z
	})
}
