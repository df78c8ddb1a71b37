#include "textflag.h"
#include "neon_arm64.h"
#include "tile_arm64.h"

// Products of a tile of float rows with a float32 vector, in 16 lanes per row: docs/NUMERICS.md §1 and §3. Plain NEON.
// Weights of a matrix and rows of the KV store (§6) alike. Nothing is read past the k-th value of x and of each row: a
// last part of less than 16 values is copied to the stack, followed by zeros.
//
//	R0 dst   R5 x   R10-R13 the rows   R14 rows, 1-4   R15 bytes from row to row   R8 steps of 16 left
//	R7 values after them   R9 bytes to prefetch
//	V0-V3 activations   V4-V7, V8-V11 weights   V16-V19 the 16 lanes of row 0 ... V28-V31 of row 3

#define CLEAR16 \
	MOVI_16B(16, 0) \
	MOVI_16B(17, 0) \
	MOVI_16B(18, 0) \
	MOVI_16B(19, 0) \
	MOVI_16B(20, 0) \
	MOVI_16B(21, 0) \
	MOVI_16B(22, 0) \
	MOVI_16B(23, 0) \
	MOVI_16B(24, 0) \
	MOVI_16B(25, 0) \
	MOVI_16B(26, 0) \
	MOVI_16B(27, 0) \
	MOVI_16B(28, 0) \
	MOVI_16B(29, 0) \
	MOVI_16B(30, 0) \
	MOVI_16B(31, 0)

#define ARGSFLOAT \
	MOVD dst+0(FP), R0      \
	MOVD rows+8(FP), R14    \
	MOVD w+16(FP), R10      \
	MOVD stride+24(FP), R15 \
	MOVD k+32(FP), R8       \
	MOVD x+40(FP), R5       \
	MOVD pf+48(FP), R9      \
	ROWS4                   \
	AND  $15, R8, R7        \
	LSR  $4, R8             \
	CLEAR16

// The loads of 16 weights at p into a, b, c, d as float32.
#define LOADF32(p, a, b, c, d) \
	LDPQ_P(a, b, p, 32) \
	LDPQ_P(c, d, p, 32)

#define LOADF16(p, a, b, c, d) \
	LDPQ_P(c, d, p, 32) \
	FCVTL_4S(a, c)      \
	FCVTL2_4S(b, c)     \
	FCVTL_4S(c, d)      \
	FCVTL2_4S(d, d)

#define LOADBF16(p, a, b, c, d) \
	LDPQ_P(c, d, p, 32) \
	SHLL_4S(a, c)       \
	SHLL2_4S(b, c)      \
	SHLL_4S(c, d)       \
	SHLL2_4S(d, d)

// TWOROWS adds 16 products of two rows to their lanes.
#define TWOROWS(LOAD, p, q, a, b, c, d, e, f, g, h) \
	LOAD(p, 4, 5, 6, 7)   \
	LOAD(q, 8, 9, 10, 11) \
	FMUL_4S(4, 4, 0)   \
	FMUL_4S(5, 5, 1)   \
	FMUL_4S(6, 6, 2)   \
	FMUL_4S(7, 7, 3)   \
	FMUL_4S(8, 8, 0)   \
	FMUL_4S(9, 9, 1)   \
	FMUL_4S(10, 10, 2) \
	FMUL_4S(11, 11, 3) \
	FADD_4S(a, a, 4)   \
	FADD_4S(b, b, 5)   \
	FADD_4S(c, c, 6)   \
	FADD_4S(d, d, 7)   \
	FADD_4S(e, e, 8)   \
	FADD_4S(f, f, 9)   \
	FADD_4S(g, g, 10)  \
	FADD_4S(h, h, 11)

#define STEP16(LOAD) \
	LDPQ_P(0, 1, 5, 32) \
	LDPQ_P(2, 3, 5, 32) \
	TWOROWS(LOAD, 10, 11, 16, 17, 18, 19, 20, 21, 22, 23) \
	TWOROWS(LOAD, 12, 13, 24, 25, 26, 27, 28, 29, 30, 31)

