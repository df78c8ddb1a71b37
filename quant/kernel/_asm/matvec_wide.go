package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// wide256 is how the products with one column read a format of blocks of 256 values in vectors of 64 codes, with AVX-512.
type wide256 struct {
	// groups are the groups of 32 values in the halves of vector i.
	groups [4][2]int
	// shifts are the counts for codes, in the halves of a vector: of words, or of dwords where rotated.
	shifts  [][2]int
	rotated bool
	// codes returns a function that returns the codes in vector i of row j, to be called for i from 0 to 3.
	codes func(r rows8, j int, c wideConsts) func(i int) VecVirtual
	// scales returns the 16 scales of row j as words, where there are 16; nil: there are eight, which the format's eight unpacks.
	scales func(r rows8, j int) VecVirtual
}

// wideConsts are constants of a function in registers.
type wideConsts struct {
	masks  map[byte]VecPhysical
	shifts []VecPhysical
}

var wide = map[string]wide256{
	"Q4K": {groups: nibbleGroups, codes: wideQ4K},
	"Q5K": {groups: nibbleGroups, shifts: [][2]int{{4, 2}, {3, 1}, {0, 2}, {1, 3}}, codes: wideQ5K},
	"Q6K": {groups: [4][2]int{{0, 1}, {2, 3}, {4, 5}, {6, 7}}, shifts: [][2]int{{4, 2}, {0, 2}}, codes: wideQ6K, scales: wideScalesQ6K},
	"Q3K": {groups: [4][2]int{{0, 4}, {1, 5}, {2, 6}, {3, 7}}, shifts: [][2]int{{2, 30}, {1, 29}, {0, 28}, {31, 27}}, rotated: true, codes: wideQ3K, scales: scalesQ3K},
}

// nibbleGroups are those of 64 bytes whose low nibbles in each half are one group and whose high nibbles are the next.
var nibbleGroups = [4][2]int{{0, 2}, {1, 3}, {4, 6}, {5, 7}}

// orMasked is a |= b & mask.
func orMasked(a, b VecVirtual, mask VecPhysical) { VPTERNLOGD(U8(0xf8), mask, b, a) }

// loadZMM64 loads 64 bytes into a new register.
func loadZMM64(m Mem) VecVirtual {
	z := ZMM()
	VMOVDQU64(m, z)
	return z
}

// inBothHalves loads 32 bytes into both halves of a new register.
func inBothHalves(m Mem) VecVirtual {
	z := ZMM()
	VBROADCASTI64X4(m, z)
	return z
}

func wideQ4K(r rows8, j int, c wideConsts) func(i int) VecVirtual {
	var both VecVirtual
	return func(i int) VecVirtual {
		if i%2 == 1 {
			VPSRLW(U8(4), both, both)
			VPANDD(c.masks[15], both, both)
			return both
		}
		both = loadZMM64(r.at(j, 16+32*i))
		lo := ZMM()
		VPANDD(c.masks[15], both, lo)
		return lo
	}
}

// wideQ5K takes the fifth bit of group g from bit g of 32 bytes.
func wideQ5K(r rows8, j int, c wideConsts) func(i int) VecVirtual {
	fifth := inBothHalves(r.at(j, 16))
	var both VecVirtual
	return func(i int) VecVirtual {
		z := ZMM()
		if i < 2 {
			VPSLLVW(c.shifts[i], fifth, z)
		} else {
			VPSRLVW(c.shifts[i], fifth, z)
		}
		VPANDD(c.masks[16], z, z)
		if i%2 == 0 {
			both = loadZMM64(r.at(j, 48+32*i))
		} else {
			VPSRLW(U8(4), both, both)
		}
		orMasked(z, both, c.masks[15])
		return z
	}
}

// wideQ6K reads the low four bits of 128 codes, and their high two bits into both halves of a vector.
func wideQ6K(r rows8, j int, c wideConsts) func(i int) VecVirtual {
	var lo, hi VecVirtual
	return func(i int) VecVirtual {
		if i%2 == 1 {
			VPSRLVW(c.shifts[1], hi, hi)
			VPANDD(c.masks[0x30], hi, hi)
			VPSRLW(U8(4), lo, lo)
			orMasked(hi, lo, c.masks[15])
			return hi
		}
		lo, hi = loadZMM64(r.at(j, 32*i)), inBothHalves(r.at(j, 128+16*i))
		z := ZMM()
		VPSLLVW(c.shifts[0], hi, z)
		VPANDD(c.masks[0x30], z, z)
		orMasked(z, lo, c.masks[15])
		return z
	}
}

func wideScalesQ6K(r rows8, j int) VecVirtual {
	y := YMM()
	VPMOVSXBW(r.at(j, 192), y)
	return y
}

// wideQ3K takes the low bits of groups i and i+4 from bits 2i and up of 64 bytes, and their third bits from bits i and i+4 of 32.
func wideQ3K(r rows8, j int, c wideConsts) func(i int) VecVirtual {
	low, third := loadZMM64(r.at(j, 32)), inBothHalves(r.at(j, 0))
	return func(i int) VecVirtual {
		z := ZMM()
		VPROLVD(c.shifts[i], third, z)
		VPANDD(c.masks[4], z, z)
		if i > 0 {
			VPSRLW(U8(2), low, low)
		}
		orMasked(z, low, c.masks[3])
		return z
	}
}

// words says which scale belongs to which word of products of vector i.
func (w wide256) words(i int) Mem {
	if w.scales != nil {
		return words32(func(k int) int { return 2*w.groups[i][k/16] + k%16/8 }) // numbers of words
	}
	return words32(func(k int) int { return 0x8000 | w.groups[i][k/16] }) // bytes of a quarter: the scale and nothing
}

