#include "textflag.h"
#include "neon_arm64.h"
#include "tile_arm64.h"
#include "kquant_arm64.h"

// Products of a panel of decoded rows with two activation columns, types of 256 values per block with |value| <= 32 in
// integers, taken as 16 groups of 16: docs/NUMERICS.md §3, lane = row. Plain NEON. A panel holds 4 rows, per block 1440
// bytes:
//
//	   0  four quarters of 320 bytes; in each, per row, 64 int8 and 8 int16, the scales of its 4 groups, each twice
//	1280  per row 16 int16, the minima of the groups
//	1408  4 float32 D
//	1424  4 float32 DMin
//
// Nothing is read past the last block of the panel, nor past q, d and s.
//
//	R0,R1 dst of columns 0 and 1   R3 panel   R5,R6 activations   R7,R9 their scales   R10,R11 their sums of 16
//	R8 blocks left   R14 rows, 1-4   R12 not 0 if there are minima
//	V0-V3, V4-V7 activations   V8-V11 weights   V12 scales   V24-V27, V28-V31 sums of rows 0-3   V13, V14 acc

// QUARTER forms the products of 64 values of the row at R3+off with both columns. MUL starts or continues the sums a and b.
// 16-bit sums: two products per lane, at most 2*32*127 = 8128; two rounds of pairs: 32512.
#define QUARTER(MUL, off, a, b) \
	LDPQ(8, 9, 3, off)      \
	LDPQ(10, 11, 3, off+32) \
	LDRQ(12, 3, off+64)     \
	SMULL_8H(16, 8, 0)    \
	SMULL_8H(17, 9, 1)    \
	SMULL_8H(18, 10, 2)   \
	SMULL_8H(19, 11, 3)   \
	SMULL_8H(20, 8, 4)    \
	SMULL_8H(21, 9, 5)    \
	SMULL_8H(22, 10, 6)   \
	SMULL_8H(23, 11, 7)   \
	SMLAL2_8H(16, 8, 0)   \
	SMLAL2_8H(17, 9, 1)   \
	SMLAL2_8H(18, 10, 2)  \
	SMLAL2_8H(19, 11, 3)  \
	SMLAL2_8H(20, 8, 4)   \
	SMLAL2_8H(21, 9, 5)   \
	SMLAL2_8H(22, 10, 6)  \
	SMLAL2_8H(23, 11, 7)  \
	ADDP_8H(16, 16, 17)   \
	ADDP_8H(18, 18, 19)   \
	ADDP_8H(20, 20, 21)   \
	ADDP_8H(22, 22, 23)   \
	ADDP_8H(16, 16, 18)   \
	ADDP_8H(20, 20, 22)   \
	MUL(a, 16, 12)        \
	MUL(b, 20, 12)        \
	SMLAL2_4S(a, 16, 12)  \
	SMLAL2_4S(b, 20, 12)

#define QUARTER4(MUL) \
	LDPQ(0, 1, 5, 0)  \
	LDPQ(4, 5, 6, 0)  \
	LDPQ(2, 3, 5, 32) \
	LDPQ(6, 7, 6, 32) \
	QUARTER(MUL, 0, 24, 28)   \
	QUARTER(MUL, 80, 25, 29)  \
	QUARTER(MUL, 160, 26, 30) \
	QUARTER(MUL, 240, 27, 31) \
	ADD  $64, R5  \
	ADD  $64, R6  \
	ADD  $320, R3

// func neonMul256(dst0, dst1 *float32, rows int, panel *byte, blocks int, q0, q1 *int8, d0, d1 *float32, s0, s1 *int16, mins int)
//
// for b, c: acc[c][r] += float32(sum_g Scale[g]*sum_i w[i]*q[i]) * (D*d); acc[c][r] += float32(sum_g Min[g]*s[g]) * (DMin*d)
TEXT ·neonMul256(SB), NOSPLIT, $0-96
	MOVD dst0+0(FP), R0
	MOVD dst1+8(FP), R1
	MOVD rows+16(FP), R14
	MOVD panel+24(FP), R3
	MOVD blocks+32(FP), R8
	MOVD q0+40(FP), R5
	MOVD q1+48(FP), R6
	MOVD d0+56(FP), R7
	MOVD d1+64(FP), R9
	MOVD s0+72(FP), R10
	MOVD s1+80(FP), R11
	MOVD mins+88(FP), R12
	MOVI_16B(13, 0)
	MOVI_16B(14, 0)
	CBZ  R8, m256done

