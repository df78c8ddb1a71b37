package quant

// Q4_K and Q5_K (GGML: block_q4_K, block_q5_K): 256 values in 4 bits, Q5_K with a plane of fifth bits; 8 groups of 32
// with a 6-bit scale and a 6-bit minimum each.
//
//	Q4_K, 144 bytes
//	0        2           4                  16                                    144
//	+--------+-----------+------------------+-------------------------------------+
//	| d fp16 | dmin fp16 | scales: 12 bytes | qs: 128 bytes                       |
//	+--------+-----------+------------------+-------------------------------------+
//
//	Q5_K, 176 bytes
//	0        2           4                  16             48                     176
//	+--------+-----------+------------------+--------------+----------------------+
//	| d fp16 | dmin fp16 | scales: 12 bytes | qh: 32 bytes | qs: 128 bytes        |
//	+--------+-----------+------------------+--------------+----------------------+
//
//	qs: byte 32*p+l (p < 4, l < 32) holds value 64*p+l low and value 64*p+32+l high.
//	qh: bit g of byte l is the fifth bit of value 32*g+l.
//	scales: s[g] and m[g], 6 bits each, for j < 4:
//
//	byte j:    7    6 5      0    byte 4+j:  7    6 5      0    byte 8+j:  7      4 3      0
//	          |s[4+j] |  s[j] |             |m[4+j] |  m[j] |             | m[4+j] | s[4+j] |
//	           bits 5-4                      bits 5-4                      bits 3-0  bits 3-0
//
//	value[i] = d * s[g] * n[i] - dmin * m[g],  g = i/32

func unpackQ4K(dst *Ints, b []byte) {
	unpackScalesK(dst, b)
	for p := range 4 {
		unpackNibbles(dst.Q[64*p:64*p+64], b[16+32*p:48+32*p], 0)
	}
}

func unpackQ5K(dst *Ints, b []byte) {
	unpackScalesK(dst, b)
	for p := range 4 {
		unpackNibbles(dst.Q[64*p:64*p+64], b[48+32*p:80+32*p], 0)
	}
	qh := b[16:48]
	for i := range dst.Q {
		dst.Q[i] += int8(qh[i%32] >> (i / 32) & 1 << 4)
	}
}

// unpackScalesK reads d, dmin and the 6-bit pairs from the head that Q4_K and Q5_K share.
func unpackScalesK(dst *Ints, b []byte) {
	dst.D, dst.DMin = fp16(b), -fp16(b[2:])
	for j := range 4 {
		x, y, z := b[4+j], b[8+j], b[12+j]
		dst.Scale[j], dst.Min[j] = int16(x&63), int16(y&63)
		dst.Scale[4+j] = int16(z&15 | x>>6<<4)
		dst.Min[4+j] = int16(z>>4 | y>>6<<4)
	}
}
