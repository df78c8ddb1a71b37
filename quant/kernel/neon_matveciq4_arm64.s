#include "textflag.h"
#include "neon_arm64.h"
#include "tile_arm64.h"
#include "kquant_arm64.h"

// Products of a tile of rows with one activation column, types with a table of values: docs/NUMERICS.md §3, lane = row.
// Plain NEON. Registers as in neon_matvec32_arm64.s and neon_matvec256_arm64.s. Nothing is read past the last block of a
// row, nor past q, d and s.

// IQ4X2 looks twice 32 values up (V9 is the table, V8 15 in every byte) whose nibbles are in V20 and V22, and leaves the
// sums of their products, with i and j in a and with k and l in c, in 32 bits. 16-bit sums: two products per lane, at
// most 2*127*127 = 32258. Uses b, d, V21, V23.
#define IQ4X2(i, j, k, l, a, b, c, d) \
	AND_16B(21, 20, 8)   \
	AND_16B(23, 22, 8)   \
	USHR_16B(20, 20, 4)  \
	USHR_16B(22, 22, 4)  \
	TBL_16B(21, 9, 21)   \
	TBL_16B(23, 9, 23)   \
	TBL_16B(20, 9, 20)   \
	TBL_16B(22, 9, 22)   \
	SMULL_8H(a, 21, i)   \
	SMULL_8H(c, 23, k)   \
	SMULL_8H(b, 20, j)   \
	SMULL_8H(d, 22, l)   \
	SMLAL2_8H(a, 21, i)  \
	SMLAL2_8H(c, 23, k)  \
	SMLAL2_8H(b, 20, j)  \
	SMLAL2_8H(d, 22, l)  \
	SADDLP_4S(a, a)      \
	SADDLP_4S(c, c)      \
	SADALP_4S(a, b)      \
	SADALP_4S(c, d)

// func neonIQ4_NLRows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)
//
// for b: acc[r] += float32(sum_i w[r][b][i]*q[b][i]) * (D[r][b]*d[b])
//
//	V0,V1 activations   V2 D   V3 d   V16-V19 sums
TEXT ·neonIQ4_NLRows(SB), NOSPLIT, $0-72
	ARGSROWS
	MOVI_16B(8, 15)
	MOVD $·neonIQ4Values(SB), R16
	LDRQ(9, 16, 0)
	CBZ  R8, nldone

nlloop:
	PRFM (R9), PLDL2KEEP
	PRFM 64(R9), PLDL2KEEP
	ADD  $72, R9
	SCALES
	LD1RS_P(3, 6)
	LDPQ_P(0, 1, 5, 32)
	LDURQ(20, 10, 2)
	LDURQ(22, 11, 2)
	IQ4X2(0, 1, 0, 1, 16, 24, 17, 25)
	SCALES_JOIN
	LDURQ(20, 12, 2)
	LDURQ(22, 13, 2)
	IQ4X2(0, 1, 0, 1, 18, 26, 19, 27)
	NEXT(18)
	FCVTL_4S(2, 2)
	SUM4
	FMUL_4S(2, 2, 3)
	SCVTF_4S(16, 16)
	FMUL_4S(16, 16, 2)
	FADD_4S(31, 31, 16)
	SUB  $1, R8
	CBNZ R8, nlloop

nldone:
	STORE(V31, F31, R0, nlfew, nlend)
	RET

// SCALESXS leaves the 8 scales of the block at x in 16 bits in V v (f as a scalar register). R19-R24 are masks that
// spread the 16 bits of high pairs and the 32 of low nibbles over 8 bytes. Uses R16, R17.
#define SCALESXS(x, f, v) \
	MOVHU 2(x), R16         \
	MOVWU 4(x), R17         \
	ORR   R16<<24, R16, R16 \
	ORR   R17<<16, R17, R17 \
	AND   R19, R16          \
	AND   R22, R17          \
	ORR   R16<<12, R16, R16 \
	ORR   R17<<8, R17, R17  \
	AND   R20, R16          \
	AND   R23, R17          \
	ORR   R16<<6, R16, R16  \
	ORR   R17<<4, R17, R17  \
	AND   R21, R16          \
	AND   R24, R17          \
	ORR   R16<<4, R17, R17  \
	FMOVD R17, f            \
	SUB_16B(v, v, 30)       \
	SXTL_8H(v, v)

// XS_HALF forms the products of the half of row x whose nibbles are at off, and adds them, times the four scales that
// EXT widens, to a.
#define XS_HALF(x, off, EXT, sc, a) \
	EXT(28, sc)           \
	LDURQ(20, x, off)     \
	LDURQ(22, x, off+16)  \
	IQ4X2(0, 1, 2, 3, 24, 25, 26, 27) \
	LDURQ(20, x, off+32)  \
	LDURQ(22, x, off+48)  \
	MLA_4SE(a, 24, 28, 0) \
	MLA_4SE(a, 26, 28, 1) \
	IQ4X2(4, 5, 6, 7, 24, 25, 26, 27) \
	MLA_4SE(a, 24, 28, 2) \
	MLA_4SE(a, 26, 28, 3)

// func neonIQ4_XSRows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)
//
// for b: acc[r] += float32(sum_g Scale[g]*sum_i w[i]*q[i]) * (D*d)
//
//	V0-V7 activations   V10-V13 scales of rows 0-3, 16 bits per group   V16-V19 sums   V30 32 in every byte
TEXT ·neonIQ4_XSRows(SB), NOSPLIT, $0-72
	ARGSROWS
	MOVI_16B(8, 15)
	MOVI_16B(30, 32)
	MOVD $·neonIQ4Values(SB), R16
	LDRQ(9, 16, 0)
	CBZ  R8, xsdone

