#include "textflag.h"
#include "neon_arm64.h"
#include "tile_arm64.h"
#include "kquant_arm64.h"

// Products of a tile of rows with one activation column: docs/NUMERICS.md §3, lane = row. NEON and FEAT_DotProd.
// Nothing is read past the last block of a row, nor past q, d and s. Registers as in neon_matvec32_arm64.s and
// neon_matvec256_arm64.s; all sums are in 32 bits.

// func dotQ8_0Rows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)
//
// for b: acc[r] += float32(sum_i w[r][b][i]*q[b][i]) * (D[r][b]*d[b])
//
//	V0,V1 activations   V16-V23 weights   V2 D   V3 d   V9 D*d, V24-V27 sums of the block before
TEXT ·dotQ8_0Rows(SB), NOSPLIT, $0-72
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
	SCALES_JOIN
	MOVI_16B(24, 0)
	MOVI_16B(25, 0)
	MOVI_16B(26, 0)
	MOVI_16B(27, 0)
	SDOT_4S(24, 16, 0)
	SDOT_4S(25, 18, 0)
	SDOT_4S(26, 20, 0)
	SDOT_4S(27, 22, 0)
	ADDP_4S(10, 10, 11)
	FCVTL_4S(2, 2)
	SDOT_4S(24, 17, 1)
	SDOT_4S(25, 19, 1)
	SDOT_4S(26, 21, 1)
	SDOT_4S(27, 23, 1)
	SCVTF_4S(10, 10)
	FMUL_4S(10, 10, 9)
	FMUL_4S(9, 2, 3)
	FADD_4S(31, 31, 10)
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

// func dotQ4_0Rows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)
//
// for b: acc[r] += float32(sum_i n[r][b][i]*q[b][i] - 8*s[b]) * (D[r][b]*d[b]), n the nibbles, s int32
//
// Every one of the four lanes that are added up starts at -2*s.
//	V0,V1 activations   V16-V19 high nibbles, values 16-31   V20-V23 low nibbles, values 0-15   V8 the nibble mask
//	V4 -2*s   V2 D   V3 d   V9 D*d, V24-V27 sums of the block before   V7 0
TEXT ·dotQ4_0Rows(SB), NOSPLIT, $0-72
	ARGSROWS
	MOVI_16B(8, 15)
	MOVI_16B(9, 0)
	MOVI_16B(7, 0)
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
	SHL_4S(4, 4, 1)
	ADDP_4S(5, 24, 25)
	ADDP_4S(6, 26, 27)
	SCALES_JOIN
	SUB_4S(24, 7, 4)
	SUB_4S(25, 7, 4)
	SUB_4S(26, 7, 4)
	SUB_4S(27, 7, 4)
	AND_16B(20, 16, 8)
	AND_16B(21, 17, 8)
	AND_16B(22, 18, 8)
	AND_16B(23, 19, 8)
	USHR_16B(16, 16, 4)
	USHR_16B(17, 17, 4)
	USHR_16B(18, 18, 4)
	USHR_16B(19, 19, 4)
	SDOT_4S(24, 20, 0)
	SDOT_4S(25, 21, 0)
	SDOT_4S(26, 22, 0)
	SDOT_4S(27, 23, 0)
	ADDP_4S(5, 5, 6)
	FCVTL_4S(2, 2)
	SDOT_4S(24, 16, 1)
	SDOT_4S(25, 17, 1)
	SDOT_4S(26, 18, 1)
	SDOT_4S(27, 19, 1)
	SCVTF_4S(5, 5)
	FMUL_4S(5, 5, 9)
	FMUL_4S(9, 2, 3)
	FADD_4S(31, 31, 5)
	SUB  $1, R8
	CBNZ R8, q4loop

q4done:
	ADDP_4S(5, 24, 25)
	ADDP_4S(6, 26, 27)
	ADDP_4S(5, 5, 6)
	SCVTF_4S(5, 5)
	FMUL_4S(5, 5, 9)
	FADD_4S(31, 31, 5)
	STORE(V31, F31, R0, q4few, q4end)
	RET

