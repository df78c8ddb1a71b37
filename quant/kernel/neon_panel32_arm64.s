#include "textflag.h"
#include "neon_arm64.h"
#include "tile_arm64.h"

// Products of a panel of decoded rows with two activation columns, types of 32 values per block: docs/NUMERICS.md §3,
// lane = row. Plain NEON. A panel holds 4 rows, per block 144 bytes: 32 int8 of each row, then the 4 scales in float32.
// Nothing is read past the last block of the panel, nor past q and d.
//
// The tail of a column (sums across lanes, conversion, scaling, addition) is interleaved with the products of the
// column after it, that of the second column with the next block. The first one adds +0 to +0.
//
//	R0,R1 dst of columns 0 and 1   R3 panel   R5,R6 activations   R7,R9 their scales   R8 blocks left
//	R14 rows, 1-4
//	V16-V23 weights   V0,V1 and V2,V3 activations   V4 D   V24-V27 and V12-V15 sums
//	V5, V28 D*d   V30, V31 acc

#define ARGSPANEL \
	MOVD dst0+0(FP), R0    \
	MOVD dst1+8(FP), R1    \
	MOVD rows+16(FP), R14  \
	MOVD panel+24(FP), R3  \
	MOVD blocks+32(FP), R8 \
	MOVD q0+40(FP), R5     \
	MOVD q1+48(FP), R6     \
	MOVD d0+56(FP), R7     \
	MOVD d1+64(FP), R9     \
	MOVI_16B(30, 0)        \
	MOVI_16B(31, 0)        \
	MOVI_16B(12, 0)        \
	MOVI_16B(13, 0)        \
	MOVI_16B(14, 0)        \
	MOVI_16B(15, 0)        \
	MOVI_16B(28, 0)

#define LOADBLOCK \
	LDPQ(16, 17, 3, 0)  \
	LDPQ(0, 1, 5, 0)    \
	LDPQ(18, 19, 3, 32) \
	LDPQ(20, 21, 3, 64) \
	LDPQ(22, 23, 3, 96) \
	LDRQ(4, 3, 128)     \
	LDPQ(2, 3, 6, 0)    \
	LD1RS(5, 7)         \
	LD1RS(6, 9)         \
	ADD  $144, R3       \
	ADD  $32, R5        \
	ADD  $32, R6        \
	ADD  $4, R7         \
	ADD  $4, R9

// WIDECOL multiplies the four rows by the activations x (values 0-15) and y (16-31) into the 32-bit sums a-d, and ends
// the column whose sums are e-h: acc += float32(sum)*p. 16-bit sums: two products per lane, at most 2*128*127 = 32512.
// Uses V8-V11.
#define WIDECOL(x, y, a, b, c, d, e, f, g, h, p, acc) \
	SMULL_8H(a, 16, x)   \
	SMULL_8H(b, 18, x)   \
	SMULL_8H(c, 20, x)   \
	SMULL_8H(d, 22, x)   \
	ADDP_4S(e, e, f)     \
	ADDP_4S(g, g, h)     \
	SMULL_8H(8, 17, y)   \
	SMULL_8H(9, 19, y)   \
	SMULL_8H(10, 21, y)  \
	SMULL_8H(11, 23, y)  \
	ADDP_4S(e, e, g)     \
	SMLAL2_8H(a, 16, x)  \
	SMLAL2_8H(b, 18, x)  \
	SMLAL2_8H(c, 20, x)  \
	SMLAL2_8H(d, 22, x)  \
	SCVTF_4S(e, e)       \
	SMLAL2_8H(8, 17, y)  \
	SMLAL2_8H(9, 19, y)  \
	SMLAL2_8H(10, 21, y) \
	SMLAL2_8H(11, 23, y) \
	FMUL_4S(e, e, p)     \
	SADDLP_4S(a, a)      \
	SADDLP_4S(b, b)      \
	SADDLP_4S(c, c)      \
	SADDLP_4S(d, d)      \
	FADD_4S(acc, acc, e) \
	SADALP_4S(a, 8)      \
	SADALP_4S(b, 9)      \
	SADALP_4S(c, 10)     \
	SADALP_4S(d, 11)

// func neonMulWide32(dst0, dst1 *float32, rows int, panel *byte, blocks int, q0, q1 *int8, d0, d1 *float32)
//
// for b, c: acc[c][r] += float32(sum_i w[b][r][i]*q[c][b][i]) * (D[b][r]*d[c][b]), any w
TEXT ·neonMulWide32(SB), NOSPLIT, $0-72
	ARGSPANEL
	CBZ  R8, widedone

wideloop:
	LOADBLOCK
	WIDECOL(0, 1, 24, 25, 26, 27, 12, 13, 14, 15, 28, 31)
	FMUL_4S(5, 4, 5)
	FMUL_4S(28, 4, 6)
	WIDECOL(2, 3, 12, 13, 14, 15, 24, 25, 26, 27, 5, 30)
	SUB  $1, R8
	CBNZ R8, wideloop

widedone:
	ADDP_4S(12, 12, 13)
	ADDP_4S(14, 14, 15)
	ADDP_4S(12, 12, 14)
	SCVTF_4S(12, 12)
	FMUL_4S(12, 12, 28)
	FADD_4S(31, 31, 12)
	STORE(V30, F30, R0, widefew0, wideend0)
	STORE(V31, F31, R1, widefew1, wideend1)
	RET

