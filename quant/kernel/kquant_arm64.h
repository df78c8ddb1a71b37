// What the kernels for types of 256 values per block share.

// ACTS128 loads 128 activations into V0-V7.
#define ACTS128 \
	LDPQ_P(0, 1, 5, 32) \
	LDPQ_P(2, 3, 5, 32) \
	LDPQ_P(4, 5, 5, 32) \
	LDPQ_P(6, 7, 5, 32)

// SUM4 leaves the sums over the lanes of V16-V19 in the lanes of V16.
#define SUM4 \
	ADDP_4S(16, 16, 17) \
	ADDP_4S(18, 18, 19) \
	ADDP_4S(16, 16, 18)

// Q4K_HEAD reads the first 16 bytes of a Q4_K block of four rows, transposed to one word per lane: (d, dmin), X, Y and Z
// of quant/q45k.go. Leaves D*d in V15, dmin*d in V14, the scales of 8 groups in 16 bits per row in V10-V13 and the
// minima in V20-V23. V2 is d, V8 15 in every byte. Uses V9, V16-V29.
#define Q4K_HEAD \
	LDRQ(16, 10, 0)     \
	LDRQ(17, 11, 0)     \
	LDRQ(18, 12, 0)     \
	LDRQ(19, 13, 0)     \
	TRN1_4S(20, 16, 17) \
	TRN2_4S(21, 16, 17) \
	TRN1_4S(22, 18, 19) \
	TRN2_4S(23, 18, 19) \
	ZIP1_2D(16, 20, 22) \
	ZIP2_2D(17, 20, 22) \
	ZIP1_2D(18, 21, 23) \
	ZIP2_2D(19, 21, 23) \
	UZP1_8H(20, 16, 16) \
	UZP2_8H(21, 16, 16) \
	FCVTL_4S(20, 20)    \
	FCVTL_4S(21, 21)    \
	FMUL_4S(15, 20, 2)  \
	FMUL_4S(14, 21, 2)  \
	MOVI_16B(9, 63)     \
	AND_16B(22, 18, 9)  \
	AND_16B(24, 17, 9)  \
	AND_16B(23, 19, 8)  \
	USHR_16B(25, 19, 4) \
	USHR_16B(18, 18, 6) \
	USHR_16B(17, 17, 6) \
	SHL_16B(18, 18, 4)  \
	SHL_16B(17, 17, 4)  \
	ORR_16B(23, 23, 18) \
	ORR_16B(25, 25, 17) \
	ZIP1_4S(26, 22, 23) \
	ZIP2_4S(27, 22, 23) \
	ZIP1_4S(28, 24, 25) \
	ZIP2_4S(29, 24, 25) \
	UXTL_8H(10, 26)     \
	UXTL2_8H(11, 26)    \
	UXTL_8H(12, 27)     \
	UXTL2_8H(13, 27)    \
	UXTL_8H(20, 28)     \
	UXTL2_8H(21, 28)    \
	UXTL_8H(22, 29)     \
	UXTL2_8H(23, 29)

// Q4K_MINS leaves float32(sum over the groups of Min*s32)*(dmin*d) in V14, the activations' sums of 16 being V0 and V1.
// Uses V16-V19.
#define Q4K_MINS \
	ADDP_8H(0, 0, 1)     \
	SMULL_4S(16, 20, 0)  \
	SMULL_4S(17, 21, 0)  \
	SMULL_4S(18, 22, 0)  \
	SMULL_4S(19, 23, 0)  \
	SMLAL2_4S(16, 20, 0) \
	SMLAL2_4S(17, 21, 0) \
	SMLAL2_4S(18, 22, 0) \
	SMLAL2_4S(19, 23, 0) \
	SUM4                 \
	SCVTF_4S(16, 16)     \
	FMUL_4S(14, 16, 14)

// Q6K_VALUES leaves the values of half h (0 or 1) of the Q6_K block at x, 128 in planes k of 32, in a, b (k = 0), c, d
// (k = 1), e, f (k = 2) and V24, V25 (k = 3). With the upper bit of every pair flipped (V8, 0xaa in every byte), pair
// and nibble at the top of a byte are 4*(value-32), and an arithmetic shift gives the value. Uses V20-V29.
#define Q6K_VALUES(x, h, a, b, c, d, e, f) \
	LDPQ(20, 21, x, 64*h)     \
	LDPQ(22, 23, x, 64*h+32)  \
	LDPQ(24, 25, x, 32*h+128) \
	EOR_16B(24, 24, 8)        \
	EOR_16B(25, 25, 8)        \
	SHL_16B(26, 20, 4)        \
	SHL_16B(27, 21, 4)        \
	SHL_16B(28, 22, 4)        \
	SHL_16B(29, 23, 4)        \
	SHL_16B(a, 24, 6)         \
	SHL_16B(b, 25, 6)         \
	SHL_16B(c, 24, 4)         \
	SHL_16B(d, 25, 4)         \
	SHL_16B(e, 24, 2)         \
	SHL_16B(f, 25, 2)         \
	SRI_16B(a, 26, 2)         \
	SRI_16B(b, 27, 2)         \
	SRI_16B(c, 28, 2)         \
	SRI_16B(d, 29, 2)         \
	SRI_16B(e, 20, 2)         \
	SRI_16B(f, 21, 2)         \
	SRI_16B(24, 22, 2)        \
	SRI_16B(25, 23, 2)        \
	SSHR_16B(a, a, 2)         \
	SSHR_16B(b, b, 2)         \
	SSHR_16B(c, c, 2)         \
	SSHR_16B(d, d, 2)         \
	SSHR_16B(e, e, 2)         \
	SSHR_16B(f, f, 2)         \
	SSHR_16B(24, 24, 2)       \
	SSHR_16B(25, 25, 2)

