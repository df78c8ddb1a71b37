package kernel

import (
	"encoding/binary"

	"kvasir/quant"
)

// The fused products of the formats that most models have. Layouts are drawn in package quant.

func scaleMinAt0(b []byte) (d, dMin float32) { return fp16At(b, 0), fp16At(b, 1) }
func scaleAt0(b []byte) (d, _ float32)       { return fp16At(b, 0), 0 }
func scalesQ4K(b []byte) (d, dMin float32)   { return fp16At(b, 0), -fp16At(b, 1) }
func scaleQ6K(b []byte) (d, _ float32)       { return fp16At(b, 104), 0 }

func dotQ8_0(b []byte, q []int8, _ columnSums, _ int) (s, _ int32) {
	w, x := (*[32]byte)(b[2:]), (*[32]int8)(q)
	var s0, s1 int32
	for i := 0; i < 32; i += 2 {
		s0 += int32(int8(w[i])) * int32(x[i])
		s1 += int32(int8(w[i+1])) * int32(x[i+1])
	}
	return s0 + s1, 0
}

func dotQ4_0(b []byte, q []int8, x columnSums, i int) (s, _ int32) {
	w := (*[16]byte)(b[2:])
	s = dotNibbles(w, (*[16]int8)(q), (*[16]int8)(q[16:]))
	return s - 8*x.s32[i], 0
}

// dotNibbles multiplies the low nibbles of w with lo and the high ones with hi.
func dotNibbles(w *[16]byte, lo, hi *[16]int8) int32 {
	var s0, s1 int32
	for i, v := range w {
		s0 += int32(v&15) * int32(lo[i])
		s1 += int32(v>>4) * int32(hi[i])
	}
	return s0 + s1
}

func dotQ4_1(b []byte, q []int8, x columnSums, i int) (s, m int32) {
	return dotNibbles((*[16]byte)(b[4:]), (*[16]int8)(q), (*[16]int8)(q[16:])), x.s32[i]
}

func dotQ5_0(b []byte, q []int8, x columnSums, i int) (s, _ int32) {
	return dotFifth((*[16]byte)(b[6:]), binary.LittleEndian.Uint32(b[2:]), q) - 16*x.s32[i], 0
}

func dotQ5_1(b []byte, q []int8, x columnSums, i int) (s, m int32) {
	return dotFifth((*[16]byte)(b[8:]), binary.LittleEndian.Uint32(b[4:]), q), x.s32[i]
}

// dotFifth is dotNibbles with bit i of high as the fifth bit of nibble i.
func dotFifth(w *[16]byte, high uint32, q []int8) int32 {
	lo, hi := (*[16]int8)(q), (*[16]int8)(q[16:])
	var s0, s1 int32
	for i, v := range w {
		s0 += int32(uint32(v&15)|high<<4&16) * int32(lo[i])
		s1 += int32(uint32(v>>4)|high>>12&16) * int32(hi[i])
		high >>= 1
	}
	return s0 + s1
}

func dotIQ4NL(b []byte, q []int8, _ columnSums, _ int) (s, _ int32) {
	w, lo, hi := (*[16]byte)(b[2:]), (*[16]int8)(q), (*[16]int8)(q[16:])
	var s0, s1 int32
	for i, v := range w {
		s0 += int32(quant.IQ4Values[v&15]) * int32(lo[i])
		s1 += int32(quant.IQ4Values[v>>4]) * int32(hi[i])
	}
	return s0 + s1, 0
}

// scaleMinQ4K unpacks the 6-bit scales of Q4_K and Q5_K, and forms the sum over the minima.
func scaleMinQ4K(b []byte, x columnSums, i int) (scale [8]int32, m int32) {
	var min [8]int32
	for j := range 4 {
		a, b, c := int32(b[4+j]), int32(b[8+j]), int32(b[12+j])
		scale[j], min[j] = a&63, b&63
		scale[4+j], min[4+j] = c&15|a>>6<<4, c>>4|b>>6<<4
	}
	sums := (*[16]int16)(x.s16[16*i:])
	for g, v := range min {
		m += v * (int32(sums[2*g]) + int32(sums[2*g+1]))
	}
	return scale, m
}

func dotQ4K(b []byte, q []int8, x columnSums, i int) (s, m int32) {
	scale, m := scaleMinQ4K(b, x, i)
	codes, qs := (*[256]int8)(q), (*[128]byte)(b[16:])
	for p := range 4 {
		w, lo, hi := (*[32]byte)(qs[32*p:]), (*[32]int8)(codes[64*p:]), (*[32]int8)(codes[64*p+32:])
		var s0, s1 int32
		for i, v := range w {
			s0 += int32(v&15) * int32(lo[i])
			s1 += int32(v>>4) * int32(hi[i])
		}
		s += scale[2*p]*s0 + scale[2*p+1]*s1
	}
	return s, m
}

func dotQ5K(b []byte, q []int8, x columnSums, i int) (s, m int32) {
	scale, m := scaleMinQ4K(b, x, i)
	codes, qh, qs := (*[256]int8)(q), (*[32]byte)(b[16:]), (*[128]byte)(b[48:])
	for p := range 4 {
		w, lo, hi := (*[32]byte)(qs[32*p:]), (*[32]int8)(codes[64*p:]), (*[32]int8)(codes[64*p+32:])
		var s0, s1 int32
		for i, v := range w {
			h := qh[i] >> (2 * p)
			s0 += int32(v&15|h<<4&16) * int32(lo[i])
			s1 += int32(v>>4|h<<3&16) * int32(hi[i])
		}
		s += scale[2*p]*s0 + scale[2*p+1]*s1
	}
	return s, m
}

func dotQ6K(b []byte, q []int8, x columnSums, i int) (s, _ int32) {
	scales, sums := (*[16]byte)(b[192:]), (*[16]int16)(x.s16[16*i:])
	for g, v := range sums {
		s -= 32 * int32(int8(scales[g])) * int32(v)
	}
	codes := (*[256]int8)(q)
	for part := range 4 { // 64 values of 16 bytes of qh
		h, l := part/2, part%2*16
		lo0, lo1 := (*[16]byte)(b[64*h+l:]), (*[16]byte)(b[64*h+32+l:])
		hi := (*[16]byte)(b[128+32*h+l:])
		x := codes[128*h+l:]
		x0, x1, x2, x3 := (*[16]int8)(x), (*[16]int8)(x[32:]), (*[16]int8)(x[64:]), (*[16]int8)(x[96:])
		var s0, s1, s2, s3 int32
		for i, v := range hi {
			a, b, v := int32(lo0[i]), int32(lo1[i]), int32(v)
			s0 += (a&15 | v&3<<4) * int32(x0[i])
			s1 += (b&15 | v>>2&3<<4) * int32(x1[i])
			s2 += (a>>4 | v>>4&3<<4) * int32(x2[i])
			s3 += (b>>4 | v>>6<<4) * int32(x3[i])
		}
		g := (*[8]byte)(scales[8*h:])
		l /= 16
		s += int32(int8(g[l]))*s0 + int32(int8(g[2+l]))*s1 + int32(int8(g[4+l]))*s2 + int32(int8(g[6+l]))*s3
	}
	return s, 0
}
