#include "textflag.h"
#include "neon_arm64.h"
#include "tile_arm64.h"

// Weighted sums of float rows of the KV store: docs/NUMERICS.md §6. Plain NEON. headDim is a multiple of 16. A call
// serves 1 to 4 query heads, which share the loads of the values; heads that it does not have repeat the last one, and
// so write the same values to the same place again. Nothing is read past the rows and weights.

// FHEAD adds weight (t, in every lane) times 16 values (V0-V3) to a-d, each product rounded.
#define FHEAD(a, b, c, d, e, f, g, h, t) \
	FMUL_4S(e, 0, t) \
	FMUL_4S(f, 1, t) \
	FMUL_4S(g, 2, t) \
	FMUL_4S(h, 3, t) \
	FADD_4S(a, a, e) \
	FADD_4S(b, b, f) \
	FADD_4S(c, c, g) \
	FADD_4S(d, d, h)

// The loads of 16 values at R11 as float32 to V0-V3; R8 is headDim.
#define VALUESF16 \
	LDPQ(1, 3, 11, 0)     \
	ADD R8<<1, R11        \
	FCVTL_4S(0, 1)        \
	FCVTL2_4S(1, 1)       \
	FCVTL_4S(2, 3)        \
	FCVTL2_4S(3, 3)

#define VALUESF32 \
	LDPQ(0, 1, 11, 0)     \
	LDPQ(2, 3, 11, 32)    \
	ADD R8<<2, R11

// MIXFLOAT is the body of the float functions: VALUES loads a part of a row, size its bytes. One chain of sums per
// value, in the order of the rows.
#define MIXFLOAT(VALUES, size, column, row) \
	MOVD acc+0(FP), R0      \
	MOVD p+8(FP), R4        \
	MOVD heads+16(FP), R14  \
	MOVD v+24(FP), R10      \
	MOVD n+32(FP), R12      \
	MOVD headDim+40(FP), R8 \
	LSL  $2, R8, R15        \
	FOUR(R14, R15, R0, R1, R2, R3) \
	MOVD $1024, R15         \
	FOUR(R14, R15, R4, R5, R6, R7) \
	MOVD R8, R9             \
column: \
	MOVD R10, R11           \
	MOVD R4, R20            \
	MOVD R5, R21            \
	MOVD R6, R22            \
	MOVD R7, R23            \
	MOVD R12, R13           \
	ACC_LOAD(0, 16, 17, 18, 19) \
	ACC_LOAD(1, 20, 21, 22, 23) \
	ACC_LOAD(2, 24, 25, 26, 27) \
	ACC_LOAD(3, 28, 29, 30, 31) \
row: \
	LD1RS(12, 20)           \
	LD1RS(13, 21)           \
	LD1RS(14, 22)           \
	LD1RS(15, 23)           \
	ADD  $4, R20            \
	ADD  $4, R21            \
	ADD  $4, R22            \
	ADD  $4, R23            \
	VALUES                  \
	FHEAD(16, 17, 18, 19, 4, 5, 6, 7, 12)   \
	FHEAD(20, 21, 22, 23, 8, 9, 10, 11, 13) \
	FHEAD(24, 25, 26, 27, 4, 5, 6, 7, 14)   \
	FHEAD(28, 29, 30, 31, 8, 9, 10, 11, 15) \
	SUBS $1, R13            \
	BNE  row                \
	ACC_STORE(0, 16, 17, 18, 19) \
	ACC_STORE(1, 20, 21, 22, 23) \
	ACC_STORE(2, 24, 25, 26, 27) \
	ACC_STORE(3, 28, 29, 30, 31) \
	ADD  $(16*size), R10    \
	SUBS $16, R9            \
	BNE  column             \
	RET

// MIXONE is MIXFLOAT for one head.
#define MIXONE(VALUES, size, column, row) \
	MOVD acc+0(FP), R0      \
	MOVD p+8(FP), R4        \
	MOVD v+16(FP), R10      \
	MOVD n+24(FP), R12      \
	MOVD headDim+32(FP), R8 \
	MOVD R8, R9             \
column: \
	MOVD R10, R11           \
	MOVD R4, R20            \
	MOVD R12, R13           \
	ACC_LOAD(0, 16, 17, 18, 19) \
row: \
	LD1RS_P(12, 20)         \
	VALUES                  \
	FHEAD(16, 17, 18, 19, 4, 5, 6, 7, 12) \
	SUBS $1, R13            \
	BNE  row                \
	ACC_STORE(0, 16, 17, 18, 19) \
	ADD  $(16*size), R10    \
	SUBS $16, R9            \
	BNE  column             \
	RET

// func neonMixF16(acc, p *float32, heads int, v *byte, n, headDim int)
//
// acc[i*headDim+d] += float32(p[i*256+t]*v[t*headDim+d]) for t < n in order, i < heads (1-4). v holds fp16.
// n > 0. Registers as in neonMixInt8x4.
TEXT ·neonMixF16(SB), NOSPLIT, $0-48
	MIXFLOAT(VALUESF16, 2, f16column, f16row)

// func neonMixF32(acc, p *float32, heads int, v *byte, n, headDim int)
//
// As neonMixF16, v float32.
TEXT ·neonMixF32(SB), NOSPLIT, $0-48
	MIXFLOAT(VALUESF32, 4, f32column, f32row)

// func neonMixF16x1(acc, p *float32, v *byte, n, headDim int)
//
// neonMixF16 for one head.
TEXT ·neonMixF16x1(SB), NOSPLIT, $0-40
	MIXONE(VALUESF16, 2, f16column1, f16row1)