m256loop:
	QUARTER4(SMULL_4S)
	QUARTER4(SMLAL_4S)
	QUARTER4(SMLAL_4S)
	QUARTER4(SMLAL_4S)
	LDPQ(15, 16, 3, 128)      // D, DMin
	LD1RS_P(17, 7)            // d of both columns
	LD1RS_P(18, 9)
	ADDP_4S(24, 24, 25)
	ADDP_4S(26, 26, 27)
	ADDP_4S(28, 28, 29)
	ADDP_4S(30, 30, 31)
	FMUL_4S(19, 15, 17)
	FMUL_4S(20, 15, 18)
	ADDP_4S(24, 24, 26)
	ADDP_4S(28, 28, 30)
	SCVTF_4S(24, 24)
	SCVTF_4S(28, 28)
	FMUL_4S(24, 24, 19)
	FMUL_4S(28, 28, 20)
	FADD_4S(13, 13, 24)
	FADD_4S(14, 14, 28)
	CBZ  R12, m256next

	LDPQ_P(0, 1, 10, 32)
	LDPQ_P(2, 3, 11, 32)
	LDPQ(4, 5, 3, 0)
	LDPQ(6, 7, 3, 32)
	LDPQ(8, 9, 3, 64)
	LDPQ(10, 11, 3, 96)
	FMUL_4S(19, 16, 17)
	FMUL_4S(20, 16, 18)
	SMULL_4S(24, 4, 0)
	SMULL_4S(25, 6, 0)
	SMULL_4S(26, 8, 0)
	SMULL_4S(27, 10, 0)
	SMULL_4S(28, 4, 2)
	SMULL_4S(29, 6, 2)
	SMULL_4S(30, 8, 2)
	SMULL_4S(31, 10, 2)
	SMLAL2_4S(24, 4, 0)
	SMLAL2_4S(25, 6, 0)
	SMLAL2_4S(26, 8, 0)
	SMLAL2_4S(27, 10, 0)
	SMLAL2_4S(28, 4, 2)
	SMLAL2_4S(29, 6, 2)
	SMLAL2_4S(30, 8, 2)
	SMLAL2_4S(31, 10, 2)
	SMLAL_4S(24, 5, 1)
	SMLAL_4S(25, 7, 1)
	SMLAL_4S(26, 9, 1)
	SMLAL_4S(27, 11, 1)
	SMLAL_4S(28, 5, 3)
	SMLAL_4S(29, 7, 3)
	SMLAL_4S(30, 9, 3)
	SMLAL_4S(31, 11, 3)
	SMLAL2_4S(24, 5, 1)
	SMLAL2_4S(25, 7, 1)
	SMLAL2_4S(26, 9, 1)
	SMLAL2_4S(27, 11, 1)
	SMLAL2_4S(28, 5, 3)
	SMLAL2_4S(29, 7, 3)
	SMLAL2_4S(30, 9, 3)
	SMLAL2_4S(31, 11, 3)
	ADDP_4S(24, 24, 25)
	ADDP_4S(26, 26, 27)
	ADDP_4S(28, 28, 29)
	ADDP_4S(30, 30, 31)
	ADDP_4S(24, 24, 26)
	ADDP_4S(28, 28, 30)
	SCVTF_4S(24, 24)
	SCVTF_4S(28, 28)
	FMUL_4S(24, 24, 19)
	FMUL_4S(28, 28, 20)
	FADD_4S(13, 13, 24)
	FADD_4S(14, 14, 28)

m256next:
	ADD  $160, R3
	SUB  $1, R8
	CBNZ R8, m256loop

m256done:
	STORE(V13, F13, R0, m256few0, m256end0)
	STORE(V14, F14, R1, m256few1, m256end1)
	RET