// TREE leaves the sums of the four rows in V31.
#define TREE \
	FADD_4S(16, 16, 18) \
	FADD_4S(17, 17, 19) \
	FADD_4S(20, 20, 22) \
	FADD_4S(21, 21, 23) \
	FADD_4S(24, 24, 26) \
	FADD_4S(25, 25, 27) \
	FADD_4S(28, 28, 30) \
	FADD_4S(29, 29, 31) \
	FADD_4S(16, 16, 17) \
	FADD_4S(20, 20, 21) \
	FADD_4S(24, 24, 25) \
	FADD_4S(28, 28, 29) \
	ZIP1_2D(0, 16, 20)  \
	ZIP2_2D(1, 16, 20)  \
	ZIP1_2D(2, 24, 28)  \
	ZIP2_2D(3, 24, 28)  \
	FADD_4S(0, 0, 1)    \
	FADD_4S(2, 2, 3)    \
	FADDP_4S(31, 0, 2)

// PAD copies the last R7 values of x and of the rows to 64-byte places on the stack and points R5 and R10-R13 there.
// LD and ST move a weight of size bytes.
#define PAD(LD, ST, size, loop) \
	MOVI_16B(0, 0)             \
	MOVI_16B(1, 0)             \
	MOVD $pad-320(SP), R1      \
	STPQ(0, 1, 1, 0)           \
	STPQ(0, 1, 1, 32)          \
	STPQ(0, 1, 1, 64)          \
	STPQ(0, 1, 1, 96)          \
	STPQ(0, 1, 1, 128)         \
	STPQ(0, 1, 1, 160)         \
	STPQ(0, 1, 1, 192)         \
	STPQ(0, 1, 1, 224)         \
	STPQ(0, 1, 1, 256)         \
	STPQ(0, 1, 1, 288)         \
	MOVD R1, R2                \
	ADD  $256, R1, R3          \
loop:                          \
	LD.P size(R10), R16        \
	ST   R16, (R2)             \
	LD.P size(R11), R16        \
	ST   R16, 64(R2)           \
	LD.P size(R12), R16        \
	ST   R16, 128(R2)          \
	LD.P size(R13), R16        \
	ST   R16, 192(R2)          \
	ADD  $size, R2             \
	MOVWU.P 4(R5), R16         \
	MOVW.P R16, 4(R3)          \
	SUB  $1, R7                \
	CBNZ R7, loop              \
	MOVD R1, R10               \
	ADD  $64, R1, R11          \
	ADD  $128, R1, R12         \
	ADD  $192, R1, R13         \
	ADD  $256, R1, R5          \
	MOVD $1, R8

// func neonF32Rows(dst *float32, rows int, w *byte, stride, k int, x *float32, pf unsafe.Pointer)
//
// for i: lane[r][i%16] += float32(w[r][i]*x[i]); dst[r] = tree(lane[r])
TEXT ·neonF32Rows(SB), NOSPLIT, $320-56
	ARGSFLOAT
	CBZ  R8, f32tail

f32loop:
	PRFM (R9), PLDL2KEEP
	PRFM 64(R9), PLDL2KEEP
	PRFM 128(R9), PLDL2KEEP
	PRFM 192(R9), PLDL2KEEP
	ADD  $256, R9
	STEP16(LOADF32)
	SUB  $1, R8
	CBNZ R8, f32loop

f32tail:
	CBZ  R7, f32done
	PAD(MOVWU, MOVW, 4, f32pad)
	JMP  f32loop

f32done:
	TREE
	STORE(V31, F31, R0, f32few, f32end)
	RET

// func neonF16Rows(dst *float32, rows int, w *byte, stride, k int, x *float32, pf unsafe.Pointer)
//
// As neonF32Rows, fp16 weights.
TEXT ·neonF16Rows(SB), NOSPLIT, $320-56
	ARGSFLOAT
	CBZ  R8, f16tail

f16loop:
	PRFM (R9), PLDL2KEEP
	PRFM 64(R9), PLDL2KEEP
	ADD  $128, R9
	STEP16(LOADF16)
	SUB  $1, R8
	CBNZ R8, f16loop

f16tail:
	CBZ  R7, f16done
	PAD(MOVHU, MOVH, 2, f16pad)
	JMP  f16loop

f16done:
	TREE
	STORE(V31, F31, R0, f16few, f16end)
	RET

// func neonBF16Rows(dst *float32, rows int, w *byte, stride, k int, x *float32, pf unsafe.Pointer)
//
// As neonF32Rows, bfloat16 weights.
TEXT ·neonBF16Rows(SB), NOSPLIT, $320-56
	ARGSFLOAT
	CBZ  R8, bf16tail

