#include "textflag.h"
#include "neon_arm64.h"
#include "tile_arm64.h"

// Scores of int8 keys: docs/NUMERICS.md §6. NEON and FEAT_DotProd. A query code q is split in two bytes, q = 128*high +
// low with high in [-127, 127] and low in [-64, 63], so that sum(q*k) = 128*sum(high*k) + sum(low*k). headDim is a
// multiple of 16.

// func dotSplit(planes *int8, q *int16, n int)
//
// Writes, for every 16 of n codes, 16 high bytes, then 16 low bytes. |q| <= 16256.
TEXT ·dotSplit(SB), NOSPLIT, $0-24
	MOVD planes+0(FP), R0
	MOVD q+8(FP), R1
	MOVD n+16(FP), R2

sploop:
	LDPQ_P(0, 1, 1, 32)
	RSHRN_8B(2, 0, 7)       // (q + 64) >> 7
	RSHRN2_16B(2, 1, 7)
	UZP1_16B(3, 0, 1)       // the lower byte of q
	SHL_16B(4, 2, 7)
	SUB_16B(3, 3, 4)
	STPQ_P(2, 3, 0, 32)
	SUBS $16, R2
	BNE  sploop
	RET

// SPLITQUERY adds the products of 16 values of the split query at x with four keys (V0-V3): high bytes to a-d, low bytes
// to e-h.
#define SPLITQUERY(x, a, b, c, d, e, f, g, h) \
	LDPQ_P(4, 5, x, 32) \
	SDOT_4S(a, 0, 4)    \
	SDOT_4S(b, 1, 4)    \
	SDOT_4S(c, 2, 4)    \
	SDOT_4S(d, 3, 4)    \
	SDOT_4S(e, 0, 5)    \
	SDOT_4S(f, 1, 5)    \
	SDOT_4S(g, 2, 5)    \
	SDOT_4S(h, 3, 5)

// SPLITSCORE leaves float32(sum)*(qs*ks) of four keys in a; qs at x, ks in V6.
#define SPLITSCORE(x, a, b, c, d, e, f, g, h) \
	LD1RS(7, x)      \
	ADDP_4S(a, a, b) \
	ADDP_4S(c, c, d) \
	ADDP_4S(e, e, f) \
	ADDP_4S(g, g, h) \
	ADDP_4S(a, a, c) \
	ADDP_4S(e, e, g) \
	FMUL_4S(7, 7, 6) \
	SHL_4S(a, a, 7)  \
	ADD_4S(a, a, e)  \
	SCVTF_4S(a, a)   \
	FMUL_4S(a, a, 7)

// func dotScores(dst *float32, planes *int8, qs *float32, heads int, k, ks *byte, keys, headDim int)
//
// dst[i*256+t] = float32(sum_d q[i][d]*k[t][d]) * (qs[i]*ks[t]) for i < heads (1 or 2) and t < keys (1-4). planes holds
// 2*headDim bytes per head. A second head or keys that a call does not have repeat the last one.
//	R10-R13 keys   R14 how many   R20, R21 queries   R0, R1 dst   R4, R5 qs   R8 headDim left   R9 ks
//	V16-V19, V20-V23 sums of high and low bytes of query 0 with four keys   V24-V31 of query 1
TEXT ·dotScores(SB), NOSPLIT, $0-64
	MOVD dst+0(FP), R0
	MOVD planes+8(FP), R20
	MOVD qs+16(FP), R4
	MOVD heads+24(FP), R15
	MOVD k+32(FP), R10
	MOVD ks+40(FP), R9
	MOVD keys+48(FP), R14
	MOVD headDim+56(FP), R8
	FOUR(R14, R8, R10, R11, R12, R13)
	SUB  $1, R15
	ADD  R15<<10, R0, R1
	ADD  R15<<2, R4, R5
	MUL  R8, R15, R16
	ADD  R16<<1, R20, R21
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
	MOVI_16B(6, 0)

scloop:
	LDRQ_P(0, 10, 16)
	LDRQ_P(1, 11, 16)
	LDRQ_P(2, 12, 16)
	LDRQ_P(3, 13, 16)
	SPLITQUERY(20, 16, 17, 18, 19, 20, 21, 22, 23)
	SPLITQUERY(21, 24, 25, 26, 27, 28, 29, 30, 31)
	SUB  $16, R8
	CBNZ R8, scloop

	LD1H_P(6, 0, 9)
	CMP  $2, R14
	BLT  scscales
	LD1H_P(6, 1, 9)
	BEQ  scscales
	LD1H_P(6, 2, 9)
	CMP  $4, R14
	BLT  scscales
	LD1H_P(6, 3, 9)

scscales:
	FCVTL_4S(6, 6)
	SPLITSCORE(4, 16, 17, 18, 19, 20, 21, 22, 23)
	SPLITSCORE(5, 24, 25, 26, 27, 28, 29, 30, 31)
	STORE(V16, F16, R0, scfew0, scend0)
	STORE(V24, F24, R1, scfew1, scend1)
	RET
