#include "textflag.h"
#include "neon_arm64.h"
#include "tile_arm64.h"

// Products of a tile of rows with one activation column, types of 256 values per block: docs/NUMERICS.md §3, lane = row.
// Plain NEON. Nothing is read past the last block of a row, nor past q, d and s.
//
//	R0  dst             R5  activations               R8  blocks left        R14 rows, 1-4
//	R10-R13 the rows    R6  their scales              R9  bytes to prefetch  R15 bytes from row to row
//	V31 acc             R7  their sums of 16, int16   V16-V19 sums of rows 0-3 in 32 bits

#define ARGS256 \
	MOVD dst+0(FP), R0     \
	MOVD rows+8(FP), R14   \
	MOVD w+16(FP), R10     \
	MOVD stride+24(FP), R15 \
	MOVD blocks+32(FP), R8 \
	MOVD q+40(FP), R5      \
	MOVD d+48(FP), R6      \
	MOVD s+56(FP), R7      \
	MOVD pf+64(FP), R9     \
	ROWS4                  \
	MOVI_16B(31, 0)

// ACTS128 loads 128 activations into V0-V7.
#define ACTS128 \
	LDPQ_P(0, 1, 5, 32) \
	LDPQ_P(2, 3, 5, 32) \
	LDPQ_P(4, 5, 5, 32) \
	LDPQ_P(6, 7, 5, 32)

// SUM4 leaves the sums over the lanes of V16-V19 in the lanes of V16.
#define SUM4 \
	ADDP_4S(16, 16, 17) \
	ADDP_4S(18, 18, 19) \
	ADDP_4S(16, 16, 18)

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
	ARGS256
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

	// The 16 bytes before the nibbles, as four words per row: (d, dmin), X, Y, Z. Transposed: one word of four rows.
	LDRQ(16, 10, 0)
	LDRQ(17, 11, 0)
	LDRQ(18, 12, 0)
	LDRQ(19, 13, 0)
	LDPQ_P(0, 1, 7, 32)
	LD1RS_P(2, 6)
	TRN1_4S(20, 16, 17)
	TRN2_4S(21, 16, 17)
	TRN1_4S(22, 18, 19)
	TRN2_4S(23, 18, 19)
	ZIP1_2D(16, 20, 22)       // (d, dmin)
	ZIP2_2D(17, 20, 22)       // Y
	ZIP1_2D(18, 21, 23)       // X
	ZIP2_2D(19, 21, 23)       // Z
	UZP1_8H(20, 16, 16)
	UZP2_8H(21, 16, 16)
	FCVTL_4S(20, 20)          // D
	FCVTL_4S(21, 21)          // dmin
	FMUL_4S(15, 20, 2)
	FMUL_4S(14, 21, 2)

	// The 6-bit fields: scales 0-3 in V22, 4-7 in V23, minima 0-3 in V24, 4-7 in V25, four bytes per row.
	MOVI_16B(9, 63)
	AND_16B(22, 18, 9)
	AND_16B(24, 17, 9)
	AND_16B(23, 19, 8)
	USHR_16B(25, 19, 4)
	USHR_16B(18, 18, 6)
	USHR_16B(17, 17, 6)
	SHL_16B(18, 18, 4)
	SHL_16B(17, 17, 4)
	ORR_16B(23, 23, 18)
	ORR_16B(25, 25, 17)
	ZIP1_4S(26, 22, 23)
	ZIP2_4S(27, 22, 23)
	ZIP1_4S(28, 24, 25)
	ZIP2_4S(29, 24, 25)
	UXTL_8H(10, 26)
	UXTL2_8H(11, 26)
	UXTL_8H(12, 27)
	UXTL2_8H(13, 27)
	UXTL_8H(20, 28)
	UXTL2_8H(21, 28)
	UXTL_8H(22, 29)
	UXTL2_8H(23, 29)
	ADDP_8H(0, 0, 1)          // sums of 32 activations
	SMULL_4S(16, 20, 0)
	SMULL_4S(17, 21, 0)
	SMULL_4S(18, 22, 0)
	SMULL_4S(19, 23, 0)
	SMLAL2_4S(16, 20, 0)
	SMLAL2_4S(17, 21, 0)
	SMLAL2_4S(18, 22, 0)
	SMLAL2_4S(19, 23, 0)
	SUM4
	SCVTF_4S(16, 16)
	FMUL_4S(14, 16, 14)

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
	ADD  $144, R10
	ADD  $144, R11
	ADD  $144, R12
	ADD  $144, R13
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