bf16loop:
	PRFM (R9), PLDL2KEEP
	PRFM 64(R9), PLDL2KEEP
	ADD  $128, R9
	STEP16(LOADBF16)
	SUB  $1, R8
	CBNZ R8, bf16loop

bf16tail:
	CBZ  R7, bf16done
	PAD(MOVHU, MOVH, 2, bf16pad)
	JMP  bf16loop

bf16done:
	TREE
	STORE(V31, F31, R0, bf16few, bf16end)
	RET

// HEAD16 adds 16 products of a query row (e-h) and the key (V4-V7) to a-d, and loads those of the next query row, at y, to
// m-p: between products of two micro-operations a Cortex-A72 takes a load of one for nothing.
#define HEAD16(a, b, c, d, e, f, g, h, y, m, n, o, p) \
	FMUL_4S(e, e, 4) \
	LDRQ(m, y, 0)    \
	FMUL_4S(f, f, 5) \
	LDRQ(n, y, 16)   \
	FMUL_4S(g, g, 6) \
	LDRQ(o, y, 32)   \
	FMUL_4S(h, h, 7) \
	LDRQ(p, y, 48)   \
	FADD_4S(a, a, e) \
	ADD $64, R(y)    \
	FADD_4S(b, b, f) \
	FADD_4S(c, c, g) \
	FADD_4S(d, d, h)

// func neonScoresF16x4(dst, q *float32, heads int, k *byte, n, headDim int)
//
// dst[i*256+t] = the product of query row i < heads (1-4) with key row t < n, in 16 lanes. A key is widened once for all
// heads; heads that a call does not have repeat the last one, and so write the same values to the same place again.
// n > 0; headDim is a multiple of 16.
//	R10 keys   R12 how many left   R8 headDim   R9 values left   R4-R7 queries   R20-R23 the same, moving
//	R0-R3 dst   V4-V7 a key   V16-V19 the 16 lanes of query 0 ... V28-V31 of query 3
TEXT ·neonScoresF16x4(SB), NOSPLIT, $0-48
	MOVD dst+0(FP), R0
	MOVD q+8(FP), R4
	MOVD heads+16(FP), R14
	MOVD k+24(FP), R10
	MOVD n+32(FP), R12
	MOVD headDim+40(FP), R8
	MOVD $1024, R15
	FOUR(R14, R15, R0, R1, R2, R3)
	LSL  $2, R8, R15
	FOUR(R14, R15, R4, R5, R6, R7)

sf16key:
	CLEAR16
	MOVD R4, R20
	MOVD R5, R21
	MOVD R6, R22
	MOVD R7, R23
	MOVD R8, R9

sf16loop:
	LDRQ(6, 10, 0)
	LDRQ(7, 10, 16)
	LDRQ(0, 20, 0)
	LDRQ(1, 20, 16)
	FCVTL_4S(4, 6)
	LDRQ(2, 20, 32)
	FCVTL2_4S(5, 6)
	LDRQ(3, 20, 48)
	FCVTL_4S(6, 7)
	ADD  $32, R10
	FCVTL2_4S(7, 7)
	ADD  $64, R20
	HEAD16(16, 17, 18, 19, 0, 1, 2, 3, 21, 8, 9, 10, 11)
	HEAD16(20, 21, 22, 23, 8, 9, 10, 11, 22, 12, 13, 14, 15)
	HEAD16(24, 25, 26, 27, 12, 13, 14, 15, 23, 0, 1, 2, 3)
	FMUL_4S(0, 0, 4)
	SUB  $16, R9
	FMUL_4S(1, 1, 5)
	FMUL_4S(2, 2, 6)
	FMUL_4S(3, 3, 7)
	FADD_4S(28, 28, 0)
	FADD_4S(29, 29, 1)
	FADD_4S(30, 30, 2)
	FADD_4S(31, 31, 3)
	CBNZ R9, sf16loop
	TREE
	FMOVS.P F31, 4(R0)
	VMOV V31.S[1], R15
	VMOV V31.S[2], R16
	VMOV V31.S[3], R17
	MOVW.P R15, 4(R1)
	MOVW.P R16, 4(R2)
	MOVW.P R17, 4(R3)
	SUB  $1, R12
	CBNZ R12, sf16key
	RET
