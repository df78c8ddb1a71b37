#include "textflag.h"
#include "neon_arm64.h"
#include "tile_arm64.h"
#include "kquant_arm64.h"

// Products of a tile of rows with one activation column, Q2_K, Q3_K and TQ2_0: docs/NUMERICS.md §3, lane = row. Plain
// NEON. Registers as in neon_matvec256_arm64.s. Nothing is read past the last block of a row, nor past q, d and s.

// Q2K_HALF forms the products of half h of row x. V8 is 3 in every byte.
#define Q2K_HALF(x, h, EXT, MUL, a) \
	LDPQ(20, 21, x, 32*h+16) \
	LDRQ(30, x, 0)      \
	MOVI_16B(15, 15)    \
	USHR_16B(11, 20, 2) \
	USHR_16B(12, 21, 2) \
	USHR_16B(13, 20, 4) \
	USHR_16B(14, 21, 4) \
	USHR_16B(24, 20, 6) \
	USHR_16B(25, 21, 6) \
	AND_16B(9, 20, 8)   \
	AND_16B(10, 21, 8)  \
	AND_16B(11, 11, 8)  \
	AND_16B(12, 12, 8)  \
	AND_16B(13, 13, 8)  \
	AND_16B(14, 14, 8)  \
	AND_16B(30, 30, 15) \
	PRODUCTS16(EXT, MUL, a)

// Q2K_MINS leaves the products of the minima of row x with the activations' sums (V4, V5) in a.
#define Q2K_MINS(x, a) \
	LDRQ(2, x, 0)       \
	USHR_16B(2, 2, 4)   \
	UXTL_8H(3, 2)       \
	UXTL2_8H(2, 2)      \
	SMULL_4S(a, 3, 4)   \
	SMLAL2_4S(a, 3, 4)  \
	SMLAL_4S(a, 2, 5)   \
	SMLAL2_4S(a, 2, 5)

// func neonQ2_KRows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)
//
// for b: acc[r] += float32(sum_g Scale[g]*sum_i Q[i]*q[i]) * (D*d); acc[r] -= float32(sum_g Min[g]*s[g]) * (dmin*d)
//
//	V0 D*d   V6 dmin*d   V16-V19 sums of rows 0-3
TEXT ·neonQ2_KRows(SB), NOSPLIT, $0-72
	ARGSROWS
	MOVI_16B(8, 3)
	CBZ  R8, q2kdone

q2kloop:
	PRFM (R9), PLDL2KEEP
	PRFM 64(R9), PLDL2KEEP
	PRFM 128(R9), PLDL2KEEP
	PRFM 192(R9), PLDL2KEEP
	PRFM 256(R9), PLDL2KEEP
	PRFM 320(R9), PLDL2KEEP
	ADD  $336, R9
	ACTS128
	Q2K_HALF(10, 0, UXTL_8H, SMULL_4S, 16)
	Q2K_HALF(11, 0, UXTL_8H, SMULL_4S, 17)
	Q2K_HALF(12, 0, UXTL_8H, SMULL_4S, 18)
	Q2K_HALF(13, 0, UXTL_8H, SMULL_4S, 19)
	ACTS128
	Q2K_HALF(10, 1, UXTL2_8H, SMLAL_4S, 16)
	Q2K_HALF(11, 1, UXTL2_8H, SMLAL_4S, 17)
	Q2K_HALF(12, 1, UXTL2_8H, SMLAL_4S, 18)
	Q2K_HALF(13, 1, UXTL2_8H, SMLAL_4S, 19)
	MOVWU 80(R10), R16
	MOVWU 80(R11), R17
	MOVWU 80(R12), R19
	MOVWU 80(R13), R20
	ORR   R17<<32, R16
	ORR   R20<<32, R19
	VMOV  R16, V0.D[0]
	VMOV  R19, V0.D[1]
	LD1RS_P(1, 6)
	UZP2_8H(6, 0, 0)
	UZP1_8H(0, 0, 0)
	FCVTL_4S(6, 6)
	FCVTL_4S(0, 0)
	FMUL_4S(6, 6, 1)
	FMUL_4S(0, 0, 1)
	SUM4
	SCVTF_4S(16, 16)
	FMUL_4S(16, 16, 0)
	FADD_4S(31, 31, 16)
	LDPQ_P(4, 5, 7, 32)
	Q2K_MINS(10, 16)
	Q2K_MINS(11, 17)
	Q2K_MINS(12, 18)
	Q2K_MINS(13, 19)
	SUM4
	SCVTF_4S(16, 16)
	FMUL_4S(16, 16, 6)
	FSUB_4S(31, 31, 16)
	NEXT(84)
	SUB  $1, R8
	CBNZ R8, q2kloop

