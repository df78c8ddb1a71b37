package quant

// Q3_K (GGML: block_q3_K): 256 values in 2 bits and a plane of third bits; 16 groups of 16 with a 6-bit scale each.
//
//	0                 32                          96                 108      110
//	+-----------------+---------------------------+------------------+--------+
//	| hmask: 32 bytes | qs: 64 bytes              | scales: 12 bytes | d fp16 |
//	+-----------------+---------------------------+------------------+--------+
//
//	qs as in Q2_K. The third bit of value i is bit i/32 of hmask[i%32]; where it is clear, 4 is subtracted.
//	Scales: 16 low nibbles in bytes 0-7 (g low, g+8 high), 16 high pairs in bytes 8-11:
//
//	byte j < 8:  7       4 3       0     byte 8+j, j < 4:  7 6    5 4    3 2    1 0
//	            | lo[j+8]  | lo[j]  |                     |hi[12+j]|hi[8+j]|hi[4+j]|hi[j]|
//
//	value[i] = d * ((lo[g] | hi[g]<<4) - 32) * (n[i] - (third bit ? 0 : 4)),  g = i/16

func unpackQ3K(dst *Ints, b []byte) {
	hmask, qs, scales := b[:32], b[32:96], b[96:108]
	dst.D = fp16(b[108:])
	for g := range 16 {
		lo := scales[g%8] >> (g / 8 * 4) & 15
		hi := scales[8+g%4] >> (g / 4 * 2) & 3
		dst.Scale[g] = int16(lo|hi<<4) - 32
	}
	unpackPairs(&dst.Q, qs, -4)
	for i := range dst.Q {
		dst.Q[i] += int8(hmask[i%32] >> (i / 32) & 1 << 2)
	}
}
