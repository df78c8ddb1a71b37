package quant

import "encoding/binary"

// Q5_0 and Q5_1 (GGML: block_q5_0, block_q5_1): 32 values in 4 bits and a plane of fifth bits, one scale; Q5_1 also
// has a minimum.
//
//	Q5_0, 22 bytes
//	0        2                6                  22
//	+--------+----------------+------------------+
//	| d fp16 | qh: 32 bits LE | qs: 16 bytes     |
//	+--------+----------------+------------------+
//
//	Q5_1, 24 bytes
//	0        2        4                8                  24
//	+--------+--------+----------------+------------------+
//	| d fp16 | m fp16 | qh: 32 bits LE | qs: 16 bytes     |
//	+--------+--------+----------------+------------------+
//
//	n[i] = nibble i of qs (as in Q4_0: byte j holds j low and j+16 high) | bit i of qh << 4
//	Q5_0: value[i] = d * (n[i] - 16)      Q5_1: value[i] = d * n[i] + m

func unpackQ5_0(dst *Ints, b []byte) {
	dst.D = fp16(b)
	unpackNibbles(dst.Q[:32], b[6:22], -16)
	addFifthBits(dst.Q[:32], b[2:6])
}

func unpackQ5_1(dst *Ints, b []byte) {
	dst.D = fp16(b)
	dst.DMin, dst.Min[0] = fp16(b[2:]), 1
	unpackNibbles(dst.Q[:32], b[8:24], 0)
	addFifthBits(dst.Q[:32], b[4:8])
}

func addFifthBits(q []int8, qh []byte) {
	bits := binary.LittleEndian.Uint32(qh)
	for i := range q {
		q[i] += int8(bits >> i & 1 << 4)
	}
}
