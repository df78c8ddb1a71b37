package quant

// Q6_K (GGML: block_q6_K): 256 values in 4 bits and a plane of upper pairs; 16 groups of 16 with an 8-bit scale each.
//
//	0                        128              192                208      210
//	+------------------------+----------------+------------------+--------+
//	| ql: 128 bytes          | qh: 64 bytes   | scales: 16, int8 | d fp16 |
//	+------------------------+----------------+------------------+--------+
//
//	Two halves h of 128 values, each with 64 bytes of ql and 32 of qh; value i = 128*h + 32*k + l, l < 32:
//	ql[64*h + 32*(k%2) + l]:  7     4 3     0       qh[32*h + l]:  7 6   5 4   3 2   1 0
//	                         | k=2,3 | k=0,1 |                    | k=3 | k=2 | k=1 | k=0 |
//
//	value[i] = d * scales[i/16] * ((nibble | pair<<4) - 32)

func unpackQ6K(dst *Ints, b []byte) {
	ql, qh, scales := b[:128], b[128:192], b[192:208]
	dst.D = fp16(b[208:])
	for g, v := range scales {
		dst.Scale[g] = int16(int8(v))
	}
	for i := range dst.Q {
		h, k, l := i/128, i%128/32, i%32
		lo := ql[64*h+32*(k%2)+l] >> (k / 2 * 4) & 15
		hi := qh[32*h+l] >> (2 * k) & 3
		dst.Q[i] = int8(lo|hi<<4) - 32
	}
}
