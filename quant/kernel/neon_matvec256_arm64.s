#include "textflag.h"
#include "neon_arm64.h"
#include "tile_arm64.h"
#include "kquant_arm64.h"

// Products of a tile of rows with one activation column, types of 256 values per block: docs/NUMERICS.md §3, lane = row.
// Plain NEON. Nothing is read past the last block of a row, nor past q, d and s.
//
//	R0  dst             R5  activations               R8  blocks left        R14 rows, 1-4
//	R10-R13 the rows    R6  their scales              R9  bytes to prefetch  R15 bytes from row to row
//	V31 acc             R7  their sums of 16, int16   V16-V19 sums of rows 0-3 in 32 bits

// Q4K_HALF forms the products of 128 values of row x from byte off (two spans of 32 bytes, low and high nibbles a group
// each) and multiplies them by the group scales: DUP spreads half of the 16-bit scales in sc over lanes, MUL starts or
// continues the sum a. 16-bit sums: four products per lane, 4*15*127 = 7620; two rounds of pairs: 30480.
#define Q4K_HALF(x, off, sc, DUP, MUL, a) \
	LDPQ(20, 21, x, off)    \
	LDPQ(22, 23, x, off+32) \
	AND_16B(28, 20, 8)      \
	AND_16B(29, 21, 8)      \
	AND_16B(30, 22, 8)      \
	AND_16B(9, 23, 8)       \
	USHR_16B(20, 20, 4)     \
	USHR_16B(21, 21, 4)     \
	USHR_16B(22, 22, 4)     \
	USHR_16B(23, 23, 4)     \
	SMULL_8H(24, 28, 0)     \
	SMULL_8H(25, 20, 2)     \
	SMULL_8H(26, 30, 4)     \
	SMULL_8H(27, 22, 6)     \
	SMLAL2_8H(24, 28, 0)    \
	SMLAL2_8H(25, 20, 2)    \
	SMLAL2_8H(26, 30, 4)    \
	SMLAL2_8H(27, 22, 6)    \
	SMLAL_8H(24, 29, 1)     \
	SMLAL_8H(25, 21, 3)     \
	SMLAL_8H(26, 9, 5)      \
	SMLAL_8H(27, 23, 7)     \
	SMLAL2_8H(24, 29, 1)    \
	SMLAL2_8H(25, 21, 3)    \
	SMLAL2_8H(26, 9, 5)     \
	SMLAL2_8H(27, 23, 7)    \
	DUP(28, sc, sc)         \
	ADDP_8H(24, 24, 25)     \
	ADDP_8H(26, 26, 27)     \
	ADDP_8H(24, 24, 26)     \
	MUL(a, 24, 28)          \
	SMLAL2_4S(a, 24, 28)

// func neonQ4_KRows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)
//
// for b: acc[r] += float32(sum_g Scale[g]*sum_i n[i]*q[i]) * (D*d); acc[r] -= float32(sum_g Min[g]*s32[g]) * (dmin*d)
//
//	V0-V7 activations   V8 the nibble mask   V10-V13 scales of rows 0-3, 16 bits per group
//	V14 the product of the minima   V15 D*d
TEXT ·neonQ4_KRows(SB), NOSPLIT, $0-72
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
	Q4K_HALF(10, 16, 10, ZIP1_8H, SMULL_4S, 16)
	Q4K_HALF(11, 16, 11, ZIP1_8H, SMULL_4S, 17)
	Q4K_HALF(12, 16, 12, ZIP1_8H, SMULL_4S, 18)
	Q4K_HALF(13, 16, 13, ZIP1_8H, SMULL_4S, 19)
	ACTS128
	Q4K_HALF(10, 80, 10, ZIP2_8H, SMLAL_4S, 16)
	Q4K_HALF(11, 80, 11, ZIP2_8H, SMLAL_4S, 17)
	Q4K_HALF(12, 80, 12, ZIP2_8H, SMLAL_4S, 18)
	Q4K_HALF(13, 80, 13, ZIP2_8H, SMLAL_4S, 19)
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

// Q6K_HALF forms the products of half h of row x. EXT widens the half's eight scales, MUL starts or continues the sum a.
#define Q6K_HALF(x, h, EXT, MUL, a) \
	Q6K_VALUES(x, h, 9, 10, 11, 12, 13, 14) \
	LDRQ(30, x, 192) \
	PRODUCTS16(EXT, MUL, a)

// func neonQ6_KRows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)
//
// for b: acc[r] += float32(sum_g Scale[g]*sum_i Q[i]*q[i]) * (D*d)
//
//	V0-V7 activations   V8 0xaa in every byte
TEXT ·neonQ6_KRows(SB), NOSPLIT, $0-72
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
	Q6K_HALF(10, 0, SXTL_8H, SMULL_4S, 16)
	Q6K_HALF(11, 0, SXTL_8H, SMULL_4S, 17)
	Q6K_HALF(12, 0, SXTL_8H, SMULL_4S, 18)
	Q6K_HALF(13, 0, SXTL_8H, SMULL_4S, 19)
	ACTS128
	Q6K_HALF(10, 1, SXTL2_8H, SMLAL_4S, 16)
	Q6K_HALF(11, 1, SXTL2_8H, SMLAL_4S, 17)
	Q6K_HALF(12, 1, SXTL2_8H, SMLAL_4S, 18)
	Q6K_HALF(13, 1, SXTL2_8H, SMLAL_4S, 19)
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
