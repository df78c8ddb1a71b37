#include "textflag.h"
#include "neon_arm64.h"
#include "tile_arm64.h"
#include "kquant_arm64.h"
#include "five_arm64.h"

// Products of a tile of rows with one activation column, types of 5 bits: docs/NUMERICS.md §3, lane = row. Plain NEON.
// Registers as in neon_matvec32_arm64.s and neon_matvec256_arm64.s. Nothing is read past the last block of a row, nor past
// q, d and s.

// func neonQ5_0Rows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)
//
// for b: acc[r] += float32(sum_i w[r][b][i]*q[b][i]) * (D[r][b]*d[b])
//
// 16-bit sums: four products per lane, at most 4*16*127 = 8128; two rounds of pairs: 32512.
//	V0,V1 activations   V2 D   V3 d   V24-V27 sums   V4-V8 constants of Q5_VALUES
TEXT ·neonQ5_0Rows(SB), NOSPLIT, $0-72
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
	Q5_VALUESX2(10, 11, 2)
	PRODUCTSX2(24, 25)
	SCALES_JOIN
	Q5_VALUESX2(12, 13, 2)
	PRODUCTSX2(26, 27)
	NEXT(22)
	FCVTL_4S(2, 2)
	ADDP_8H(24, 24, 25)
	ADDP_8H(26, 26, 27)
	FMUL_4S(2, 2, 3)
	ADDP_8H(24, 24, 26)
	SADDLP_4S(24, 24)
	SCVTF_4S(24, 24)
	FMUL_4S(24, 24, 2)
	FADD_4S(31, 31, 24)
	SUB  $1, R8
	CBNZ R8, q50loop

q50done:
	STORE(V31, F31, R0, q50few, q50end)
	RET

// SPAN5K adds the products of groups 2p and 2p+1 of row x with V i to V l, times their scales, to a. 16-bit sums: four
// products per lane, 4*31*127 = 15748; one round of pairs: 31496.
#define SPAN5K(x, p, OPA, ka, OPB, kb, i, j, k, l, sc, a) \
	Q5_KVALUES(x, p, OPA, ka, OPB, kb) \
	SMULL_8H(27, 24, i)          \
	SMULL_8H(28, 20, k)          \
	SMLAL2_8H(27, 24, i)         \
	SMLAL2_8H(28, 20, k)         \
	SMLAL_8H(27, 25, j)          \
	SMLAL_8H(28, 21, l)          \
	SMLAL2_8H(27, 25, j)         \
	SMLAL2_8H(28, 21, l)         \
	ADDP_8H(27, 27, 28)          \
	SMLAL_4SH(a, 27, sc, 2*p)    \
	SMLAL2_4SH(a, 27, sc, 2*p+1)

#define HALF5K_0(x, sc, a) \
	SPAN5K(x, 0, SHL_16B, 4, SHL_16B, 3, 0, 1, 2, 3, sc, a) \
	SPAN5K(x, 1, SHL_16B, 2, SHL_16B, 1, 4, 5, 6, 7, sc, a)

#define HALF5K_1(x, sc, a) \
	SPAN5K(x, 2, SHL_16B, 0, USHR_16B, 1, 0, 1, 2, 3, sc, a)  \
	SPAN5K(x, 3, USHR_16B, 2, USHR_16B, 3, 4, 5, 6, 7, sc, a)

// func neonQ5_KRows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)
//
// for b: acc[r] += float32(sum_g Scale[g]*sum_i n[i]*q[i]) * (D*d); acc[r] -= float32(sum_g Min[g]*s32[g]) * (dmin*d)
//
//	V0-V7 activations   V8 15, V9 16 in every byte   V10-V13 scales of rows 0-3   V14 the minima   V15 D*d
TEXT ·neonQ5_KRows(SB), NOSPLIT, $0-72
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
	MOVI_16B(16, 0)
	MOVI_16B(17, 0)
	MOVI_16B(18, 0)
	MOVI_16B(19, 0)
	ACTS128
	HALF5K_0(10, 10, 16)
	HALF5K_0(11, 11, 17)
	HALF5K_0(12, 12, 18)
	HALF5K_0(13, 13, 19)
	ACTS128
	HALF5K_1(10, 10, 16)
	HALF5K_1(11, 11, 17)
	HALF5K_1(12, 12, 18)
	HALF5K_1(13, 13, 19)
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

// func neonUnpackQ5_0(panel, row *byte, blocks, lane int)
//
// Writes one row to its lane of a panel of neon_panel32_arm64.s.
//	R0 panel   R1 row   R2 blocks left   R3 panel at the scales
TEXT ·neonUnpackQ5_0(SB), NOSPLIT, $0-32
	MOVD panel+0(FP), R0
	MOVD row+8(FP), R1
	MOVD blocks+16(FP), R2
	MOVD lane+24(FP), R4
	ADD  R4<<2, R0, R3
	ADD  $128, R3
	ADD  R4<<5, R0
	Q5_0CONSTS
	CBZ  R2, uq50end

uq50loop:
	LD1H(2, 0, 1)
	Q5_0VALUES(1, 16, 17, 18, 19)
	ADD  $22, R1
	FCVTL_4S(2, 2)
	STPQ(16, 17, 0, 0)
	FMOVS F2, (R3)
	ADD  $144, R0
	ADD  $144, R3
	SUB  $1, R2
	CBNZ R2, uq50loop

uq50end:
	RET

// USPAN5K writes groups 2p and 2p+1 of the row at R1 to a quarter of the panel, whose scales are lanes of v.
#define USPAN5K(p, OPA, ka, OPB, kb, v) \
	Q5_KVALUES(1, p, OPA, ka, OPB, kb) \
	STPQ(24, 25, 0, 0)  \
	STPQ(20, 21, 0, 32) \
	STRQ(v, 0, 64)      \
	ADD  $320, R0

// func neonUnpackQ5_K(panel, row *byte, blocks, lane int)
//
// Writes one row to its lane of a panel of neon_panel256_arm64.s; registers as in neonUnpackQ4_K.
TEXT ·neonUnpackQ5_K(SB), NOSPLIT, $0-32
	MOVD panel+0(FP), R0
	MOVD row+8(FP), R1
	MOVD blocks+16(FP), R2
	MOVD lane+24(FP), R5
	ADD  R5<<2, R0, R3
	ADD  $1408, R3
	ADD  R5<<5, R0, R4
	ADD  $1280, R4
	ADD  R5<<6, R0
	ADD  R5<<4, R0
	FIELDS_CONSTS
	MOVI_16B(8, 15)
	MOVI_16B(9, 16)
	CBZ  R2, uq5kend

uq5kloop:
	FIELDS
	USPAN5K(0, SHL_16B, 4, SHL_16B, 3, 16)
	USPAN5K(1, SHL_16B, 2, SHL_16B, 1, 17)
	USPAN5K(2, SHL_16B, 0, USHR_16B, 1, 18)
	USPAN5K(3, USHR_16B, 2, USHR_16B, 3, 19)
	ADD  $160, R0
	ADD  $1440, R3
	ADD  $1440, R4
	ADD  $176, R1
	SUB  $1, R2
	CBNZ R2, uq5kloop

uq5kend:
	RET
