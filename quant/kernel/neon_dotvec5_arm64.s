#include "textflag.h"
#include "neon_arm64.h"
#include "tile_arm64.h"
#include "kquant_arm64.h"
#include "five_arm64.h"

// Products of a tile of rows with one activation column, types of 5 bits: docs/NUMERICS.md §3, lane = row. NEON and
// FEAT_DotProd. Registers as in neon_matvec32_arm64.s and neon_matvec256_arm64.s; all sums are in 32 bits. Nothing is read
// past the last block of a row, nor past q, d and s.

// Q5_0DOTX2 forms the products of the blocks of the rows at x and y.
#define Q5_0DOTX2(x, y, a, b) \
	Q5_VALUESX2(x, y, 2) \
	MOVI_16B(a, 0)    \
	MOVI_16B(b, 0)    \
	SDOT_4S(a, 16, 0) \
	SDOT_4S(b, 18, 0) \
	SDOT_4S(a, 17, 1) \
	SDOT_4S(b, 19, 1)

// func dotQ5_0Rows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)
//
// for b: acc[r] += float32(sum_i w[r][b][i]*q[b][i]) * (D[r][b]*d[b])
//
//	V0,V1 activations   V2 D   V3 d   V24-V27 sums   V4-V8 constants of Q5_VALUES
TEXT ·dotQ5_0Rows(SB), NOSPLIT, $0-72
	ARGSROWS
	Q5_0CONSTS
	CBZ  R8, q50done

q50loop:
	PRFM (R9), PLDL2KEEP
	PRFM 64(R9), PLDL2KEEP
	ADD  $88, R9
	SCALES
	LD1RS_P(3, 6)
	LDPQ_P(0, 1, 5, 32)
	Q5_0DOTX2(10, 11, 24, 25)
	SCALES_JOIN
	Q5_0DOTX2(12, 13, 26, 27)
	NEXT(22)
	FCVTL_4S(2, 2)
	ADDP_4S(24, 24, 25)
	ADDP_4S(26, 26, 27)
	FMUL_4S(2, 2, 3)
	ADDP_4S(24, 24, 26)
	SCVTF_4S(24, 24)
	FMUL_4S(24, 24, 2)
	FADD_4S(31, 31, 24)
	SUB  $1, R8
	CBNZ R8, q50loop

q50done:
	STORE(V31, F31, R0, q50few, q50end)
	RET

// DSPAN5K leaves the sums of the products of groups 2p and 2p+1 of row x with V i to V l in a, two lanes each. Uses b.
#define DSPAN5K(x, p, OPA, ka, OPB, kb, i, j, k, l, a, b) \
	Q5_KVALUES(x, p, OPA, ka, OPB, kb) \
	MOVI_16B(a, 0)    \
	MOVI_16B(b, 0)    \
	SDOT_4S(a, 24, i) \
	SDOT_4S(b, 20, k) \
	SDOT_4S(a, 25, j) \
	SDOT_4S(b, 21, l) \
	ADDP_4S(a, a, b)

// DOT5K_0 and DOT5K_1 multiply the sums of four groups by their scales and start or continue the sum a.
#define DOT5K_0(x, sc, a) \
	DSPAN5K(x, 0, SHL_16B, 4, SHL_16B, 3, 0, 1, 2, 3, 27, 28) \
	DSPAN5K(x, 1, SHL_16B, 2, SHL_16B, 1, 4, 5, 6, 7, 28, 30) \
	UXTL_4S(30, sc)     \
	ADDP_4S(27, 27, 28) \
	MUL_4S(a, 27, 30)

#define DOT5K_1(x, sc, a) \
	DSPAN5K(x, 2, SHL_16B, 0, USHR_16B, 1, 0, 1, 2, 3, 27, 28)  \
	DSPAN5K(x, 3, USHR_16B, 2, USHR_16B, 3, 4, 5, 6, 7, 28, 30) \
	UXTL2_4S(30, sc)    \
	ADDP_4S(27, 27, 28) \
	MLA_4S(a, 27, 30)

// func dotQ5_KRows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)
//
// for b: acc[r] += float32(sum_g Scale[g]*sum_i n[i]*q[i]) * (D*d); acc[r] -= float32(sum_g Min[g]*s32[g]) * (dmin*d)
//
//	V0-V7 activations   V8 15, V9 16 in every byte   V10-V13 scales of rows 0-3   V14 the minima   V15 D*d
TEXT ·dotQ5_KRows(SB), NOSPLIT, $0-72
	ARGSROWS
	MOVI_16B(8, 15)
	CBZ  R8, q5kdone

q5kloop:
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
	ADD  $704, R9
	LDPQ_P(0, 1, 7, 32)
	LD1RS_P(2, 6)
	Q4K_HEAD
	Q4K_MINS
	MOVI_16B(9, 16)
	ACTS128
	DOT5K_0(10, 10, 16)
	DOT5K_0(11, 11, 17)
	DOT5K_0(12, 12, 18)
	DOT5K_0(13, 13, 19)
	ACTS128
	DOT5K_1(10, 10, 16)
	DOT5K_1(11, 11, 17)
	DOT5K_1(12, 12, 18)
	DOT5K_1(13, 13, 19)
	NEXT(176)
	SUM4
	SCVTF_4S(16, 16)
	FMUL_4S(16, 16, 15)
	FADD_4S(31, 31, 16)
	FSUB_4S(31, 31, 14)
	SUB  $1, R8
	CBNZ R8, q5kloop

q5kdone:
	STORE(V31, F31, R0, q5kfew, q5kend)
	RET
