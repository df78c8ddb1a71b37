#include "textflag.h"
#include "neon_arm64.h"
#include "tile_arm64.h"

// Attention over rows of the KV store: docs/NUMERICS.md §6. Plain NEON. headDim is a multiple of 16. Every function
// serves 1 to 4 query heads, which share the loads of the keys or values; heads that a call does not have repeat the
// last one, and so write the same values to the same place again. Nothing is read past the rows, scales and weights
// that a call names.

// KEYS loads 16 values of four key rows and widens them: V4-V11.
#define KEYS \
	LDRQ_P(0, 10, 16) \
	LDRQ_P(1, 11, 16) \
	LDRQ_P(2, 12, 16) \
	LDRQ_P(3, 13, 16) \
	SXTL_8H(4, 0)     \
	SXTL2_8H(5, 0)    \
	SXTL_8H(6, 1)     \
	SXTL2_8H(7, 1)    \
	SXTL_8H(8, 2)     \
	SXTL2_8H(9, 2)    \
	SXTL_8H(10, 3)    \
	SXTL2_8H(11, 3)

// QUERY adds the products of 16 values of the query row at x with the four keys to a-d. The whole sum is below 2^31.
#define QUERY(x, a, b, c, d) \
	LDPQ_P(12, 13, x, 32) \
	SMLAL_4S(a, 4, 12)    \
	SMLAL_4S(b, 6, 12)    \
	SMLAL_4S(c, 8, 12)    \
	SMLAL_4S(d, 10, 12)   \
	SMLAL2_4S(a, 4, 12)   \
	SMLAL2_4S(b, 6, 12)   \
	SMLAL2_4S(c, 8, 12)   \
	SMLAL2_4S(d, 10, 12)  \
	SMLAL_4S(a, 5, 13)    \
	SMLAL_4S(b, 7, 13)    \
	SMLAL_4S(c, 9, 13)    \
	SMLAL_4S(d, 11, 13)   \
	SMLAL2_4S(a, 5, 13)   \
	SMLAL2_4S(b, 7, 13)   \
	SMLAL2_4S(c, 9, 13)   \
	SMLAL2_4S(d, 11, 13)

// SCORE writes four scores: float32(sum)*(qs*ks), ks in V0, qs at x, to y. The sums are a-d.
#define SCORE(x, y, a, b, c, d) \
	LD1RS(1, x)      \
	ADDP_4S(a, a, b) \
	ADDP_4S(c, c, d) \
	FMUL_4S(1, 1, 0) \
	ADDP_4S(a, a, c) \
	SCVTF_4S(a, a)   \
	FMUL_4S(a, a, 1) \
	STRQ(a, y, 0)

// func neonScoresInt8x4(dst *float32, q *int16, qs *float32, heads int, k, ks *byte, headDim int)
//
// dst[i*256+t] = float32(sum_d q[i][d]*k[t][d]) * (qs[i]*ks[t]) for i < heads (1-4) and four keys t. k holds int8, ks
// fp16.
//	R10-R13 keys   R20-R23 queries   R0-R3 dst per head   R4-R7 qs per head   R8 headDim left
//	V16-V19 sums of query 0 with four keys ... V28-V31 of query 3
TEXT ·neonScoresInt8x4(SB), NOSPLIT, $0-56
	MOVD dst+0(FP), R0
	MOVD q+8(FP), R20
	MOVD qs+16(FP), R4
	MOVD heads+24(FP), R14
	MOVD k+32(FP), R10
	MOVD ks+40(FP), R9
	MOVD headDim+48(FP), R8
	ADD  R8, R10, R11
	ADD  R8, R11, R12
	ADD  R8, R12, R13
	LSL  $1, R8, R15
	FOUR(R14, R15, R20, R21, R22, R23)
	MOVD $1024, R15
	FOUR(R14, R15, R0, R1, R2, R3)
	MOVD $4, R15
	FOUR(R14, R15, R4, R5, R6, R7)
	MOVI_16B(16, 0)
	MOVI_16B(17, 0)
	MOVI_16B(18, 0)
	MOVI_16B(19, 0)
	MOVI_16B(20, 0)
	MOVI_16B(21, 0)
	MOVI_16B(22, 0)
	MOVI_16B(23, 0)
	MOVI_16B(24, 0)
	MOVI_16B(25, 0)
	MOVI_16B(26, 0)
	MOVI_16B(27, 0)
	MOVI_16B(28, 0)
	MOVI_16B(29, 0)
	MOVI_16B(30, 0)
	MOVI_16B(31, 0)

