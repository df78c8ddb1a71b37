#include "textflag.h"
#include "neon_arm64.h"

// What goes through exp: gates and attention weights. docs/NUMERICS.md §4 and §6. Plain NEON. n values are read and
// written, no others.

// CONSTS loads the constants of ·neonExpTable: V16 log2(e), V17 1.5*2^23, V18, V19 ln 2 in two parts, V20-V25 the
// polynomial, V26 1, V27 and V28 the limits of x, V29 and V30 those of GELU. Uses R16.
#define CONSTS \
	MOVD $·neonExpTable(SB), R16 \
	LD1RS_P(16, 16) \
	LD1RS_P(17, 16) \
	LD1RS_P(18, 16) \
	LD1RS_P(19, 16) \
	LD1RS_P(20, 16) \
	LD1RS_P(21, 16) \
	LD1RS_P(22, 16) \
	LD1RS_P(23, 16) \
	LD1RS_P(24, 16) \
	LD1RS_P(25, 16) \
	LD1RS_P(26, 16) \
	LD1RS_P(27, 16) \
	LD1RS_P(28, 16) \
	LD1RS_P(29, 16) \
	LD1RS_P(30, 16)

// EXP replaces V0 and V1 by their exponentials. Uses V2-V11.
#define EXP \
	FCMGE_4S(10, 0, 27) \
	FCMGE_4S(11, 1, 27) \
	FMIN_4S(0, 0, 28)   \
	FMIN_4S(1, 1, 28)   \
	FMUL_4S(2, 0, 16)   \
	FMUL_4S(3, 1, 16)   \
	FADD_4S(2, 2, 17)   \
	FADD_4S(3, 3, 17)   \
	FSUB_4S(6, 2, 17)   \
	FSUB_4S(7, 3, 17)   \
	FMUL_4S(4, 6, 18)   \
	FMUL_4S(5, 7, 18)   \
	FSUB_4S(4, 0, 4)    \
	FSUB_4S(5, 1, 5)    \
	FMUL_4S(6, 6, 19)   \
	FMUL_4S(7, 7, 19)   \
	FSUB_4S(4, 4, 6)    \
	FSUB_4S(5, 5, 7)    \
	FMUL_4S(6, 4, 4)    \
	FMUL_4S(7, 5, 5)    \
	FMUL_4S(8, 20, 4)   \
	FMUL_4S(9, 20, 5)   \
	FADD_4S(8, 8, 21)   \
	FADD_4S(9, 9, 21)   \
	FMUL_4S(8, 8, 4)    \
	FMUL_4S(9, 9, 5)    \
	FADD_4S(8, 8, 22)   \
	FADD_4S(9, 9, 22)   \
	FMUL_4S(8, 8, 4)    \
	FMUL_4S(9, 9, 5)    \
	FADD_4S(8, 8, 23)   \
	FADD_4S(9, 9, 23)   \
	FMUL_4S(8, 8, 4)    \
	FMUL_4S(9, 9, 5)    \
	FADD_4S(8, 8, 24)   \
	FADD_4S(9, 9, 24)   \
	FMUL_4S(8, 8, 4)    \
	FMUL_4S(9, 9, 5)    \
	FADD_4S(8, 8, 25)   \
	FADD_4S(9, 9, 25)   \
	FMUL_4S(8, 8, 6)    \
	FMUL_4S(9, 9, 7)    \
	SHL_4S(2, 2, 23)    \
	SHL_4S(3, 3, 23)    \
	FADD_4S(8, 8, 4)    \
	FADD_4S(9, 9, 5)    \
	ADD_4S(2, 2, 26)    \
	ADD_4S(3, 3, 26)    \
	FADD_4S(8, 8, 26)   \
	FADD_4S(9, 9, 26)   \
	FMUL_4S(8, 8, 2)    \
	FMUL_4S(9, 9, 3)    \
	AND_16B(0, 8, 10)   \
	AND_16B(1, 9, 11)

