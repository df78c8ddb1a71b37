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
