#include "textflag.h"
#include "neon_arm64.h"
#include "tile_arm64.h"

// Weighted sums of int8 rows of the KV store: docs/NUMERICS.md §6. NEON and FEAT_DotProd. A weight w is split in two
// bytes, w = 256*high + low + 128 with high and low in [-128, 127], so that
//
//	sum(w*v) = 256*sum(high*v) + sum(low*v) + 128*sum(v)
//
// for any w of 16 bits, all modulo 2^32. headDim is a multiple of 16, n of 16.

// SPLITWEIGHTS leaves the high bytes of 16 weights at x in h and the low ones in l. V4 is 0x80 in every byte. Uses V5, V6.
#define SPLITWEIGHTS(x, h, l) \
	LDPQ_P(5, 6, x, 32) \
	UZP2_16B(h, 5, 6)   \
	UZP1_16B(l, 5, 6)   \
	EOR_16B(l, l, 4)

// BYTES4 adds four rows (V0-V3, 4 values of each row in turn) times word i of w to a-d.
#define BYTES4(w, i, a, b, c, d) \
	SDOT_4SE(a, 0, w, i) \
	SDOT_4SE(b, 1, w, i) \
	SDOT_4SE(c, 2, w, i) \
	SDOT_4SE(d, 3, w, i)

// ROWS4V adds 16 values of the next four rows: those at R11, R8 bytes from row to row, with weights i of V8-V11.
#define ROWS4V(i) \
	LDRQ(0, 11, 0)     \
	ADD  R8, R11       \
	LDRQ(1, 11, 0)     \
	ADD  R8, R11       \
	LDRQ(2, 11, 0)     \
	ADD  R8, R11       \
	LDRQ(3, 11, 0)     \
	ADD  R8, R11       \
	ZIP1_16B(4, 0, 2)  \
	ZIP1_16B(5, 1, 3)  \
	ZIP2_16B(6, 0, 2)  \
	ZIP2_16B(3, 1, 3)  \
	ZIP1_16B(0, 4, 5)  \
	ZIP2_16B(1, 4, 5)  \
	ZIP1_16B(2, 6, 3)  \
	ZIP2_16B(3, 6, 3)  \
	BYTES4(8, i, 12, 13, 14, 15)  \
	BYTES4(9, i, 16, 17, 18, 19)  \
	BYTES4(10, i, 20, 21, 22, 23) \
	BYTES4(11, i, 24, 25, 26, 27) \
	BYTES4(7, 0, 28, 29, 30, 31)

// JOIN adds 256*high + low + part to the sums at x, which it advances. Uses V0-V3.
#define JOIN(x, off, h, l, part) \
	LDRQ(0, x, off)     \
	SHL_4S(h, h, 8)     \
	ADD_4S(0, 0, part)  \
	ADD_4S(h, h, l)     \
	ADD_4S(0, 0, h)     \
	STRQ(0, x, off)

// func dotMix(acc *int32, w *int16, v *byte, n, headDim int)
//
// acc[i*headDim+d] += sum over t < n of w[i*256+t]*v[t*headDim+d] for two heads i. v holds int8. n > 0.
//	R0, R1 acc per head   R4, R5 weights per head   R20, R21 the same, moving   R10 values   R11 the same, moving
//	R8 headDim   R9 values left   R12 rows   R13 rows left
//	V7 1 in every byte   V8, V9 and V10, V11 high and low bytes of the weights   V12-V15, V16-V19 sums of high and low bytes of head 0
//	V20-V27 of head 1   V28-V31 sums of the values
TEXT ·dotMix(SB), NOSPLIT, $0-40
	MOVD acc+0(FP), R0
	MOVD w+8(FP), R4
	MOVD v+16(FP), R10
	MOVD n+24(FP), R12
	MOVD headDim+32(FP), R8
	ADD  R8<<2, R0, R1
	ADD  $512, R4, R5
	MOVD R8, R9
	MOVI_16B(7, 1)

dmcolumn:
	MOVD R10, R11
	MOVD R4, R20
	MOVD R5, R21
	MOVD R12, R13
	MOVI_16B(12, 0)
	MOVI_16B(13, 0)
	MOVI_16B(14, 0)
	MOVI_16B(15, 0)
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

dmloop:
	MOVI_16B(4, 0x80)
	SPLITWEIGHTS(20, 8, 9)
	SPLITWEIGHTS(21, 10, 11)
	ROWS4V(0)
	ROWS4V(1)
	ROWS4V(2)
	ROWS4V(3)
	SUB  $16, R13
	CBNZ R13, dmloop

	SHL_4S(28, 28, 7)
	SHL_4S(29, 29, 7)
	SHL_4S(30, 30, 7)
	SHL_4S(31, 31, 7)
	JOIN(0, 0, 12, 16, 28)
	JOIN(0, 16, 13, 17, 29)
	JOIN(0, 32, 14, 18, 30)
	JOIN(0, 48, 15, 19, 31)
	JOIN(1, 0, 20, 24, 28)
	JOIN(1, 16, 21, 25, 29)
	JOIN(1, 32, 22, 26, 30)
	JOIN(1, 48, 23, 27, 31)
	ADD  $64, R0
	ADD  $64, R1
	ADD  $16, R10
	SUBS $16, R9
	BNE  dmcolumn
	RET