// func neonSwiGLU(dst, gate, up *float32, n int)
//
// dst[i] = gate[i] / (1 + exp(-gate[i])) * up[i], n a multiple of 8, not 0; dst may be gate or up.
TEXT ·neonSwiGLU(SB), NOSPLIT, $0-32
	MOVD dst+0(FP), R0
	MOVD gate+8(FP), R1
	MOVD up+16(FP), R2
	MOVD n+24(FP), R3
	CONSTS

siluloop:
	LDPQ_P(12, 13, 1, 32)
	LDPQ_P(14, 15, 2, 32)
	FNEG_4S(0, 12)
	FNEG_4S(1, 13)
	EXP
	FADD_4S(0, 0, 26)
	FADD_4S(1, 1, 26)
	FDIV_4S(0, 12, 0)
	FDIV_4S(1, 13, 1)
	FMUL_4S(0, 0, 14)
	FMUL_4S(1, 1, 15)
	STPQ_P(0, 1, 0, 32)
	SUBS $8, R3
	BNE  siluloop
	RET

// func neonGeGLU(dst, gate, up *float32, n int)
//
// dst[i] = x / (1 + exp(-y)) * up[i], x = gate[i], y = (x * (x*x*0.044715 + 1)) * sqrt(8/pi); else as neonSwiGLU.
TEXT ·neonGeGLU(SB), NOSPLIT, $0-32
	MOVD dst+0(FP), R0
	MOVD gate+8(FP), R1
	MOVD up+16(FP), R2
	MOVD n+24(FP), R3
	CONSTS

geluloop:
	LDPQ_P(12, 13, 1, 32)
	LDPQ_P(14, 15, 2, 32)
	FMUL_4S(0, 12, 12)
	FMUL_4S(1, 13, 13)
	FMUL_4S(0, 0, 29)
	FMUL_4S(1, 1, 29)
	FADD_4S(0, 0, 26)
	FADD_4S(1, 1, 26)
	FMUL_4S(0, 12, 0)
	FMUL_4S(1, 13, 1)
	FMUL_4S(0, 0, 30)
	FMUL_4S(1, 1, 30)
	FNEG_4S(0, 0)
	FNEG_4S(1, 1)
	EXP
	FADD_4S(0, 0, 26)
	FADD_4S(1, 1, 26)
	FDIV_4S(0, 12, 0)
	FDIV_4S(1, 13, 1)
	FMUL_4S(0, 0, 14)
	FMUL_4S(1, 1, 15)
	STPQ_P(0, 1, 0, 32)
	SUBS $8, R3
	BNE  geluloop
	RET

// func neonExpSum(p, s *float32, n int, m float32, sums *lanes)
//
// p[i] = exp(s[i]-m); sums[i%16] += p[i]. n a multiple of 16, not 0; p may be s.
//	V12-V15 sums   V29 m
TEXT ·neonExpSum(SB), NOSPLIT, $0-40
	MOVD p+0(FP), R0
	MOVD s+8(FP), R1
	MOVD n+16(FP), R3
	MOVD sums+32(FP), R4
	CONSTS
	FMOVS m+24(FP), F29
	DUP_4S(29, 29, 0)
	LDPQ(12, 13, 4, 0)
	LDPQ(14, 15, 4, 32)

exploop:
	LDPQ_P(0, 1, 1, 32)
	FSUB_4S(0, 0, 29)
	FSUB_4S(1, 1, 29)
	EXP
	FADD_4S(12, 12, 0)
	FADD_4S(13, 13, 1)
	STPQ_P(0, 1, 0, 32)
	LDPQ_P(0, 1, 1, 32)
	FSUB_4S(0, 0, 29)
	FSUB_4S(1, 1, 29)
	EXP
	FADD_4S(14, 14, 0)
	FADD_4S(15, 15, 1)
	STPQ_P(0, 1, 0, 32)
	SUBS $16, R3
	BNE  exploop
	STPQ(12, 13, 4, 0)
	STPQ(14, 15, 4, 32)
	RET