// wideRegisters hold what the blocks of eight rows share.
type wideRegisters struct {
	x       [4]VecPhysical // the values of the column that meet vector i
	scaleOf [4]VecPhysical // which scale belongs to which word of products of vector i
	sums    VecVirtual     // of 16 values of the column each, as words
	wideConsts
}

func (w wide256) registers(f block256) *wideRegisters {
	free := []VecPhysical{Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31}
	take := func() VecPhysical {
		z := free[0]
		free = free[1:]
		return z
	}
	load := func(m Mem) VecPhysical {
		z := take()
		VMOVDQU64(m, z)
		return z
	}
	r := &wideRegisters{wideConsts: wideConsts{masks: map[byte]VecPhysical{}}}
	for i := range r.x {
		r.x[i], r.scaleOf[i] = take(), load(w.words(i))
	}
	for _, m := range f.masks {
		r.masks[m] = load(words32(func(int) int { return int(m) * 0x0101 }))
	}
	for _, by := range w.shifts {
		if w.rotated {
			r.shifts = append(r.shifts, load(dwords16(func(k int) int { return by[k/8] })))
			continue
		}
		r.shifts = append(r.shifts, load(words32(func(k int) int { return by[k/16] })))
	}
	return r
}

// loadColumn loads a block of the column.
func (w wide256) loadColumn(r *wideRegisters, q, s Register) {
	for i, g := range w.groups {
		if g[1] == g[0]+1 {
			VMOVDQU64(Mem{Base: q, Disp: 32 * g[0]}, r.x[i])
			continue
		}
		t := loadYMM(Mem{Base: q, Disp: 32 * g[0]})
		VINSERTI64X4(U8(1), Mem{Base: q, Disp: 32 * g[1]}, t.AsZ(), r.x[i])
	}
	r.sums = loadYMM(Mem{Base: s})
}

// matVecWide is matVec256 in vectors of 64 codes. The column is in registers.
func matVecWide(prefix string, f block256, w wide256) {
	name := prefix + f.name
	function(name, "func(dst *float32, w *byte, rowBytes int, q *int8, d *float32, s *int16, nBlocks int, ahead *byte, lanes int)",
		name+" sets dst[:lanes] to the first products of eight rows with a column, and prefetches 8*rowBytes at ahead.")
	rows := newRows8(Load(Param("w"), GP64()), Load(Param("rowBytes"), GP64()))
	q, d, s := Load(Param("q"), GP64()), Load(Param("d"), GP64()), Load(Param("s"), GP64())
	n, ahead := Load(Param("nBlocks"), GP64()), newTileAhead(rows, 8*f.bytes)
	r := w.registers(f)
	var unpacked, minima Mem
	if f.eight != nil {
		unpacked = AllocLocal(64 + 32)
		minima = unpacked.Offset(64)
	}
	acc := zeroYMM()

	Label("block")
	w.loadColumn(r, q, s)
	dx := YMM()
	VBROADCASTSS(Mem{Base: d}, dx)
	if f.eight != nil {
		sums32 := YMM()
		VPMADDWD(wordConst(1), r.sums, sums32)
		_, m := f.eight(rows, sums32, unpacked)
		VMOVDQU(m, minima)
	}
	sum := tree8(VPADDD, func(j int) VecVirtual {
		ahead.part(j, 8)
		return w.row(f, rows, j, r, unpacked)
	})
	addProduct(acc, sum, halves8(rows, f.dOff), dx)
	if f.dMinOff != 0 {
		dMin := halves8(rows, f.dMinOff)
		VPXOR(dwordConst(1<<31), dMin, dMin)
		addProduct(acc, loadYMM(minima), dMin, dx)
	}
	rows.advance(f.bytes)
	ahead.advance()
	ADDQ(I32(256), q)
	ADDQ(U8(4), d)
	ADDQ(U8(32), s)
	DECQ(n)
	JNZ(LabelRef("block"))

	storeLanes(acc)
}

// row returns eight dwords whose sum is the product of row j's block. unpacked has the scales, if they are not the format's.
func (w wide256) row(f block256, rows rows8, j int, r *wideRegisters, unpacked Mem) VecVirtual {
	var offset VecVirtual
	var words func(i int) VecVirtual
	if w.scales == nil {
		scales := ZMM()
		VPBROADCASTQ(unpacked.Offset(placeOfRow(j)), scales)
		words = func(i int) VecVirtual {
			z := ZMM()
			VPSHUFB(r.scaleOf[i], scales, z)
			return z
		}
	} else {
		scales := w.scales(rows, j)
		offset = YMM()
		VPMADDWD(r.sums, scales, offset)
		VPSLLD(U8(log2(f.offset)), offset, offset)
		words = func(i int) VecVirtual {
			z := ZMM()
			VPERMW(scales.AsZ(), r.scaleOf[i], z)
			return z
		}
	}
	var total [2]VecVirtual // VPDPWSSD is slow to follow itself
	codes := w.codes(rows, j, r.wideConsts)
	for i := range 4 {
		v := codes(i)
		VPMADDUBSW(r.x[i], v, v)
		if total[i%2] == nil {
			VPMADDWD(words(i), v, v)
			total[i%2] = v
		} else {
			VPDPWSSD(words(i), v, total[i%2])
		}
	}
	VPADDD(total[1], total[0], total[0])
	y := YMM()
	VEXTRACTI64X4(U8(1), total[0], y)
	VPADDD(total[0].AsY(), y, y)
	if offset != nil {
		VPSUBD(offset, y, y)
	}
	return y
}
