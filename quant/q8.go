package quant

// Q8_0 (GGML: block_q8_0): 32 values in 8 bits, one scale.
//
//	0        2                             34
//	+--------+-----------------------------+
//	| d fp16 | qs: 32 bytes, int8          |    value[i] = d * qs[i]
//	+--------+-----------------------------+
//
// An encoder writes -127..127; a file may hold -128 too.

func unpackQ8_0(dst *Ints, b []byte) {
	dst.D = fp16(b)
	for i, v := range b[2:34] {
		dst.Q[i] = int8(v)
	}
}
