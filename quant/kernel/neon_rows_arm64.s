#include "textflag.h"
#include "neon_arm64.h"

// Element-wise work on activation and head rows: docs/NUMERICS.md §2, §4, §5. Plain NEON. n is never 0, and n values are
// read and written, no others.

// MAX4 leaves the largest lane of V0-V3 in all lanes of V0.
#define MAX4 \
	FMAX_4S(0, 0, 1)  \
	FMAX_4S(2, 2, 3)  \
	FMAX_4S(0, 0, 2)  \
	FMAXP_4S(0, 0, 0) \
	FMAXP_4S(0, 0, 0)

// CODES makes 16 int8 codes in V0 from V0-V3 times V31. V30 is -127 in every byte: products below -127.5 do not occur.
#define CODES \
	FMUL_4S(0, 0, 31)    \
	FMUL_4S(1, 1, 31)    \
	FMUL_4S(2, 2, 31)    \
	FMUL_4S(3, 3, 31)    \
	FCVTNS_4S(0, 0)      \
	FCVTNS_4S(1, 1)      \
	FCVTNS_4S(2, 2)      \
	FCVTNS_4S(3, 3)      \
	SQXTN_4H(0, 0)       \
	SQXTN2_8H(0, 1)      \
	SQXTN_4H(2, 2)       \
	SQXTN2_8H(2, 3)      \
	SQXTN_8B(0, 0)       \
	SQXTN2_16B(0, 2)     \
	SMAX_16B(0, 0, 30)

// func neonQuantize32(q *int8, d *float32, s *int32, x *float32, groups int)
//
// The Partner32 form, groups of 32 values.
//	V20-V27 the values   V30 -127   R5 pattern of infinity   R6 that of the scale
TEXT ·neonQuantize32(SB), NOSPLIT, $0-40
	MOVD q+0(FP), R0
	MOVD d+8(FP), R1
	MOVD s+16(FP), R2
	MOVD x+24(FP), R3
	MOVD groups+32(FP), R4
	MOVD $0x7f800000, R5
	FMOVS $127.0, F29
	MOVI_16B(30, 0x81)

q32loop:
	LDPQ_P(20, 21, 3, 32)
	LDPQ_P(22, 23, 3, 32)
	LDPQ_P(24, 25, 3, 32)
	LDPQ_P(26, 27, 3, 32)
	FABS_4S(0, 20)
	FABS_4S(1, 21)
	FABS_4S(2, 22)
	FABS_4S(3, 23)
	FABS_4S(4, 24)
	FABS_4S(5, 25)
	FABS_4S(6, 26)
	FABS_4S(7, 27)
	FMAX_4S(0, 0, 4)
	FMAX_4S(1, 1, 5)
	FMAX_4S(2, 2, 6)
	FMAX_4S(3, 3, 7)
	MAX4
	FDIVS F0, F29, F31     // 127 / amax
	FDIVS F29, F0, F28     // amax / 127
	FMOVS F0, R6
	CMPW  R5, R6
	BHS   q32bad
	FMOVS F31, R7
	CMPW  R5, R7
	BEQ   q32zero
	DUP_4S(31, 31, 0)
	ORR_16B(0, 20, 20)
	ORR_16B(1, 21, 21)
	ORR_16B(2, 22, 22)
	ORR_16B(3, 23, 23)
	CODES
	ORR_16B(16, 0, 0)
	ORR_16B(0, 24, 24)
	ORR_16B(1, 25, 25)
	ORR_16B(2, 26, 26)
	ORR_16B(3, 27, 27)
	CODES
	STPQ_P(16, 0, 0, 32)
	SADDLP_8H(16, 16)
	SADDLP_8H(0, 0)
	ADDP_8H(0, 16, 0)      // sums of 4: at most 4*127
	SADDLP_4S(0, 0)
	ADDP_4S(0, 0, 0)
	ADDP_4S(0, 0, 0)
	FMOVS.P F0, 4(R2)
	FMOVS.P F28, 4(R1)
	SUB   $1, R4
	CBNZ  R4, q32loop
	RET