s4loop:
	KEYS
	QUERY(20, 16, 17, 18, 19)
	QUERY(21, 20, 21, 22, 23)
	QUERY(22, 24, 25, 26, 27)
	QUERY(23, 28, 29, 30, 31)
	SUB  $16, R8
	CBNZ R8, s4loop

	FMOVD (R9), F0
	FCVTL_4S(0, 0)
	SCORE(4, 0, 16, 17, 18, 19)
	SCORE(5, 1, 20, 21, 22, 23)
	SCORE(6, 2, 24, 25, 26, 27)
	SCORE(7, 3, 28, 29, 30, 31)
	RET

// func neonScoresInt8x1(dst *float32, q *int16, qs *float32, keys int, k, ks *byte, headDim int)
//
// One query head, 1 to 4 keys.
//	R10-R13 keys   R14 how many   R20 query   R0 dst   R4 qs   R8 headDim left   V16-V19 sums
TEXT ·neonScoresInt8x1(SB), NOSPLIT, $0-56
	MOVD dst+0(FP), R0
	MOVD q+8(FP), R20
	MOVD qs+16(FP), R4
	MOVD keys+24(FP), R14
	MOVD k+32(FP), R10
	MOVD ks+40(FP), R9
	MOVD headDim+48(FP), R8
	FOUR(R14, R8, R10, R11, R12, R13)
	MOVI_16B(16, 0)
	MOVI_16B(17, 0)
	MOVI_16B(18, 0)
	MOVI_16B(19, 0)

s1loop:
	KEYS
	QUERY(20, 16, 17, 18, 19)
	SUB  $16, R8
	CBNZ R8, s1loop

	CMP  $4, R14
	BNE  s1few
	FMOVD (R9), F0
	FCVTL_4S(0, 0)
	SCORE(4, 0, 16, 17, 18, 19)
	RET

s1few:
	ADDP_4S(16, 16, 17)
	ADDP_4S(18, 18, 19)
	ADDP_4S(16, 16, 18)
	SCVTF_4S(16, 16)
	LD1RS(1, 4)

s1each: // lane 0 is the next key's
	MOVI_16B(0, 0)
	LD1H_P(0, 0, 9)
	FCVTL_4S(0, 0)
	FMUL_4S(0, 0, 1)
	FMUL_4S(0, 0, 16)
	FMOVS.P F0, 4(R0)
	VEXT $4, V16.B16, V16.B16, V16.B16
	SUB  $1, R14
	CBNZ R14, s1each
	RET

// VALUE adds the products of 16 values (V5, V6) with the weight in lane i of register w to a-d.
#define VALUE(w, i, a, b, c, d) \
	SMLAL_4SH(a, 5, w, i)  \
	SMLAL2_4SH(b, 5, w, i) \
	SMLAL_4SH(c, 6, w, i)  \
	SMLAL2_4SH(d, 6, w, i)

// ROWx4 and ROWx1 add one row of values for all heads, weights in lane i of V0-V3.
#define ROWx4(i) \
	LDRQ(4, 11, 0) \
	ADD  R8, R11   \
	SXTL_8H(5, 4)  \
	SXTL2_8H(6, 4) \
	VALUE(0, i, 16, 17, 18, 19) \
	VALUE(1, i, 20, 21, 22, 23) \
	VALUE(2, i, 24, 25, 26, 27) \
	VALUE(3, i, 28, 29, 30, 31)

