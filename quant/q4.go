package quant

// Q4_0 and Q4_1 (GGML: block_q4_0, block_q4_1): 32 values in 4 bits, one scale; Q4_1 also has a minimum.
//
//	Q4_0, 18 bytes                      Q4_1, 20 bytes
//	0        2                  18      0        2        4                  20
//	+--------+------------------+       +--------+--------+------------------+
//	| d fp16 | qs: 16 bytes     |       | d fp16 | m fp16 | qs: 16 bytes     |
//	+--------+------------------+       +--------+--------+------------------+
//
//	byte j of qs:   7    4 3    0       Q4_0: value[i] = d * (n[i] - 8)
//	               | n[j+16] | n[j] |   Q4_1: value[i] = d * n[i] + m

func unpackQ4_0(dst *Ints, b []byte) {
	dst.D = fp16(b)
	unpackNibbles(dst.Q[:32], b[2:18], -8)
}

func unpackQ4_1(dst *Ints, b []byte) {
	dst.D = fp16(b)
	dst.DMin, dst.Min[0] = fp16(b[2:]), 1
	unpackNibbles(dst.Q[:32], b[4:20], 0)
}

// unpackNibbles writes the low nibbles of qs, then the high ones, each plus bias; len(q) is 2*len(qs).
func unpackNibbles(q []int8, qs []byte, bias int8) {
	n := len(qs)
	for j, v := range qs {
		q[j] = int8(v&15) + bias
		q[j+n] = int8(v>>4) + bias
	}
}
