package quant

// TQ1_0 and TQ2_0 (GGML: block_tq1_0, block_tq2_0): 256 values of -1, 0, 1 and one scale.
//
//	TQ1_0, 54 bytes
//	0                                  32               48            52       54
//	+----------------------------------+----------------+-------------+--------+
//	| qs: 32 bytes of 5 digits         | 16 of 5 digits | qh: 4 of 4  | d fp16 |
//	+----------------------------------+----------------+-------------+--------+
//	 values 0..159                      160..239         240..255
//
// A byte is a fraction of 256 in base 3, rounded up: its first digit after the point is b*3 >> 8, and multiplying by
// 3 mod 256 shifts to the next one. Within each of the three runs, of n bytes, byte j holds the values j, j+n, j+2n...
// of the run.
//
//	TQ2_0, 66 bytes
//	0                                       64       66
//	+---------------------------------------+--------+
//	| qs: 64 bytes, pairs as in Q2_K        | d fp16 |
//	+---------------------------------------+--------+
//
//	value[i] = d * (digit[i] - 1)
//
// The fourth code of TQ2_0, which no encoder writes, is 2.

func unpackTQ1(dst *Ints, b []byte) {
	dst.D = fp16(b[52:])
	unpackTrits(dst.Q[0:160], b[0:32])
	unpackTrits(dst.Q[160:240], b[32:48])
	unpackTrits(dst.Q[240:256], b[48:52])
}

// unpackTrits writes len(q)/len(bytes) digits of each byte.
func unpackTrits(q []int8, bytes []byte) {
	for j, v := range bytes {
		for i := j; i < len(q); i += len(bytes) {
			q[i] = int8(uint(v)*3>>8) - 1
			v *= 3
		}
	}
}

func unpackTQ2(dst *Ints, b []byte) {
	dst.D = fp16(b[64:])
	unpackPairs(&dst.Q, b[:64], -1)
}