xsloop:
	PRFM (R9), PLDL2KEEP
	PRFM 64(R9), PLDL2KEEP
	PRFM 128(R9), PLDL2KEEP
	PRFM 192(R9), PLDL2KEEP
	PRFM 256(R9), PLDL2KEEP
	PRFM 320(R9), PLDL2KEEP
	PRFM 384(R9), PLDL2KEEP
	PRFM 448(R9), PLDL2KEEP
	PRFM 512(R9), PLDL2KEEP
	ADD  $544, R9
	MOVD $0x000000ff000000ff, R19
	MOVD $0x000f000f000f000f, R20
	MOVD $0x0303030303030303, R21
	MOVD $0x0000ffff0000ffff, R22
	MOVD $0x00ff00ff00ff00ff, R23
	MOVD $0x0f0f0f0f0f0f0f0f, R24
	SCALESXS(R10, F10, 10)
	SCALESXS(R11, F11, 11)
	SCALESXS(R12, F12, 12)
	SCALESXS(R13, F13, 13)
	MOVI_16B(16, 0)
	MOVI_16B(17, 0)
	MOVI_16B(18, 0)
	MOVI_16B(19, 0)
	ACTS128
	XS_HALF(10, 8, SXTL_4S, 10, 16)
	XS_HALF(11, 8, SXTL_4S, 11, 17)
	XS_HALF(12, 8, SXTL_4S, 12, 18)
	XS_HALF(13, 8, SXTL_4S, 13, 19)
	ACTS128
	XS_HALF(10, 72, SXTL2_4S, 10, 16)
	XS_HALF(11, 72, SXTL2_4S, 11, 17)
	XS_HALF(12, 72, SXTL2_4S, 12, 18)
	XS_HALF(13, 72, SXTL2_4S, 13, 19)
	SCALES
	LD1RS_P(1, 6)
	SCALES_JOIN
	FCVTL_4S(0, 2)
	FMUL_4S(0, 0, 1)
	SUM4
	SCVTF_4S(16, 16)
	FMUL_4S(16, 16, 0)
	FADD_4S(31, 31, 16)
	NEXT(136)
	SUB  $1, R8
	CBNZ R8, xsloop

xsdone:
	STORE(V31, F31, R0, xsfew, xsend)
	RET

// FP4X2 forms the products of the rows at x and y: two times E2M1 by the table V9. 16-bit sums: four products per lane,
// at most 4*12*127 = 6096; two rounds of pairs: 24384. Uses V20-V23.
#define FP4X2(x, y, a, b) \
	LDURQ(20, x, 1)      \
	LDURQ(22, y, 1)      \
	AND_16B(21, 20, 8)   \
	AND_16B(23, 22, 8)   \
	USHR_16B(20, 20, 4)  \
	USHR_16B(22, 22, 4)  \
	TBL_16B(21, 9, 21)   \
	TBL_16B(23, 9, 23)   \
	TBL_16B(20, 9, 20)   \
	TBL_16B(22, 9, 22)   \
	SMULL_8H(a, 21, 0)   \
	SMULL_8H(b, 23, 0)   \
	SMLAL2_8H(a, 21, 0)  \
	SMLAL2_8H(b, 23, 0)  \
	SMLAL_8H(a, 20, 1)   \
	SMLAL_8H(b, 22, 1)   \
	SMLAL2_8H(a, 20, 1)  \
	SMLAL2_8H(b, 22, 1)

// func neonMXFP4Rows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)
//
// for b: acc[r] += float32(sum_i w[r][b][i]*q[b][i]) * (2^(e[r][b]-128)*d[b])
//
// The scale may be subnormal: it is the product of two halves of the exponent, each a normal power of two.
//	V0,V1 activations   V2 e, then D   V3 d   V16-V19 sums   V30 63 in every word
TEXT ·neonMXFP4Rows(SB), NOSPLIT, $0-72
	ARGSROWS
	MOVI_16B(8, 15)
	MOVD $·neonMXFP4Values(SB), R16
	LDRQ(9, 16, 0)
	MOVD $63, R16
	VDUP R16, V30.S4
	CBZ  R8, fp4done

fp4loop:
	PRFM (R9), PLDL2KEEP
	PRFM 64(R9), PLDL2KEEP
	ADD  $68, R9
	MOVBU (R10), R16
	MOVBU (R11), R17
	MOVBU (R12), R19
	MOVBU (R13), R20
	LD1RS_P(3, 6)
	LDPQ_P(0, 1, 5, 32)
	FP4X2(10, 11, 16, 17)
	ORR   R17<<16, R16
	ORR   R20<<16, R19
	ORR   R19<<32, R16
	FMOVD R16, F2
	FP4X2(12, 13, 18, 19)
	NEXT(17)
	UXTL_4S(2, 2)
	USHR_4S(4, 2, 1)
	SUB_4S(2, 2, 4)
	ADD_4S(4, 4, 30)
	ADD_4S(2, 2, 30)
	SHL_4S(4, 4, 23)
	SHL_4S(2, 2, 23)
	FMUL_4S(2, 2, 4)
	ADDP_8H(16, 16, 17)
	ADDP_8H(18, 18, 19)
	FMUL_4S(2, 2, 3)
	ADDP_8H(16, 16, 18)
	SADDLP_4S(16, 16)
	SCVTF_4S(16, 16)
	FMUL_4S(16, 16, 2)
	FADD_4S(31, 31, 16)
	SUB  $1, R8
	CBNZ R8, fp4loop

fp4done:
	STORE(V31, F31, R0, fp4few, fp4end)
	RET
