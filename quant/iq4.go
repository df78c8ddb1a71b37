package quant

import "encoding/binary"

// IQ4_NL and IQ4_XS (GGML: block_iq4_nl, block_iq4_xs): 4-bit indices into one table of 16 unevenly spaced values.
// IQ4_NL has one scale per 32 values; IQ4_XS has 8 groups of 32 with a 6-bit scale each.
//
//	IQ4_NL, 18 bytes
//	0        2                  18
//	+--------+------------------+
//	| d fp16 | qs: 16 bytes     |      value[i] = d * T[n[i]], nibbles as in Q4_0
//	+--------+------------------+
//
//	IQ4_XS, 136 bytes
//	0        2               4               8                                136
//	+--------+---------------+---------------+--------------------------------+
//	| d fp16 | sh: 16 bits LE| sl: 4 bytes   | qs: 8 x 16 bytes               |
//	+--------+---------------+---------------+--------------------------------+
//
//	s[g] = nibble g of sl (g even: low nibble of sl[g/2]) | (sh >> 2*g & 3) << 4
//	value[i] = d * (s[g] - 32) * T[n[i]],  g = i/32; the 16 bytes of group g hold its nibbles as in Q4_0

// IQ4Values is the table T of IQ4_NL and IQ4_XS (GGML: kvalues_iq4nl).
var IQ4Values = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

func unpackIQ4NL(dst *Ints, b []byte) {
	dst.D = fp16(b)
	lookupNibbles(dst.Q[:32], b[2:18], &IQ4Values)
}

func unpackIQ4XS(dst *Ints, b []byte) {
	dst.D = fp16(b)
	sh := binary.LittleEndian.Uint16(b[2:])
	for g := range 8 {
		lo := b[4+g/2] >> (g % 2 * 4) & 15
		dst.Scale[g] = int16(uint16(lo)|sh>>(2*g)&3<<4) - 32
		lookupNibbles(dst.Q[32*g:32*g+32], b[8+16*g:24+16*g], &IQ4Values)
	}
}

// lookupNibbles is unpackNibbles through a table.
func lookupNibbles(q []int8, qs []byte, table *[16]int8) {
	unpackNibbles(q, qs, 0)
	for i, n := range q {
		q[i] = table[n]
	}
}
