#include "textflag.h"
#include "neon_arm64.h"
#include "tile_arm64.h"
#include "five_arm64.h"

// Products of a tile of rows with one activation column, types of 32 values with a minimum: docs/NUMERICS.md §3, lane =
// row. Plain NEON. Registers as in neon_matvec32_arm64.s. Nothing is read past the last block of a row, nor past q, d
// and s.

// PAIRS loads the fp16 pairs (d, m) at the start of the four blocks: D*d in V2, m*d times the activations' sum in V9.
// Uses R16, R17, R19, R20, V3, V10.
#define PAIRS \
	MOVWU (R10), R16     \
	MOVWU (R11), R17     \
	MOVWU (R12), R19     \
	MOVWU (R13), R20     \
	ORR   R17<<32, R16   \
	ORR   R20<<32, R19   \
	VMOV  R16, V2.D[0]   \
	VMOV  R19, V2.D[1]   \
	LD1RS_P(3, 6)        \
	LD1RS_P(10, 7)       \
	UZP2_8H(9, 2, 2)     \
	UZP1_8H(2, 2, 2)     \
	SCVTF_4S(10, 10)     \
	FCVTL_4S(9, 9)       \
	FCVTL_4S(2, 2)       \
	FMUL_4S(9, 9, 3)     \
	FMUL_4S(2, 2, 3)     \
	FMUL_4S(9, 10, 9)

// ROWS4_1 leaves the values of the blocks at x and y in V16, V17 and V18, V19.
#define ROWS4_1(x, y) \
	LDURQ(17, x, 4)     \
	LDURQ(19, y, 4)     \
	AND_16B(16, 17, 8)  \
	AND_16B(18, 19, 8)  \
	USHR_16B(17, 17, 4) \
	USHR_16B(19, 19, 4)

// END1 ends a block. 16-bit sums: four products per lane, at most 4*31*127 = 15748; one round of pairs: 31496.
#define END1 \
	ADDP_8H(24, 24, 25) \
	ADDP_8H(26, 26, 27) \
	SADDLP_4S(24, 24)   \
	SADDLP_4S(26, 26)   \
	ADDP_4S(24, 24, 26) \
	SCVTF_4S(24, 24)    \
	FMUL_4S(24, 24, 2)  \
	FADD_4S(31, 31, 24) \
	FADD_4S(31, 31, 9)

// func neonQ4_1Rows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)
//
// for b: acc[r] += float32(sum_i n[r][b][i]*q[b][i]) * (D[r][b]*d[b]); acc[r] += float32(s[b]) * (m[r][b]*d[b]), s int32
//
//	V0,V1 activations   V8 the nibble mask   V24-V27 sums
TEXT ·neonQ4_1Rows(SB), NOSPLIT, $0-72
	ARGSROWS
	MOVI_16B(8, 15)
	CBZ  R8, q41done

q41loop:
	PRFM (R9), PLDL2KEEP
	PRFM 64(R9), PLDL2KEEP
	ADD  $80, R9
	LDPQ_P(0, 1, 5, 32)
	ROWS4_1(10, 11)
	PRODUCTSX2(24, 25)
	PAIRS
	ROWS4_1(12, 13)
	PRODUCTSX2(26, 27)
	NEXT(20)
	END1
	SUB  $1, R8
	CBNZ R8, q41loop

q41done:
	STORE(V31, F31, R0, q41few, q41end)
	RET

// ROWS5_1 takes the values as Q5_VALUES does and makes up for the 16: V11 is 16 in every byte.
#define ROWS5_1(x, y) \
	Q5_VALUESX2(x, y, 4) \
	ADD_16B(16, 16, 11) \
	ADD_16B(18, 18, 11) \
	ADD_16B(17, 17, 11) \
	ADD_16B(19, 19, 11)

// func neonQ5_1Rows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)
//
// As neonQ4_1Rows.
//
//	V4-V8 constants of Q5_VALUES
TEXT ·neonQ5_1Rows(SB), NOSPLIT, $0-72
	ARGSROWS
	Q5_0CONSTS
	MOVI_16B(11, 16)
	CBZ  R8, q51done

q51loop:
	PRFM (R9), PLDL2KEEP
	PRFM 64(R9), PLDL2KEEP
	ADD  $96, R9
	LDPQ_P(0, 1, 5, 32)
	ROWS5_1(10, 11)
	PRODUCTSX2(24, 25)
	PAIRS
	ROWS5_1(12, 13)
	PRODUCTSX2(26, 27)
	NEXT(24)
	END1
	SUB  $1, R8
	CBNZ R8, q51loop

q51done:
	STORE(V31, F31, R0, q51few, q51end)
	RET