// NARROWCOL is WIDECOL for |w| <= 16, whose sums stay in 16 bits: four products per lane, 4*16*127 = 8128; two rounds
// of pairs: 32512.
#define NARROWCOL(x, y, a, b, c, d, e, f, g, h, p, acc) \
	SMULL_8H(a, 16, x)   \
	SMULL_8H(b, 18, x)   \
	SMULL_8H(c, 20, x)   \
	SMULL_8H(d, 22, x)   \
	ADDP_8H(e, e, f)     \
	ADDP_8H(g, g, h)     \
	SMLAL2_8H(a, 16, x)  \
	SMLAL2_8H(b, 18, x)  \
	SMLAL2_8H(c, 20, x)  \
	SMLAL2_8H(d, 22, x)  \
	ADDP_8H(e, e, g)     \
	SMLAL_8H(a, 17, y)   \
	SMLAL_8H(b, 19, y)   \
	SADDLP_4S(e, e)      \
	SMLAL_8H(c, 21, y)   \
	SMLAL_8H(d, 23, y)   \
	SCVTF_4S(e, e)       \
	SMLAL2_8H(a, 17, y)  \
	SMLAL2_8H(b, 19, y)  \
	FMUL_4S(e, e, p)     \
	SMLAL2_8H(c, 21, y)  \
	SMLAL2_8H(d, 23, y)  \
	FADD_4S(acc, acc, e)

// func neonMulNarrow32(dst0, dst1 *float32, rows int, panel *byte, blocks int, q0, q1 *int8, d0, d1 *float32)
//
// neonMulWide32 for |w| <= 16.
TEXT ·neonMulNarrow32(SB), NOSPLIT, $0-72
	ARGSPANEL
	CBZ  R8, narrowdone

narrowloop:
	LOADBLOCK
	NARROWCOL(0, 1, 24, 25, 26, 27, 12, 13, 14, 15, 28, 31)
	FMUL_4S(5, 4, 5)
	FMUL_4S(28, 4, 6)
	NARROWCOL(2, 3, 12, 13, 14, 15, 24, 25, 26, 27, 5, 30)
	SUB  $1, R8
	CBNZ R8, narrowloop

narrowdone:
	ADDP_8H(12, 12, 13)
	ADDP_8H(14, 14, 15)
	ADDP_8H(12, 12, 14)
	SADDLP_4S(12, 12)
	SCVTF_4S(12, 12)
	FMUL_4S(12, 12, 28)
	FADD_4S(31, 31, 12)
	STORE(V30, F30, R0, narrowfew0, narrowend0)
	STORE(V31, F31, R1, narrowfew1, narrowend1)
	RET

// func neonUnpackQ8_0(panel, row *byte, blocks, lane int)
//
// Writes one row to its lane of a panel: 32 values and the scale of every block.
//	R0 panel   R1 row   R2 blocks left   R3 panel at the scales
TEXT ·neonUnpackQ8_0(SB), NOSPLIT, $0-32
	MOVD panel+0(FP), R0
	MOVD row+8(FP), R1
	MOVD blocks+16(FP), R2
	MOVD lane+24(FP), R4
	ADD  R4<<2, R0, R3
	ADD  $128, R3
	ADD  R4<<5, R0
	CBZ  R2, uq8end

uq8loop:
	LD1H_P(2, 0, 1)
	LDPQ_P(0, 1, 1, 32)
	FCVTL_4S(2, 2)
	STPQ(0, 1, 0, 0)
	FMOVS F2, (R3)
	ADD  $144, R0
	ADD  $144, R3
	SUB  $1, R2
	CBNZ R2, uq8loop

uq8end:
	RET

// func neonUnpackQ4_0(panel, row *byte, blocks, lane int)
//
// As neonUnpackQ8_0.
TEXT ·neonUnpackQ4_0(SB), NOSPLIT, $0-32
	MOVD panel+0(FP), R0
	MOVD row+8(FP), R1
	MOVD blocks+16(FP), R2
	MOVD lane+24(FP), R4
	ADD  R4<<2, R0, R3
	ADD  $128, R3
	ADD  R4<<5, R0
	MOVI_16B(4, 15)
	MOVI_16B(5, 8)
	CBZ  R2, uq4end

uq4loop:
	LD1H_P(2, 0, 1)
	LDRQ_P(1, 1, 16)
	FCVTL_4S(2, 2)
	AND_16B(0, 1, 4)
	USHR_16B(1, 1, 4)
	SUB_16B(0, 0, 5)
	SUB_16B(1, 1, 5)
	STPQ(0, 1, 0, 0)
	FMOVS F2, (R3)
	ADD  $144, R0
	ADD  $144, R3
	SUB  $1, R2
	CBNZ R2, uq4loop

uq4end:
	RET

// func neonUnpackIQ4_NL(panel, row *byte, blocks, lane int)
//
// As neonUnpackQ8_0; the nibbles are looked up in V5.
TEXT ·neonUnpackIQ4_NL(SB), NOSPLIT, $0-32
	MOVD panel+0(FP), R0
	MOVD row+8(FP), R1
	MOVD blocks+16(FP), R2
	MOVD lane+24(FP), R4
	ADD  R4<<2, R0, R3
	ADD  $128, R3
	ADD  R4<<5, R0
	MOVI_16B(4, 15)
	MOVD $·neonIQ4Values(SB), R16
	LDRQ(5, 16, 0)
	CBZ  R2, unlend

unlloop:
	LD1H_P(2, 0, 1)
	LDRQ_P(1, 1, 16)
	FCVTL_4S(2, 2)
	AND_16B(0, 1, 4)
	USHR_16B(1, 1, 4)
	TBL_16B(0, 5, 0)
	TBL_16B(1, 5, 1)
	STPQ(0, 1, 0, 0)
	FMOVS F2, (R3)
	ADD  $144, R0
	ADD  $144, R3
	SUB  $1, R2
	CBNZ R2, unlloop

unlend:
	RET