q32bad:
	MOVD $0x7fc00000, R6
	JMP  q32same

q32zero:
	MOVD $0, R6

q32same:
	MOVI_16B(0, 0)
	STPQ_P(0, 0, 0, 32)
	MOVW.P ZR, 4(R2)
	MOVW.P R6, 4(R1)
	SUB   $1, R4
	CBNZ  R4, q32loop
	RET

// func neonMaxAbs(x *float32, n int) float32
//
// The largest magnitude of n values, n a multiple of 4; a NaN if there is one.
TEXT ·neonMaxAbs(SB), NOSPLIT, $0-20
	MOVD x+0(FP), R0
	MOVD n+8(FP), R1
	MOVI_16B(0, 0)
	MOVI_16B(1, 0)
	MOVI_16B(2, 0)
	MOVI_16B(3, 0)
	SUBS $16, R1
	BLT  maxrest

maxloop:
	LDPQ_P(4, 5, 0, 32)
	LDPQ_P(6, 7, 0, 32)
	FABS_4S(4, 4)
	FABS_4S(5, 5)
	FABS_4S(6, 6)
	FABS_4S(7, 7)
	FMAX_4S(0, 0, 4)
	FMAX_4S(1, 1, 5)
	FMAX_4S(2, 2, 6)
	FMAX_4S(3, 3, 7)
	SUBS $16, R1
	BGE  maxloop

maxrest:
	ADDS $16, R1
	BEQ  maxdone

maxone:
	LDRQ_P(4, 0, 16)
	FABS_4S(4, 4)
	FMAX_4S(0, 0, 4)
	SUBS $4, R1
	BNE  maxone

maxdone:
	MAX4
	FMOVS F0, ret+16(FP)
	RET

// func neonMax(x *float32, n int) float32
//
// The largest of n values, n a multiple of 4.
TEXT ·neonMax(SB), NOSPLIT, $0-20
	MOVD x+0(FP), R0
	MOVD n+8(FP), R1
	LDRQ_P(0, 0, 16)
	SUBS $4, R1
	BEQ  topdone

toploop:
	LDRQ_P(1, 0, 16)
	FMAX_4S(0, 0, 1)
	SUBS $4, R1
	BNE  toploop

topdone:
	FMAXP_4S(0, 0, 0)
	FMAXP_4S(0, 0, 0)
	FMOVS F0, ret+16(FP)
	RET

// func neonQuantize8(q *int8, x *float32, n int, inv float32)
//
// q[i] = RNE(x[i]*inv), clamped to [-127, 127]. n a multiple of 16.
TEXT ·neonQuantize8(SB), NOSPLIT, $0-28
	MOVD q+0(FP), R0
	MOVD x+8(FP), R1
	MOVD n+16(FP), R2
	FMOVS inv+24(FP), F31
	DUP_4S(31, 31, 0)
	MOVI_16B(30, 0x81)

q8loop:
	LDPQ_P(0, 1, 1, 32)
	LDPQ_P(2, 3, 1, 32)
	CODES
	STRQ_P(0, 0, 16)
	SUBS $16, R2
	BNE  q8loop
	RET

// func neonSums16(s *int16, q *int8, n int)
//
// s[i] = the sum of codes q[16i] to q[16i+15], i < n, n a multiple of 8.
TEXT ·neonSums16(SB), NOSPLIT, $0-24
	MOVD s+0(FP), R0
	MOVD q+8(FP), R1
	MOVD n+16(FP), R2