q2kdone:
	STORE(V31, F31, R0, q2kfew, q2kend)
	RET

// PLANE3K leaves 32 values of plane k in a and b: the third bit, flipped in V22 and V23, becomes the sign, by a shift
// of hk, and the pair follows it, by a shift of qk.
#define PLANE3K(hk, qk, a, b) \
	SHL_16B(26, 20, qk) \
	SHL_16B(27, 21, qk) \
	SHL_16B(a, 22, hk)  \
	SHL_16B(b, 23, hk)  \
	SRI_16B(a, 26, 1)   \
	SRI_16B(b, 27, 1)   \
	SSHR_16B(a, a, 5)   \
	SSHR_16B(b, b, 5)

// SCALES3K leaves the 16 scales of the row at x in the bytes of V30. R21 and R22 are the masks of nibbles and
// of pairs. Uses R16, R17, R19, R20, R24, V15.
#define SCALES3K(x) \
	MOVD  96(x), R16       \
	MOVWU 104(x), R17      \
	LSR   $4, R16, R19     \
	LSR   $2, R17, R20     \
	LSR   $6, R17, R24     \
	ORR   R20<<32, R17, R20 \
	LSR   $4, R17, R17     \
	ORR   R24<<32, R17, R24 \
	AND   R21, R16         \
	AND   R21, R19         \
	AND   R22, R20         \
	AND   R22, R24         \
	ORR   R20<<4, R16      \
	ORR   R24<<4, R19      \
	VMOV  R16, V30.D[0]    \
	VMOV  R19, V30.D[1]    \
	MOVI_16B(15, 32)       \
	SUB_16B(30, 30, 15)

// Q3K_HALF forms the products of half h of row x (x the number, r the name of the register), whose third bits start at
// bit 4*h. V8 is 0xff in every byte.
#define Q3K_HALF(x, r, h, EXT, MUL, a) \
	LDPQ(20, 21, x, 32*h+32)        \
	LDPQ(22, 23, x, 0)              \
	EOR_16B(22, 22, 8)              \
	EOR_16B(23, 23, 8)              \
	PLANE3K(7-4*h, 6, 9, 10)        \
	PLANE3K(6-4*h, 4, 11, 12)       \
	PLANE3K(5-4*h, 2, 13, 14)       \
	PLANE3K(4-4*h, 0, 24, 25)       \
	SCALES3K(r)                     \
	PRODUCTS16(EXT, MUL, a)

// func neonQ3_KRows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)
//
// for b: acc[r] += float32(sum_g Scale[g]*sum_i Q[i]*q[i]) * (D*d)
TEXT ·neonQ3_KRows(SB), NOSPLIT, $0-72
	ARGSROWS
	MOVI_16B(8, 0xff)
	MOVD $0x0f0f0f0f0f0f0f0f, R21
	MOVD $0x0303030303030303, R22
	CBZ  R8, q3kdone

q3kloop:
	PRFM (R9), PLDL2KEEP
	PRFM 64(R9), PLDL2KEEP
	PRFM 128(R9), PLDL2KEEP
	PRFM 192(R9), PLDL2KEEP
	PRFM 256(R9), PLDL2KEEP
	PRFM 320(R9), PLDL2KEEP
	PRFM 384(R9), PLDL2KEEP
	ADD  $440, R9
	ACTS128
	Q3K_HALF(10, R10, 0, SXTL_8H, SMULL_4S, 16)
	Q3K_HALF(11, R11, 0, SXTL_8H, SMULL_4S, 17)
	Q3K_HALF(12, R12, 0, SXTL_8H, SMULL_4S, 18)
	Q3K_HALF(13, R13, 0, SXTL_8H, SMULL_4S, 19)
	ACTS128
	Q3K_HALF(10, R10, 1, SXTL2_8H, SMLAL_4S, 16)
	Q3K_HALF(11, R11, 1, SXTL2_8H, SMLAL_4S, 17)
	Q3K_HALF(12, R12, 1, SXTL2_8H, SMLAL_4S, 18)
	Q3K_HALF(13, R13, 1, SXTL2_8H, SMLAL_4S, 19)
	NEXT(108)
	SCALES
	LD1RS_P(1, 6)
	SCALES_JOIN
	FCVTL_4S(0, 2)
	FMUL_4S(0, 0, 1)
	SUM4
	SCVTF_4S(16, 16)
	FMUL_4S(16, 16, 0)
	FADD_4S(31, 31, 16)
	NEXT(2)
	SUB  $1, R8
	CBNZ R8, q3kloop