// Q4K_DOT forms the products of 128 values of row x from byte off and multiplies the sums of their four groups by the
// group scales: EXT widens half of sc, MUL starts or continues the sum a.
#define Q4K_DOT(x, off, sc, EXT, MUL, a) \
	LDPQ(20, 21, x, off)    \
	LDPQ(22, 23, x, off+32) \
	MOVI_16B(24, 0)         \
	MOVI_16B(25, 0)         \
	MOVI_16B(26, 0)         \
	MOVI_16B(27, 0)         \
	AND_16B(28, 20, 8)      \
	AND_16B(29, 21, 8)      \
	AND_16B(30, 22, 8)      \
	AND_16B(9, 23, 8)       \
	USHR_16B(20, 20, 4)     \
	USHR_16B(21, 21, 4)     \
	USHR_16B(22, 22, 4)     \
	USHR_16B(23, 23, 4)     \
	SDOT_4S(24, 28, 0)      \
	SDOT_4S(25, 20, 2)      \
	SDOT_4S(26, 30, 4)      \
	SDOT_4S(27, 22, 6)      \
	SDOT_4S(24, 29, 1)      \
	SDOT_4S(25, 21, 3)      \
	SDOT_4S(26, 9, 5)       \
	SDOT_4S(27, 23, 7)      \
	EXT(28, sc)             \
	ADDP_4S(24, 24, 25)     \
	ADDP_4S(26, 26, 27)     \
	ADDP_4S(24, 24, 26)     \
	MUL(a, 24, 28)

// func dotQ4_KRows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)
//
// for b: acc[r] += float32(sum_g Scale[g]*sum_i n[i]*q[i]) * (D*d); acc[r] -= float32(sum_g Min[g]*s32[g]) * (dmin*d)
TEXT ·dotQ4_KRows(SB), NOSPLIT, $0-72
	ARGSROWS
	MOVI_16B(8, 15)
	CBZ  R8, q4kdone

q4kloop:
	PRFM (R9), PLDL2KEEP
	PRFM 64(R9), PLDL2KEEP
	PRFM 128(R9), PLDL2KEEP
	PRFM 192(R9), PLDL2KEEP
	PRFM 256(R9), PLDL2KEEP
	PRFM 320(R9), PLDL2KEEP
	PRFM 384(R9), PLDL2KEEP
	PRFM 448(R9), PLDL2KEEP
	PRFM 512(R9), PLDL2KEEP
	ADD  $576, R9
	LDPQ_P(0, 1, 7, 32)
	LD1RS_P(2, 6)
	Q4K_HEAD
	Q4K_MINS
	ACTS128
	Q4K_DOT(10, 16, 10, UXTL_4S, MUL_4S, 16)
	Q4K_DOT(11, 16, 11, UXTL_4S, MUL_4S, 17)
	Q4K_DOT(12, 16, 12, UXTL_4S, MUL_4S, 18)
	Q4K_DOT(13, 16, 13, UXTL_4S, MUL_4S, 19)
	ACTS128
	Q4K_DOT(10, 80, 10, UXTL2_4S, MLA_4S, 16)
	Q4K_DOT(11, 80, 11, UXTL2_4S, MLA_4S, 17)
	Q4K_DOT(12, 80, 12, UXTL2_4S, MLA_4S, 18)
	Q4K_DOT(13, 80, 13, UXTL2_4S, MLA_4S, 19)
	NEXT(144)
	SUM4
	SCVTF_4S(16, 16)
	FMUL_4S(16, 16, 15)
	FADD_4S(31, 31, 16)
	FSUB_4S(31, 31, 14)
	SUB  $1, R8
	CBNZ R8, q4kloop

q4kdone:
	STORE(V31, F31, R0, q4kfew, q4kend)
	RET