sumloop:
	LDPQ_P(0, 1, 1, 32)
	LDPQ_P(2, 3, 1, 32)
	LDPQ_P(4, 5, 1, 32)
	LDPQ_P(6, 7, 1, 32)
	SADDLP_8H(0, 0)
	SADDLP_8H(1, 1)
	SADDLP_8H(2, 2)
	SADDLP_8H(3, 3)
	SADDLP_8H(4, 4)
	SADDLP_8H(5, 5)
	SADDLP_8H(6, 6)
	SADDLP_8H(7, 7)
	ADDP_8H(0, 0, 1)
	ADDP_8H(2, 2, 3)
	ADDP_8H(4, 4, 5)
	ADDP_8H(6, 6, 7)
	ADDP_8H(0, 0, 2)
	ADDP_8H(4, 4, 6)
	ADDP_8H(0, 0, 4)
	STRQ_P(0, 0, 16)
	SUBS $8, R2
	BNE  sumloop
	RET

// func neonQuantize16(q *int16, x *float32, n int, inv float32, limit int)
//
// q[i] = RNE(x[i]*inv), clamped to [-limit, limit], limit below 32768. n a multiple of 8.
TEXT ·neonQuantize16(SB), NOSPLIT, $0-40
	MOVD q+0(FP), R0
	MOVD x+8(FP), R1
	MOVD n+16(FP), R2
	FMOVS inv+24(FP), F31
	MOVD limit+32(FP), R3
	DUP_4S(31, 31, 0)
	NEG  R3, R4
	VDUP R3, V30.H8
	VDUP R4, V29.H8

q16loop:
	LDPQ_P(0, 1, 1, 32)
	FMUL_4S(0, 0, 31)
	FMUL_4S(1, 1, 31)
	FCVTNS_4S(0, 0)
	FCVTNS_4S(1, 1)
	SQXTN_4H(0, 0)
	SQXTN2_8H(0, 1)
	SMIN_8H(0, 0, 30)
	SMAX_8H(0, 0, 29)
	STRQ_P(0, 0, 16)
	SUBS $8, R2
	BNE  q16loop
	RET