// func neonUnpackQ4_K(panel, row *byte, blocks, lane int)
//
// Writes one row to its lane of a panel.
//	R0 panel at the lane's values, R3 at its D, R4 at its minima   R1 row   R2 blocks left
//	V8 the nibble mask
TEXT ·neonUnpackQ4_K(SB), NOSPLIT, $0-32
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
	CBZ  R2, uq4kend

uq4kloop:
	FIELDS
	LDPQ(0, 1, 1, 16)
	LDPQ(2, 3, 1, 48)
	LDPQ(4, 5, 1, 80)
	LDPQ(6, 7, 1, 112)
	AND_16B(9, 0, 8)
	AND_16B(10, 1, 8)
	USHR_16B(0, 0, 4)
	USHR_16B(1, 1, 4)
	STPQ(9, 10, 0, 0)
	STPQ(0, 1, 0, 32)
	STRQ(16, 0, 64)
	ADD  $320, R0
	AND_16B(9, 2, 8)
	AND_16B(10, 3, 8)
	USHR_16B(2, 2, 4)
	USHR_16B(3, 3, 4)
	STPQ(9, 10, 0, 0)
	STPQ(2, 3, 0, 32)
	STRQ(17, 0, 64)
	ADD  $320, R0
	AND_16B(9, 4, 8)
	AND_16B(10, 5, 8)
	USHR_16B(4, 4, 4)
	USHR_16B(5, 5, 4)
	STPQ(9, 10, 0, 0)
	STPQ(4, 5, 0, 32)
	STRQ(18, 0, 64)
	ADD  $320, R0
	AND_16B(9, 6, 8)
	AND_16B(10, 7, 8)
	USHR_16B(6, 6, 4)
	USHR_16B(7, 7, 4)
	STPQ(9, 10, 0, 0)
	STPQ(6, 7, 0, 32)
	STRQ(19, 0, 64)
	ADD  $480, R0
	ADD  $1440, R3
	ADD  $1440, R4
	ADD  $144, R1
	SUB  $1, R2
	CBNZ R2, uq4kloop

uq4kend:
	RET

// UQ6K_HALF decodes half h of the row at R1 into two quarters at R0, which it advances. EXT widens its eight scales.
#define UQ6K_HALF(h, EXT) \
	Q6K_VALUES(1, h, 0, 1, 2, 3, 4, 5) \
	LDRQ(30, 1, 192)     \
	EXT(15, 30)          \
	ZIP1_8H(30, 15, 15)  \
	ZIP2_8H(15, 15, 15)  \
	STPQ(0, 1, 0, 0)     \
	STPQ(2, 3, 0, 32)    \
	STRQ(30, 0, 64)      \
	ADD $320, R0         \
	STPQ(4, 5, 0, 0)     \
	STPQ(24, 25, 0, 32)  \
	STRQ(15, 0, 64)      \
	ADD $320, R0

// func neonUnpackQ6_K(panel, row *byte, blocks, lane int)
//
// Writes one row to its lane of a panel, except for the minima, which this type has not.
//	R0 panel at the lane's values, R3 at its D   R1 row   R2 blocks left   V8 0xaa in every byte
TEXT ·neonUnpackQ6_K(SB), NOSPLIT, $0-32
	MOVD panel+0(FP), R0
	MOVD row+8(FP), R1
	MOVD blocks+16(FP), R2
	MOVD lane+24(FP), R5
	ADD  R5<<2, R0, R3
	ADD  $1408, R3
	ADD  R5<<6, R0
	ADD  R5<<4, R0
	MOVI_16B(8, 0xaa)
	CBZ  R2, uq6kend

uq6kloop:
	UQ6K_HALF(0, SXTL_8H)
	UQ6K_HALF(1, SXTL2_8H)
	ADD  $160, R0
	ADD  $208, R1
	LD1H_P(0, 0, 1)
	FCVTL_4S(0, 0)
	FMOVS F0, (R3)
	ADD  $1440, R3
	SUB  $1, R2
	CBNZ R2, uq6kloop

uq6kend:
	RET
