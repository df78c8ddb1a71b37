#include "textflag.h"
#include "neon_arm64.h"
#include "tile_arm64.h"

// Products of a tile of rows with one activation column, types of 32 values per block: docs/NUMERICS.md §3 in the order
// of §3, lane = row. Plain NEON. Nothing is read past the last block of a row, nor past q, d and s.
//
// The tail of a block (sums across lanes, conversion, scaling, addition) is interleaved with the products of the block
// after it, which keeps an in-order core busy. The first one adds +0 to +0.
//
//	R0  dst             R5  activations     R8  blocks left        R14 rows, 1-4
//	R10-R13 the rows    R6  their scales    R9  bytes to prefetch  R15 bytes from row to row
//	V31 acc             R7  their sums

// func neonQ8_0Rows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)
//
// for b: acc[r] += float32(sum_i w[r][b][i]*q[b][i]) * (D[r][b]*d[b])
//
// 16-bit sums: two products per lane, at most 2*128*127 = 32512.
//	V0,V1 activations   V16-V23 weights   V24-V27, V4-V7 sums of values 0-15 and 16-31 of rows 0-3
//	V2 D   V3 d   V9 D*d of the block before, V24-V27 its sums at the start, V10 then
TEXT ·neonQ8_0Rows(SB), NOSPLIT, $0-72
	ARGSROWS
	MOVI_16B(9, 0)
	MOVI_16B(24, 0)
	MOVI_16B(25, 0)
	MOVI_16B(26, 0)
	MOVI_16B(27, 0)
	CBZ  R8, q8done

q8loop:
	PRFM (R9), PLDL2KEEP
	PRFM 64(R9), PLDL2KEEP
	PRFM 128(R9), PLDL2KEEP
	ADD  $136, R9
	SCALES
	LD1RS_P(3, 6)
	LDPQ_P(0, 1, 5, 32)
	LDURQ(16, 10, 2)
	LDURQ(18, 11, 2)
	LDURQ(20, 12, 2)
	LDURQ(22, 13, 2)
	LDURQ(17, 10, 18)
	LDURQ(19, 11, 18)
	LDURQ(21, 12, 18)
	LDURQ(23, 13, 18)
	NEXT(34)
	ADDP_4S(10, 24, 25)
	ADDP_4S(11, 26, 27)
	SMULL_8H(24, 16, 0)
	SMULL_8H(25, 18, 0)
	SMULL_8H(26, 20, 0)
	SMULL_8H(27, 22, 0)
	ADDP_4S(10, 10, 11)
	SCALES_JOIN
	SMULL_8H(4, 17, 1)
	SMULL_8H(5, 19, 1)
	SMULL_8H(6, 21, 1)
	SMULL_8H(7, 23, 1)
	SCVTF_4S(10, 10)
	SMLAL2_8H(24, 16, 0)
	SMLAL2_8H(25, 18, 0)
	SMLAL2_8H(26, 20, 0)
	SMLAL2_8H(27, 22, 0)
	FMUL_4S(10, 10, 9)
	SMLAL2_8H(4, 17, 1)
	SMLAL2_8H(5, 19, 1)
	SMLAL2_8H(6, 21, 1)
	SMLAL2_8H(7, 23, 1)
	FADD_4S(31, 31, 10)
	SADDLP_4S(24, 24)
	SADDLP_4S(25, 25)
	SADDLP_4S(26, 26)
	SADDLP_4S(27, 27)
	FCVTL_4S(2, 2)
	SADALP_4S(24, 4)
	SADALP_4S(25, 5)
	SADALP_4S(26, 6)
	SADALP_4S(27, 7)
	FMUL_4S(9, 2, 3)
	SUB  $1, R8
	CBNZ R8, q8loop

q8done:
	ADDP_4S(10, 24, 25)
	ADDP_4S(11, 26, 27)
	ADDP_4S(10, 10, 11)
	SCVTF_4S(10, 10)
	FMUL_4S(10, 10, 9)
	FADD_4S(31, 31, 10)
	STORE(V31, F31, R0, q8few, q8end)
	RET

// func neonQ4_0Rows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)
//
// for b: acc[r] += float32(sum_i n[r][b][i]*q[b][i] - 8*s[b]) * (D[r][b]*d[b]), n the nibbles, s int32
//
// 16-bit sums: four products per lane, at most 4*15*127 = 7620; two rounds of pairs: 30480.
//	V0,V1 activations   V16-V19 high nibbles, values 16-31   V20-V23 low nibbles, values 0-15   V8 the nibble mask
//	V2 D   V3 d   V4 s   V9 D*d, V10 8*s, V24-V27 sums of the block before
TEXT ·neonQ4_0Rows(SB), NOSPLIT, $0-72
	ARGSROWS
	MOVI_16B(9, 0)
	MOVI_16B(8, 15)
	MOVI_16B(10, 0)
	MOVI_16B(24, 0)
	MOVI_16B(25, 0)
	MOVI_16B(26, 0)
	MOVI_16B(27, 0)
	CBZ  R8, q4done

q4loop:
	PRFM (R9), PLDL2KEEP
	PRFM 64(R9), PLDL2KEEP
	ADD  $72, R9
	SCALES
	LD1RS_P(3, 6)
	LD1RS_P(4, 7)
	LDPQ_P(0, 1, 5, 32)
	LDURQ(16, 10, 2)
	LDURQ(17, 11, 2)
	LDURQ(18, 12, 2)
	LDURQ(19, 13, 2)
	NEXT(18)
	ADDP_8H(5, 24, 25)
	ADDP_8H(6, 26, 27)
	AND_16B(20, 16, 8)
	AND_16B(21, 17, 8)
	AND_16B(22, 18, 8)
	AND_16B(23, 19, 8)
	ADDP_8H(5, 5, 6)
	SCALES_JOIN
	USHR_16B(16, 16, 4)
	USHR_16B(17, 17, 4)
	USHR_16B(18, 18, 4)
	USHR_16B(19, 19, 4)
	SADDLP_4S(5, 5)
	SMULL_8H(24, 20, 0)
	SMULL_8H(25, 21, 0)
	SMULL_8H(26, 22, 0)
	SMULL_8H(27, 23, 0)
	SUB_4S(5, 5, 10)
	SMLAL2_8H(24, 20, 0)
	SMLAL2_8H(25, 21, 0)
	SMLAL2_8H(26, 22, 0)
	SMLAL2_8H(27, 23, 0)
	SCVTF_4S(5, 5)
	FCVTL_4S(2, 2)
	SHL_4S(10, 4, 3)
	SMLAL_8H(24, 16, 1)
	SMLAL_8H(25, 17, 1)
	SMLAL_8H(26, 18, 1)
	SMLAL_8H(27, 19, 1)
	FMUL_4S(5, 5, 9)
	SMLAL2_8H(24, 16, 1)
	SMLAL2_8H(25, 17, 1)
	SMLAL2_8H(26, 18, 1)
	SMLAL2_8H(27, 19, 1)
	FMUL_4S(9, 2, 3)
	FADD_4S(31, 31, 5)
	SUB  $1, R8
	CBNZ R8, q4loop

q4done:
	ADDP_8H(5, 24, 25)
	ADDP_8H(6, 26, 27)
	ADDP_8H(5, 5, 6)
	SADDLP_4S(5, 5)
	SUB_4S(5, 5, 10)
	SCVTF_4S(5, 5)
	FMUL_4S(5, 5, 9)
	FADD_4S(31, 31, 5)
	STORE(V31, F31, R0, q4few, q4end)
	RET