// FIELDS reads the first 16 bytes of the Q4_K or Q5_K block at R1: D and -dmin go to R3 and R3+16, the minima of 16
// groups of 16 to R4, the scales of the quarters, as a panel of neon_panel256_arm64.s has them, to V16-V19. Uses
// V20-V23, R10-R15, and what FIELDS_CONSTS loads.
#define FIELDS_CONSTS \
	MOVD $0x3f3f3f3f3f3f3f3f, R6 \
	MOVD $0x0f0f0f0f, R7         \
	MOVD $0x03030303, R8

#define FIELDS \
	LDRQ(18, 1, 0)      \
	UZP2_8H(19, 18, 18) \
	FCVTL_4S(18, 18)    \
	FCVTL_4S(19, 19)    \
	FNEG_4S(19, 19)     \
	FMOVS F18, (R3)     \
	FMOVS F19, 16(R3)   \
	MOVWU 4(R1), R10    \
	MOVWU 8(R1), R11    \
	MOVWU 12(R1), R12   \
	LSR   $6, R10, R13  \
	LSR   $6, R11, R14  \
	LSR   $4, R12, R15  \
	AND   R7, R12       \
	AND   R7, R15       \
	AND   R8, R13       \
	AND   R8, R14       \
	ORR   R13<<4, R12   \
	ORR   R14<<4, R15   \
	ORR   R12<<32, R10  \
	ORR   R15<<32, R11  \
	AND   R6, R10       \
	AND   R6, R11       \
	FMOVD R10, F16      \
	FMOVD R11, F17      \
	UXTL_8H(16, 16)     \
	UXTL_8H(17, 17)     \
	ZIP1_8H(22, 17, 17) \
	ZIP2_8H(23, 17, 17) \
	STPQ(22, 23, 4, 0)  \
	ZIP1_8H(20, 16, 16) \
	ZIP2_8H(21, 16, 16) \
	ZIP1_4S(16, 20, 20) \
	ZIP2_4S(17, 20, 20) \
	ZIP1_4S(18, 21, 21) \
	ZIP2_4S(19, 21, 21)

// PRODUCTS16 forms the products of V0-V7 with 128 values in eight groups of 16, V9-V14, V24 and V25. EXT widens the
// groups' scales, one half of the bytes of V30, MUL starts or continues the sum a of the products times the scales.
// 16-bit sums for |value| <= 32: two products per lane, 2*32*127 = 8128; two rounds of pairs: 32512. Uses V15, V20-V29.
#define PRODUCTS16(EXT, MUL, a) \
	SMULL_8H(20, 9, 0)   \
	SMULL_8H(21, 10, 1)  \
	SMULL_8H(22, 11, 2)  \
	SMULL_8H(23, 12, 3)  \
	SMULL_8H(26, 13, 4)  \
	SMULL_8H(27, 14, 5)  \
	SMULL_8H(28, 24, 6)  \
	SMULL_8H(29, 25, 7)  \
	SMLAL2_8H(20, 9, 0)  \
	SMLAL2_8H(21, 10, 1) \
	SMLAL2_8H(22, 11, 2) \
	SMLAL2_8H(23, 12, 3) \
	SMLAL2_8H(26, 13, 4) \
	SMLAL2_8H(27, 14, 5) \
	SMLAL2_8H(28, 24, 6) \
	SMLAL2_8H(29, 25, 7) \
	EXT(15, 30)          \
	ADDP_8H(20, 20, 21)  \
	ADDP_8H(22, 22, 23)  \
	ADDP_8H(26, 26, 27)  \
	ADDP_8H(28, 28, 29)  \
	ZIP1_8H(30, 15, 15)  \
	ZIP2_8H(15, 15, 15)  \
	ADDP_8H(20, 20, 22)  \
	ADDP_8H(26, 26, 28)  \
	MUL(a, 20, 30)       \
	SMLAL2_4S(a, 20, 30) \
	SMLAL_4S(a, 26, 15)  \
	SMLAL2_4S(a, 26, 15)