// func neonToHalf(dst *byte, x *float32, n int)
//
// dst[i] = fp16(x[i]), saturated at +-65504. n a multiple of 8.
TEXT ·neonToHalf(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD x+8(FP), R1
	MOVD n+16(FP), R2
	MOVD $0x477fe000, R3   // 65504
	VDUP R3, V30.S4
	FNEG_4S(29, 30)

halfloop:
	LDPQ_P(0, 1, 1, 32)
	FMIN_4S(0, 0, 30)
	FMIN_4S(1, 1, 30)
	FMAX_4S(0, 0, 29)
	FMAX_4S(1, 1, 29)
	FCVTN_4H(0, 0)
	FCVTN2_8H(0, 1)
	STRQ_P(0, 0, 16)
	SUBS $8, R2
	BNE  halfloop
	RET

// func neonScaleHalf(p *float32, h *byte, n int) float32
//
// p[i] *= h[i], fp16; returns the largest product, or 0 if none is larger. n a multiple of 8.
TEXT ·neonScaleHalf(SB), NOSPLIT, $0-28
	MOVD p+0(FP), R0
	MOVD h+8(FP), R1
	MOVD n+16(FP), R2
	MOVI_16B(0, 0)
	MOVI_16B(1, 0)

shloop:
	LDPQ(2, 3, 0, 0)
	LDRQ_P(5, 1, 16)
	FCVTL_4S(4, 5)
	FCVTL2_4S(5, 5)
	FMUL_4S(2, 2, 4)
	FMUL_4S(3, 3, 5)
	STPQ_P(2, 3, 0, 32)
	FMAX_4S(0, 0, 2)
	FMAX_4S(1, 1, 3)
	SUBS $8, R2
	BNE  shloop
	FMAX_4S(0, 0, 1)
	FMAXP_4S(0, 0, 0)
	FMAXP_4S(0, 0, 0)
	FMOVS F0, ret+24(FP)
	RET

// func neonSumSquares(x *float32, n int, sums *lanes)
//
// sums[i%16] += float32(x[i]*x[i]). n a multiple of 16.
TEXT ·neonSumSquares(SB), NOSPLIT, $0-24
	MOVD x+0(FP), R0
	MOVD n+8(FP), R1
	MOVD sums+16(FP), R2
	LDPQ(16, 17, 2, 0)
	LDPQ(18, 19, 2, 32)

sqloop:
	LDPQ_P(0, 1, 0, 32)
	LDPQ_P(2, 3, 0, 32)
	FMUL_4S(0, 0, 0)
	FMUL_4S(1, 1, 1)
	FMUL_4S(2, 2, 2)
	FMUL_4S(3, 3, 3)
	FADD_4S(16, 16, 0)
	FADD_4S(17, 17, 1)
	FADD_4S(18, 18, 2)
	FADD_4S(19, 19, 3)
	SUBS $16, R1
	BNE  sqloop
	STPQ(16, 17, 2, 0)
	STPQ(18, 19, 2, 32)
	RET

// func neonScaled(dst, x *float32, n int, f float32)
//
// dst[i] = x[i]*f. n a multiple of 4; dst may be x.
TEXT ·neonScaled(SB), NOSPLIT, $0-28
	MOVD dst+0(FP), R0
	MOVD x+8(FP), R1
	MOVD n+16(FP), R2
	FMOVS f+24(FP), F31

scloop:
	LDRQ_P(0, 1, 16)
	FMUL_4SE(0, 0, 31, 0)
	STRQ_P(0, 0, 16)
	SUBS $4, R2
	BNE  scloop
	RET

// func neonScaledBy(dst, x, w *float32, n int, f float32)
//
// dst[i] = float32(x[i]*f) * w[i]. n a multiple of 4; dst may be x.
TEXT ·neonScaledBy(SB), NOSPLIT, $0-36
	MOVD dst+0(FP), R0
	MOVD x+8(FP), R1
	MOVD w+16(FP), R2
	MOVD n+24(FP), R3
	FMOVS f+32(FP), F31

sbloop:
	LDRQ_P(0, 1, 16)
	LDRQ_P(1, 2, 16)
	FMUL_4SE(0, 0, 31, 0)
	FMUL_4S(0, 0, 1)
	STRQ_P(0, 0, 16)
	SUBS $4, R3
	BNE  sbloop
	RET

// func neonAdd(dst, a *float32, n int)
//
// dst[i] += a[i]. n a multiple of 4.
TEXT ·neonAdd(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD a+8(FP), R1
	MOVD n+16(FP), R2

addloop:
	LDRQ(0, 0, 0)
	LDRQ_P(1, 1, 16)
	FADD_4S(0, 0, 1)
	STRQ_P(0, 0, 16)
	SUBS $4, R2
	BNE  addloop
	RET

// func neonMerge(o, y *float32, n int, a, b float32)
//
// o[i] = float32(o[i]*a) + float32(y[i]*b). n a multiple of 4.
TEXT ·neonMerge(SB), NOSPLIT, $0-32
	MOVD o+0(FP), R0
	MOVD y+8(FP), R1
	MOVD n+16(FP), R2
	FMOVS a+24(FP), F30
	FMOVS b+28(FP), F31

mergeloop:
	LDRQ(0, 0, 0)
	LDRQ_P(1, 1, 16)
	FMUL_4SE(0, 0, 30, 0)
	FMUL_4SE(1, 1, 31, 0)
	FADD_4S(0, 0, 1)
	STRQ_P(0, 0, 16)
	SUBS $4, R2
	BNE  mergeloop
	RET

// func neonIntToFloat(dst *float32, src *int32, n int, f float32)
//
// dst[i] = float32(src[i]) * f. n a multiple of 4.
TEXT ·neonIntToFloat(SB), NOSPLIT, $0-28
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD n+16(FP), R2
	FMOVS f+24(FP), F31

itfloop:
	LDRQ_P(0, 1, 16)
	SCVTF_4S(0, 0)
	FMUL_4SE(0, 0, 31, 0)
	STRQ_P(0, 0, 16)
	SUBS $4, R2
	BNE  itfloop
	RET

// TURN rotates (a, b) by the angles whose cosines and sines are V4 and V5. Uses V6, V7.
#define TURN(a, b) \
	FMUL_4S(6, b, 5) \
	FMUL_4S(7, b, 4) \
	FMUL_4S(b, a, 5) \
	FMUL_4S(a, a, 4) \
	FSUB_4S(a, a, 6) \
	FADD_4S(b, b, 7)

// func neonRopePairs(x, cos, sin *float32, n int)
//
// Turns the pairs (x[2i], x[2i+1]), i < n, n a multiple of 4.
TEXT ·neonRopePairs(SB), NOSPLIT, $0-32
	MOVD x+0(FP), R0
	MOVD cos+8(FP), R1
	MOVD sin+16(FP), R2
	MOVD n+24(FP), R3

pairloop:
	LD2_4S(0, 0)
	LDRQ_P(4, 1, 16)
	LDRQ_P(5, 2, 16)
	TURN(0, 1)
	ST2_4S(0, 0)
	ADD  $32, R0
	SUBS $4, R3
	BNE  pairloop
	RET

// func neonRopeHalves(a, b, cos, sin *float32, n int)
//
// Turns the pairs (a[i], b[i]), i < n, n a multiple of 4.
TEXT ·neonRopeHalves(SB), NOSPLIT, $0-40
	MOVD a+0(FP), R0
	MOVD b+8(FP), R1
	MOVD cos+16(FP), R2
	MOVD sin+24(FP), R3
	MOVD n+32(FP), R4

halvesloop:
	LDRQ(0, 0, 0)
	LDRQ(1, 1, 0)
	LDRQ_P(4, 2, 16)
	LDRQ_P(5, 3, 16)
	TURN(0, 1)
	STRQ_P(0, 0, 16)
	STRQ_P(1, 1, 16)
	SUBS $4, R4
	BNE  halvesloop
	RET

// func neonHadamard4(x *float32, n int)
//
// The steps h = 1 and 2 of the rotation in every 4 values. n a multiple of 8.
TEXT ·neonHadamard4(SB), NOSPLIT, $0-16
	MOVD x+0(FP), R0
	MOVD n+8(FP), R1

h4loop:
	LDPQ(0, 1, 0, 0)
	TRN1_4S(2, 0, 1)
	TRN2_4S(3, 0, 1)
	FADD_4S(0, 2, 3)
	FSUB_4S(1, 2, 3)
	ZIP1_2D(2, 0, 1)
	ZIP2_2D(3, 0, 1)
	FADD_4S(0, 2, 3)
	FSUB_4S(1, 2, 3)
	UZP1_4S(2, 0, 1)
	UZP2_4S(3, 0, 1)
	STPQ_P(2, 3, 0, 32)
	SUBS $8, R1
	BNE  h4loop
	RET

// func neonHadamardStep(x *float32, n, h int)
//
// The step h of the rotation: in every 2*h values, pairs at distance h. h a multiple of 4, n of 2*h.
TEXT ·neonHadamardStep(SB), NOSPLIT, $0-24
	MOVD x+0(FP), R0
	MOVD n+8(FP), R1
	MOVD h+16(FP), R2
	LSL  $2, R2, R4

hblock:
	ADD  R4, R0, R5
	MOVD R2, R3

hloop:
	LDRQ(0, 0, 0)
	LDRQ(1, 5, 0)
	FADD_4S(2, 0, 1)
	FSUB_4S(3, 0, 1)
	STRQ_P(2, 0, 16)
	STRQ_P(3, 5, 16)
	SUBS $4, R3
	BNE  hloop
	ADD  R4, R0
	SUB  R2<<1, R1
	CBNZ R1, hblock
	RET