#define ROWx1(i) \
	LDRQ(4, 11, 0) \
	ADD  R8, R11   \
	SXTL_8H(5, 4)  \
	SXTL2_8H(6, 4) \
	VALUE(0, i, 16, 17, 18, 19)

// func neonMixInt8x4(acc *int32, w *int16, heads int, v *byte, n, headDim int)
//
// acc[i*headDim+d] += sum over t < n of w[i*256+t]*v[t*headDim+d], i < heads (1-4). v holds int8. n > 0.
//	R0-R3 acc per head   R4-R7 weights per head   R20-R23 the same, moving   R10 values   R11 the same, moving
//	R8 headDim   R9 values left   R12 rows   R13 rows left
TEXT ·neonMixInt8x4(SB), NOSPLIT, $0-48
	MOVD acc+0(FP), R0
	MOVD w+8(FP), R4
	MOVD heads+16(FP), R14
	MOVD v+24(FP), R10
	MOVD n+32(FP), R12
	MOVD headDim+40(FP), R8
	LSL  $2, R8, R15
	FOUR(R14, R15, R0, R1, R2, R3)
	MOVD $512, R15
	FOUR(R14, R15, R4, R5, R6, R7)
	MOVD R8, R9

m4column:
	MOVD R10, R11
	MOVD R4, R20
	MOVD R5, R21
	MOVD R6, R22
	MOVD R7, R23
	ACC_LOAD(0, 16, 17, 18, 19)
	ACC_LOAD(1, 20, 21, 22, 23)
	ACC_LOAD(2, 24, 25, 26, 27)
	ACC_LOAD(3, 28, 29, 30, 31)
	SUBS $8, R12, R13
	BLT  m4rest

m4eight:
	LDRQ_P(0, 20, 16)
	LDRQ_P(1, 21, 16)
	LDRQ_P(2, 22, 16)
	LDRQ_P(3, 23, 16)
	ROWx4(0)
	ROWx4(1)
	ROWx4(2)
	ROWx4(3)
	ROWx4(4)
	ROWx4(5)
	ROWx4(6)
	ROWx4(7)
	SUBS $8, R13
	BGE  m4eight

m4rest:
	ADDS $8, R13
	BEQ  m4store

m4one:
	LD1H_P(0, 0, 20)
	LD1H_P(1, 0, 21)
	LD1H_P(2, 0, 22)
	LD1H_P(3, 0, 23)
	ROWx4(0)
	SUBS $1, R13
	BNE  m4one

m4store:
	ACC_STORE(0, 16, 17, 18, 19)
	ACC_STORE(1, 20, 21, 22, 23)
	ACC_STORE(2, 24, 25, 26, 27)
	ACC_STORE(3, 28, 29, 30, 31)
	ADD  $16, R10
	SUBS $16, R9
	BNE  m4column
	RET

// func neonMixInt8x1(acc *int32, w *int16, v *byte, n, headDim int)
//
// One head; registers as above.
TEXT ·neonMixInt8x1(SB), NOSPLIT, $0-40
	MOVD acc+0(FP), R0
	MOVD w+8(FP), R4
	MOVD v+16(FP), R10
	MOVD n+24(FP), R12
	MOVD headDim+32(FP), R8
	MOVD R8, R9

m1column:
	MOVD R10, R11
	MOVD R4, R20
	ACC_LOAD(0, 16, 17, 18, 19)
	SUBS $8, R12, R13
	BLT  m1rest

m1eight:
	LDRQ_P(0, 20, 16)
	ROWx1(0)
	ROWx1(1)
	ROWx1(2)
	ROWx1(3)
	ROWx1(4)
	ROWx1(5)
	ROWx1(6)
	ROWx1(7)
	SUBS $8, R13
	BGE  m1eight

m1rest:
	ADDS $8, R13
	BEQ  m1store

m1one:
	LD1H_P(0, 0, 20)
	ROWx1(0)
	SUBS $1, R13
	BNE  m1one

m1store:
	ACC_STORE(0, 16, 17, 18, 19)
	ADD  $16, R10
	SUBS $16, R9
	BNE  m1column
	RET
