package main

import (
	"encoding/binary"
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// constants are the read-only data of the part that is generated, by their content.
var constants = map[string]Mem{}

// held are constants that the function at hand keeps in registers: memory operands would make it wait for loads.
var held = map[Mem]VecVirtual{}

// hold loads a constant into a register for the rest of the function.
func hold(c Op) {
	if m, ok := c.(Mem); ok {
		held[m] = loadYMM(m)
	}
}

// holdHigh is hold in register number i from 16, which only instructions with an EVEX form can read.
func holdHigh(i int, c Op) {
	m := c.(Mem)
	y := []VecPhysical{Y16, Y17, Y18, Y19, Y20, Y21, Y22, Y23}[i]
	VMOVDQU32(m, y)
	heldHigh[m] = y
}

var heldHigh = map[Mem]VecPhysical{}

// constant returns an operand with these bytes: read-only memory, or the register that holds them.
func constant(b []byte) Op {
	m := stored(b)
	if y, ok := held[m]; ok {
		return y
	}
	if y, ok := heldHigh[m]; ok {
		return y
	}
	return m
}

// stored returns read-only memory with these bytes.
func stored(b []byte) Mem {
	key := string(b)
	if m, ok := constants[key]; ok {
		return m
	}
	m := GLOBL(fmt.Sprintf("const%d", len(constants)), 8|16) // RODATA|NOPTR
	for i := 0; i+8 <= len(b); i += 8 {
		DATA(i, U64(binary.LittleEndian.Uint64(b[i:])))
	}
	constants[key] = m
	return m
}

// bytes32 is 32 bytes, f(i) at i.
func bytes32(f func(i int) byte) Op {
	b := make([]byte, 32)
	for i := range b {
		b[i] = f(i)
	}
	return constant(b)
}

func byteConst(v byte) Op { return bytes32(func(int) byte { return v }) }

func wordConst(v int16) Op {
	return bytes32(func(i int) byte { return byte(uint16(v) >> (i % 2 * 8)) })
}

func dwordConst(v uint32) Op {
	return bytes32(func(i int) byte { return byte(v >> (i % 4 * 8)) })
}

func floatConst(v float32) Op { return dwordConst(math.Float32bits(v)) }

// function begins a function without held constants.
func function(name, signature string, doc ...string) {
	clear(held)
	clear(heldHigh)
	TEXT(name, NOSPLIT, signature)
	Pragma("noescape")
	Doc(doc...)
}

// loadYMM loads 32 bytes into a new register.
func loadYMM(m Op) VecVirtual {
	y := YMM()
	VMOVDQU(m, y)
	return y
}

// zeroYMM returns a new register with zeros.
func zeroYMM() VecVirtual {
	y := YMM()
	VPXOR(y, y, y)
	return y
}

// rows8 addresses eight rows that lie rowBytes apart.
type rows8 struct {
	base, base4     Register // rows 0 and 4
	stride, stride3 Register
}

func newRows8(base, stride Register) rows8 {
	r := rows8{base: base, stride: stride, base4: GP64(), stride3: GP64()}
	LEAQ(Mem{Base: base, Index: stride, Scale: 4}, r.base4)
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, r.stride3)
	return r
}

// at is the byte at off of row j.
func (r rows8) at(j, off int) Mem {
	m := Mem{Base: r.base, Disp: off}
	if j >= 4 {
		m.Base = r.base4
	}
	switch j % 4 {
	case 1:
		m.Index, m.Scale = r.stride, 1
	case 2:
		m.Index, m.Scale = r.stride, 2
	case 3:
		m.Index, m.Scale = r.stride3, 1
	}
	return m
}

// advance moves all rows on by n bytes.
func (r rows8) advance(n int) {
	ADDQ(I32(n), r.base)
	ADDQ(I32(n), r.base4)
}

// fold adds the halves of the dwords of two vectors that lo and hi bring side by side.
func fold(add, lo, hi func(ops ...Op), a, b VecVirtual) VecVirtual {
	t, u := YMM(), YMM()
	lo(b, a, t)
	hi(b, a, u)
	add(u, t, t)
	return t
}

// tree4 adds up the four dwords in each half of four vectors: lane j of the result is the sum of the lower half of
// vector j, lane j+4 that of its upper half. add is VPADDD, or VPADDW where a dword holds two 16-bit sums.
func tree4(add func(...Op), vector func(j int) VecVirtual) VecVirtual {
	var pairs [2]VecVirtual
	for p := range pairs {
		a := vector(2 * p)
		b := vector(2*p + 1)
		pairs[p] = fold(add, VPUNPCKLDQ, VPUNPCKHDQ, a, b)
	}
	return fold(add, VPUNPCKLQDQ, VPUNPCKHQDQ, pairs[0], pairs[1])
}

// tree8 adds up the eight dwords of each of eight vectors: lane j of the result is the sum of vector j.
func tree8(add func(...Op), vector func(j int) VecVirtual) VecVirtual {
	a := tree4(add, vector)
	b := tree4(add, func(j int) VecVirtual { return vector(4 + j) })
	t, u := YMM(), YMM()
	VPERM2I128(U8(0x20), b, a, t)
	VPERM2I128(U8(0x31), b, a, u)
	add(u, t, t)
	return t
}

// prefetch asks for n bytes at p, line by line, and moves p on.
func prefetch(p Register, n int) {
	prefetchPart(p, n, 0, 1)
	ADDQ(I32(n), p)
}

// prefetchPart asks for part i of parts of the n bytes at p, line by line.
func prefetchPart(p Register, n, i, parts int) {
	lines := (n + 63) / 64
	for line := lines * i / parts; line < lines*(i+1)/parts; line++ {
		PREFETCHT1(Mem{Base: p, Disp: 64 * line})
	}
}

// tileAhead asks for the memory of rows to come, as much for each block of eight rows as they have: at ahead, and once more half a tile
// ahead of the block. A processor drops what it is asked for while too many requests are under way; eight rows at a time, what is missed is not
// fetched of its own accord as a stream would be.
type tileAhead struct {
	far, near Register
	n         int // bytes of a block of eight rows
}

func newTileAhead(rows rows8, n int) tileAhead {
	t := tileAhead{Load(Param("ahead"), GP64()), GP64(), n}
	MOVQ(rows.base4, t.near)
	return t
}

// part asks for what is part i of parts, so that requests do not come all at once.
func (t tileAhead) part(i, parts int) {
	prefetchPart(t.far, t.n, i, parts)
	prefetchPart(t.near, t.n, i, parts)
}

func (t tileAhead) advance() {
	ADDQ(I32(t.n), t.far)
	ADDQ(I32(t.n), t.near)
}

// halves8 reads one fp16 at off of each row into eight float32.
func halves8(r rows8, off int) VecVirtual {
	x, y := XMM(), YMM()
	VPXOR(x, x, x)
	for j := range 8 {
		VPINSRW(U8(j), r.at(j, off), x, x)
	}
	VCVTPH2PS(x, y)
	return y
}

// addProduct is acc += float32(sum) * (scale * d), each operation rounded. It overwrites sum.
func addProduct(acc, sum, scale, d VecVirtual) {
	t := YMM()
	VMULPS(d, scale, t)
	VCVTDQ2PS(sum, sum)
	if fused {
		VFMADD231PS(t, sum, acc)
		return
	}
	VMULPS(t, sum, sum)
	VADDPS(sum, acc, acc)
}
