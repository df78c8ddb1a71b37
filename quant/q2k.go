package quant

// Q2_K (GGML: block_q2_K): 256 values in 2 bits; 16 groups of 16 with a 4-bit scale and a 4-bit minimum each.
//
//	0                  16                                 80       82          84
//	+------------------+----------------------------------+--------+-----------+
//	| scales: 16 bytes | qs: 64 bytes                     | d fp16 | dmin fp16 |
//	+------------------+----------------------------------+--------+-----------+
//
//	byte g of scales:  7     4 3     0      byte 32*h+l of qs (h < 2, l < 32), value i = 128*h + l + 32*k:
//	                  | m[g]  | s[g]  |      7 6   5 4   3 2   1 0
//	                                       | k=3 | k=2 | k=1 | k=0 |
//
//	value[i] = d * s[i/16] * n[i] - dmin * m[i/16]

func unpackQ2K(dst *Ints, b []byte) {
	scales, qs := b[:16], b[16:80]
	dst.D, dst.DMin = fp16(b[80:]), -fp16(b[82:])
	for g, v := range scales {
		dst.Scale[g], dst.Min[g] = int16(v&15), int16(v>>4)
	}
	unpackPairs(&dst.Q, qs, 0)
}

// unpackPairs writes the 256 two-bit fields of 64 bytes, each plus bias, in the order that Q2_K, Q3_K and TQ2_0
// share: each half of 32 bytes holds 128 values, first the lowest field of all its bytes, then the next.
func unpackPairs(q *[256]int8, qs []byte, bias int8) {
	for i := range q {
		h, k, l := i/128, i%128/32, i%32
		q[i] = int8(qs[32*h+l]>>(2*k)&3) + bias
	}
}