// Q6K_HALF forms the products of half h (0 or 1) of row x: 128 values in four planes k of 32, groups of 16. With the
// upper bit of every pair flipped (V8), pair and nibble at the top of a byte are 4*(value-32), and an arithmetic shift
// gives the value. EXT widens the half's eight scales, MUL starts or continues the sum a. 16-bit sums: two products per
// lane, 2*32*127 = 8128; two rounds of pairs: 32512.
#define Q6K_HALF(x, h, EXT, MUL, a) \
	LDPQ(20, 21, x, 64*h)     \
	LDPQ(22, 23, x, 64*h+32)  \
	LDPQ(24, 25, x, 32*h+128) \
	EOR_16B(24, 24, 8)   \
	EOR_16B(25, 25, 8)   \
	SHL_16B(26, 20, 4)   \
	SHL_16B(27, 21, 4)   \
	SHL_16B(28, 22, 4)   \
	SHL_16B(29, 23, 4)   \
	SHL_16B(9, 24, 6)    \ // k = 0
	SHL_16B(10, 25, 6)   \
	SHL_16B(11, 24, 4)   \ // k = 1
	SHL_16B(12, 25, 4)   \
	SHL_16B(13, 24, 2)   \ // k = 2
	SHL_16B(14, 25, 2)   \
	SRI_16B(9, 26, 2)    \
	SRI_16B(10, 27, 2)   \
	SRI_16B(11, 28, 2)   \
	SRI_16B(12, 29, 2)   \
	SRI_16B(13, 20, 2)   \
	SRI_16B(14, 21, 2)   \
	SRI_16B(24, 22, 2)   \ // k = 3
	SRI_16B(25, 23, 2)   \
	SSHR_16B(9, 9, 2)    \
	SSHR_16B(10, 10, 2)  \
	SSHR_16B(11, 11, 2)  \
	SSHR_16B(12, 12, 2)  \
	SSHR_16B(13, 13, 2)  \
	SSHR_16B(14, 14, 2)  \
	SSHR_16B(24, 24, 2)  \
	SSHR_16B(25, 25, 2)  \
	LDRQ(30, x, 192)     \
	SMULL_8H(20, 9, 0)   \
	SMULL_8H(21, 10, 1)  \
	SMULL_8H(22, 11, 2)  \
	SMULL_8H(23, 12, 3)  \
	SMULL_8H(26, 13, 4)  \
	SMULL_8H(27, 14, 5)  \
	SMULL_8H(28, 24, 6)  \
	SMULL_8H(29, 25, 7)  \
	SMLAL2_8H(20, 9, 0)  \
	SMLAL2_8H(21, 10, 1) \
	SMLAL2_8H(22, 11, 2) \
	SMLAL2_8H(23, 12, 3) \
	SMLAL2_8H(26, 13, 4) \
	SMLAL2_8H(27, 14, 5) \
	SMLAL2_8H(28, 24, 6) \
	SMLAL2_8H(29, 25, 7) \
	EXT(15, 30)          \
	ADDP_8H(20, 20, 21)  \
	ADDP_8H(22, 22, 23)  \
	ADDP_8H(26, 26, 27)  \
	ADDP_8H(28, 28, 29)  \
	ZIP1_8H(30, 15, 15)  \
	ZIP2_8H(15, 15, 15)  \
	ADDP_8H(20, 20, 22)  \
	ADDP_8H(26, 26, 28)  \
	MUL(a, 20, 30)       \
	SMLAL2_4S(a, 20, 30) \
	SMLAL_4S(a, 26, 15)  \
	SMLAL2_4S(a, 26, 15)

// func neonQ6_KRows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)
//
// for b: acc[r] += float32(sum_g Scale[g]*sum_i Q[i]*q[i]) * (D*d)
//
//	V0-V7 activations   V8 0xaa in every byte
TEXT ·neonQ6_KRows(SB), NOSPLIT, $0-72
	ARGS256
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
	ADD  $208, R10
	ADD  $208, R11
	ADD  $208, R12
	ADD  $208, R13
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