// Q6K_DOT forms the products of half h of row x, groups of 16. EXT widens the half's eight scales, MUL starts or
// continues the sum a.
#define Q6K_DOT(x, h, EXT, MUL, a) \
	Q6K_VALUES(x, h, 9, 10, 11, 12, 13, 14) \
	LDRQ(30, x, 192)    \
	MOVI_16B(20, 0)     \
	MOVI_16B(21, 0)     \
	MOVI_16B(22, 0)     \
	MOVI_16B(23, 0)     \
	MOVI_16B(26, 0)     \
	MOVI_16B(27, 0)     \
	MOVI_16B(28, 0)     \
	MOVI_16B(29, 0)     \
	SDOT_4S(20, 9, 0)   \
	SDOT_4S(21, 10, 1)  \
	SDOT_4S(22, 11, 2)  \
	SDOT_4S(23, 12, 3)  \
	SDOT_4S(26, 13, 4)  \
	SDOT_4S(27, 14, 5)  \
	SDOT_4S(28, 24, 6)  \
	SDOT_4S(29, 25, 7)  \
	EXT(15, 30)         \
	ADDP_4S(20, 20, 21) \
	ADDP_4S(22, 22, 23) \
	ADDP_4S(26, 26, 27) \
	ADDP_4S(28, 28, 29) \
	SXTL_4S(30, 15)     \
	SXTL2_4S(15, 15)    \
	ADDP_4S(20, 20, 22) \
	ADDP_4S(26, 26, 28) \
	MUL(a, 20, 30)      \
	MLA_4S(a, 26, 15)

// func dotQ6_KRows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)
//
// for b: acc[r] += float32(sum_g Scale[g]*sum_i Q[i]*q[i]) * (D*d)
TEXT ·dotQ6_KRows(SB), NOSPLIT, $0-72
	ARGSROWS
	MOVI_16B(8, 0xaa)
	CBZ  R8, q6kdone

q6kloop:
	PRFM (R9), PLDL2KEEP
	PRFM 64(R9), PLDL2KEEP
	PRFM 128(R9), PLDL2KEEP
	PRFM 192(R9), PLDL2KEEP
	PRFM 256(R9), PLDL2KEEP
	PRFM 320(R9), PLDL2KEEP
	PRFM 384(R9), PLDL2KEEP
	PRFM 448(R9), PLDL2KEEP
	PRFM 512(R9), PLDL2KEEP
	PRFM 576(R9), PLDL2KEEP
	PRFM 640(R9), PLDL2KEEP
	PRFM 704(R9), PLDL2KEEP
	PRFM 768(R9), PLDL2KEEP
	PRFM 832(R9), PLDL2KEEP
	ADD  $840, R9
	ACTS128
	Q6K_DOT(10, 0, SXTL_8H, MUL_4S, 16)
	Q6K_DOT(11, 0, SXTL_8H, MUL_4S, 17)
	Q6K_DOT(12, 0, SXTL_8H, MUL_4S, 18)
	Q6K_DOT(13, 0, SXTL_8H, MUL_4S, 19)
	ACTS128
	Q6K_DOT(10, 1, SXTL2_8H, MLA_4S, 16)
	Q6K_DOT(11, 1, SXTL2_8H, MLA_4S, 17)
	Q6K_DOT(12, 1, SXTL2_8H, MLA_4S, 18)
	Q6K_DOT(13, 1, SXTL2_8H, MLA_4S, 19)
	NEXT(208)
	LD1RS_P(1, 6)
	LD1H_P(0, 0, 10)
	LD1H_P(0, 1, 11)
	LD1H_P(0, 2, 12)
	LD1H_P(0, 3, 13)
	FCVTL_4S(0, 0)
	FMUL_4S(0, 0, 1)
	SUM4
	SCVTF_4S(16, 16)
	FMUL_4S(16, 16, 0)
	FADD_4S(31, 31, 16)
	SUB  $1, R8
	CBNZ R8, q6kloop

q6kdone:
	STORE(V31, F31, R0, q6kfew, q6kend)
	RET