q3kdone:
	STORE(V31, F31, R0, q3kfew, q3kend)
	RET

// TQ2_HALF forms the products of half h of row x with V0-V7. V8 is 3 in every byte. FIRST starts or continues the sum a.
// 16-bit sums: sixteen products per lane in a half, at most 16*3*127 = 6096; both: 12192; one round of pairs: 24384.
#define TQ2_HALF(x, h, FIRST, a) \
	LDPQ(20, 21, x, 32*h) \
	AND_16B(9, 20, 8)     \
	AND_16B(10, 21, 8)    \
	USHR_16B(11, 20, 2)   \
	USHR_16B(12, 21, 2)   \
	USHR_16B(13, 20, 4)   \
	USHR_16B(14, 21, 4)   \
	AND_16B(11, 11, 8)    \
	AND_16B(12, 12, 8)    \
	AND_16B(13, 13, 8)    \
	AND_16B(14, 14, 8)    \
	USHR_16B(24, 20, 6)   \
	USHR_16B(25, 21, 6)   \
	FIRST(a, 9, 0)        \
	SMLAL2_8H(a, 9, 0)    \
	SMLAL_8H(a, 10, 1)    \
	SMLAL2_8H(a, 10, 1)   \
	SMLAL_8H(a, 11, 2)    \
	SMLAL2_8H(a, 11, 2)   \
	SMLAL_8H(a, 12, 3)    \
	SMLAL2_8H(a, 12, 3)   \
	SMLAL_8H(a, 13, 4)    \
	SMLAL2_8H(a, 13, 4)   \
	SMLAL_8H(a, 14, 5)    \
	SMLAL2_8H(a, 14, 5)   \
	SMLAL_8H(a, 24, 6)    \
	SMLAL2_8H(a, 24, 6)   \
	SMLAL_8H(a, 25, 7)    \
	SMLAL2_8H(a, 25, 7)

// func neonTQ2_0Rows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)
//
// for b: acc[r] += float32(sum_i n[r][b][i]*q[b][i] - sum_g s[b][g]) * (D*d), n the pairs
//
//	V0-V7 activations   V2 D   V26 their whole sum in every lane   V16-V19 sums of rows 0-3
TEXT ·neonTQ2_0Rows(SB), NOSPLIT, $0-72
	ARGSROWS
	MOVI_16B(8, 3)
	CBZ  R8, tq2done

tq2loop:
	PRFM (R9), PLDL2KEEP
	PRFM 64(R9), PLDL2KEEP
	PRFM 128(R9), PLDL2KEEP
	PRFM 192(R9), PLDL2KEEP
	PRFM 256(R9), PLDL2KEEP
	ADD  $264, R9
	ACTS128
	TQ2_HALF(10, 0, SMULL_8H, 16)
	TQ2_HALF(11, 0, SMULL_8H, 17)
	TQ2_HALF(12, 0, SMULL_8H, 18)
	TQ2_HALF(13, 0, SMULL_8H, 19)
	ACTS128
	TQ2_HALF(10, 1, SMLAL_8H, 16)
	TQ2_HALF(11, 1, SMLAL_8H, 17)
	TQ2_HALF(12, 1, SMLAL_8H, 18)
	TQ2_HALF(13, 1, SMLAL_8H, 19)
	NEXT(64)
	SCALES
	NEXT(2)
	LDPQ_P(26, 27, 7, 32)
	LD1RS_P(3, 6)
	SCALES_JOIN
	FCVTL_4S(2, 2)
	SADDLP_4S(26, 26)
	SADALP_4S(26, 27)
	ADDP_4S(26, 26, 26)
	ADDP_4S(26, 26, 26)
	FMUL_4S(2, 2, 3)
	ADDP_8H(16, 16, 17)
	ADDP_8H(18, 18, 19)
	SADDLP_4S(16, 16)
	SADDLP_4S(18, 18)
	ADDP_4S(16, 16, 18)
	SUB_4S(16, 16, 26)
	SCVTF_4S(16, 16)
	FMUL_4S(16, 16, 2)
	FADD_4S(31, 31, 16)
	SUB  $1, R8
	CBNZ R8, tq2loop

tq2done:
	STORE(V31, F31, R0, tq2few, tq2end)
	RET
