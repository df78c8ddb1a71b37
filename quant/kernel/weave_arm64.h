// Decoding of 1 to 4 rows to a woven panel, see panel_arm64.h, as functions
//
//	func(panel *byte, rows int, w *byte, stride, blocks int)
//
// whose names UNPACK_Q8_0 and so on the file that includes this one defines, and before them the order of the weave:
// WEAVE(a, b, c, d) writes 16 values of four rows to the panel and advances it, WEAVEAT(a, b, c, d, off) writes at a byte
// offset. Both may use V24-V27. Plain NEON. Rows that a panel does not have repeat the last one. Nothing is read past the
// last block of a row.
//
//	R0 panel   R10-R13 the rows   R14 rows, 1-4   R15 bytes from row to row   R8 blocks left

#define ARGSWEAVE \
	MOVD panel+0(FP), R0    \
	MOVD rows+8(FP), R14    \
	MOVD w+16(FP), R10      \
	MOVD stride+24(FP), R15 \
	MOVD blocks+32(FP), R8  \
	ROWS4

// TRANSPOSE exchanges words and registers: lane r of register i becomes lane i of register r. Uses V24-V27.
#define TRANSPOSE(a, b, c, d) \
	TRN1_4S(24, a, b)  \
	TRN2_4S(25, a, b)  \
	TRN1_4S(26, c, d)  \
	TRN2_4S(27, c, d)  \
	ZIP1_2D(a, 24, 26) \
	ZIP1_2D(b, 25, 27) \
	ZIP2_2D(c, 24, 26) \
	ZIP2_2D(d, 25, 27)

// SCALES4 loads the fp16 at the four rows into V28 as float32, and advances the rows; MINS4 does so into V29.
#define MINS4 \
	LD1H_P(29, 0, 10) \
	LD1H_P(29, 1, 11) \
	LD1H_P(29, 2, 12) \
	LD1H_P(29, 3, 13) \
	FCVTL_4S(29, 29)

#define SCALES4 \
	LD1H_P(28, 0, 10) \
	LD1H_P(28, 1, 11) \
	LD1H_P(28, 2, 12) \
	LD1H_P(28, 3, 13) \
	FCVTL_4S(28, 28)

// UNPACK_Q8_0
TEXT UNPACK_Q8_0, NOSPLIT, $0-40
	ARGSWEAVE
	CBZ  R8, wq8end

wq8loop:
	SCALES4
	LDPQ_P(0, 1, 10, 32)
	LDPQ_P(2, 3, 11, 32)
	LDPQ_P(4, 5, 12, 32)
	LDPQ_P(6, 7, 13, 32)
	WEAVE(0, 2, 4, 6)
	WEAVE(1, 3, 5, 7)
	STRQ_P(28, 0, 16)
	SUB  $1, R8
	CBNZ R8, wq8loop

wq8end:
	RET

// UNPACK_Q4_0
//
//	V16 15, V17 8 in every byte
TEXT UNPACK_Q4_0, NOSPLIT, $0-40
	ARGSWEAVE
	MOVI_16B(16, 15)
	MOVI_16B(17, 8)
	CBZ  R8, wq4end

wq4loop:
	SCALES4
	LDRQ_P(0, 10, 16)
	LDRQ_P(1, 11, 16)
	LDRQ_P(2, 12, 16)
	LDRQ_P(3, 13, 16)
	AND_16B(4, 0, 16)
	AND_16B(5, 1, 16)
	AND_16B(6, 2, 16)
	AND_16B(7, 3, 16)
	USHR_16B(0, 0, 4)
	USHR_16B(1, 1, 4)
	USHR_16B(2, 2, 4)
	USHR_16B(3, 3, 4)
	SUB_16B(4, 4, 17)
	SUB_16B(5, 5, 17)
	SUB_16B(6, 6, 17)
	SUB_16B(7, 7, 17)
	SUB_16B(0, 0, 17)
	SUB_16B(1, 1, 17)
	SUB_16B(2, 2, 17)
	SUB_16B(3, 3, 17)
	WEAVE(4, 5, 6, 7)
	WEAVE(0, 1, 2, 3)
	STRQ_P(28, 0, 16)
	SUB  $1, R8
	CBNZ R8, wq4loop

wq4end:
	RET

// UNPACK_Q4_1
//
//	V16 15 in every byte
TEXT UNPACK_Q4_1, NOSPLIT, $0-40
	ARGSWEAVE
	MOVI_16B(16, 15)
	CBZ  R8, wq41end

wq41loop:
	SCALES4
	MINS4
	LDRQ_P(0, 10, 16)
	LDRQ_P(1, 11, 16)
	LDRQ_P(2, 12, 16)
	LDRQ_P(3, 13, 16)
	AND_16B(4, 0, 16)
	AND_16B(5, 1, 16)
	AND_16B(6, 2, 16)
	AND_16B(7, 3, 16)
	USHR_16B(0, 0, 4)
	USHR_16B(1, 1, 4)
	USHR_16B(2, 2, 4)
	USHR_16B(3, 3, 4)
	WEAVE(4, 5, 6, 7)
	WEAVE(0, 1, 2, 3)
	STPQ_P(28, 29, 0, 32)
	SUB  $1, R8
	CBNZ R8, wq41loop

wq41end:
	RET

// UNPACK_IQ4_NL
//
//	V16 15 in every byte   V17 the table
TEXT UNPACK_IQ4_NL, NOSPLIT, $0-40
	ARGSWEAVE
	MOVI_16B(16, 15)
	MOVD $·neonIQ4Values(SB), R16
	LDRQ(17, 16, 0)
	CBZ  R8, wnlend

wnlloop:
	SCALES4
	LDRQ_P(0, 10, 16)
	LDRQ_P(1, 11, 16)
	LDRQ_P(2, 12, 16)
	LDRQ_P(3, 13, 16)
	AND_16B(4, 0, 16)
	AND_16B(5, 1, 16)
	AND_16B(6, 2, 16)
	AND_16B(7, 3, 16)
	USHR_16B(0, 0, 4)
	USHR_16B(1, 1, 4)
	USHR_16B(2, 2, 4)
	USHR_16B(3, 3, 4)
	TBL_16B(4, 17, 4)
	TBL_16B(5, 17, 5)
	TBL_16B(6, 17, 6)
	TBL_16B(7, 17, 7)
	TBL_16B(0, 17, 0)
	TBL_16B(1, 17, 1)
	TBL_16B(2, 17, 2)
	TBL_16B(3, 17, 3)
	WEAVE(4, 5, 6, 7)
	WEAVE(0, 1, 2, 3)
	STRQ_P(28, 0, 16)
	SUB  $1, R8
	CBNZ R8, wnlloop

wnlend:
	RET

// BYTE widens byte i of the words v to d without sign, SBYTE with.
#define BYTE(d, v, i) \
	SHL_4S(d, v, 24-8*i) \
	USHR_4S(d, d, 24)

#define SBYTE(d, v, i) \
	SHL_4S(d, v, 24-8*i) \
	SSHR_4S(d, d, 24)

// HEAD4K reads the first 16 bytes of a Q4_K or Q5_K block of four rows. Leaves the scales of groups 0-3 and 4-7 in V20
// and V21, the minima in V22 and V23, four bytes per row, D in V28 and -dmin in V29. V16 is 15 in every byte. Uses V0-V4.
#define HEAD4K \
	LDRQ(0, 10, 0)        \
	LDRQ(1, 11, 0)        \
	LDRQ(2, 12, 0)        \
	LDRQ(3, 13, 0)        \
	TRANSPOSE(0, 1, 2, 3) \
	UZP1_8H(28, 0, 0)     \
	UZP2_8H(29, 0, 0)     \
	FCVTL_4S(28, 28)      \
	FCVTL_4S(29, 29)      \
	FNEG_4S(29, 29)       \
	MOVI_16B(4, 63)       \
	AND_16B(20, 1, 4)     \
	AND_16B(22, 2, 4)     \
	AND_16B(21, 3, 16)    \
	USHR_16B(23, 3, 4)    \
	USHR_16B(1, 1, 6)     \
	USHR_16B(2, 2, 6)     \
	SHL_16B(1, 1, 4)      \
	SHL_16B(2, 2, 4)      \
	ORR_16B(21, 21, 1)    \
	ORR_16B(23, 23, 2)

// SPAN4K writes groups 2p and 2p+1 of four rows, whose scales are bytes i and j of the words v.
#define SPAN4K(p, v, i, j) \
	LDPQ(0, 1, 10, 32*p+16) \
	LDPQ(2, 3, 11, 32*p+16) \
	LDPQ(4, 5, 12, 32*p+16) \
	LDPQ(6, 7, 13, 32*p+16) \
	AND_16B(8, 0, 16)       \
	AND_16B(9, 1, 16)       \
	AND_16B(10, 2, 16)      \
	AND_16B(11, 3, 16)      \
	AND_16B(12, 4, 16)      \
	AND_16B(13, 5, 16)      \
	AND_16B(14, 6, 16)      \
	AND_16B(15, 7, 16)      \
	WEAVE(8, 10, 12, 14)    \
	WEAVE(9, 11, 13, 15)    \
	BYTE(24, v, i)          \
	STRQ_P(24, 0, 16)       \
	USHR_16B(0, 0, 4)       \
	USHR_16B(1, 1, 4)       \
	USHR_16B(2, 2, 4)       \
	USHR_16B(3, 3, 4)       \
	USHR_16B(4, 4, 4)       \
	USHR_16B(5, 5, 4)       \
	USHR_16B(6, 6, 4)       \
	USHR_16B(7, 7, 4)       \
	WEAVE(0, 2, 4, 6)       \
	WEAVE(1, 3, 5, 7)       \
	BYTE(24, v, j)          \
	STRQ_P(24, 0, 16)

// MINS4K writes the minima of groups whose bytes are i and j of the words v.
#define MINS4K(v, i, j) \
	BYTE(24, v, i)    \
	BYTE(25, v, j)    \
	SQXTN_4H(24, 24)  \
	SQXTN2_8H(24, 25) \
	STRQ_P(24, 0, 16)

// UNPACK_Q4_K
//
// Groups of 32.
//	V16 15 in every byte
TEXT UNPACK_Q4_K, NOSPLIT, $0-40
	ARGSWEAVE
	MOVI_16B(16, 15)
	CBZ  R8, wq4kend

wq4kloop:
	HEAD4K
	SPAN4K(0, 20, 0, 1)
	SPAN4K(1, 20, 2, 3)
	SPAN4K(2, 21, 0, 1)
	SPAN4K(3, 21, 2, 3)
	MINS4K(22, 0, 1)
	MINS4K(22, 2, 3)
	MINS4K(23, 0, 1)
	MINS4K(23, 2, 3)
	STPQ_P(28, 29, 0, 32)
	NEXT(144)
	SUB  $1, R8
	CBNZ R8, wq4kloop

wq4kend:
	RET

// ROW6K leaves 16 values of each of the four planes of row x in a-d; off is the place of their nibbles, pair that of
// their pairs. As Q6K_VALUES; V31 is 0xaa in every byte. Uses V16-V19.
#define ROW6K(x, off, pair, a, b, c, d) \
	LDRQ(16, x, off)    \
	LDRQ(17, x, off+32) \
	LDRQ(d, x, pair)    \
	EOR_16B(d, d, 31)   \
	SHL_16B(18, 16, 4)  \
	SHL_16B(19, 17, 4)  \
	SHL_16B(a, d, 6)    \
	SHL_16B(b, d, 4)    \
	SHL_16B(c, d, 2)    \
	SRI_16B(a, 18, 2)   \
	SRI_16B(b, 19, 2)   \
	SRI_16B(c, 16, 2)   \
	SRI_16B(d, 17, 2)   \
	SSHR_16B(a, a, 2)   \
	SSHR_16B(b, b, 2)   \
	SSHR_16B(c, c, 2)   \
	SSHR_16B(d, d, 2)

// COLUMN6K writes the groups g, g+2, g+4 and g+6 of the half of the panel at R0.
#define COLUMN6K(off, pair, g) \
	ROW6K(10, off, pair, 0, 4, 8, 12)  \
	ROW6K(11, off, pair, 1, 5, 9, 13)  \
	ROW6K(12, off, pair, 2, 6, 10, 14) \
	ROW6K(13, off, pair, 3, 7, 11, 15) \
	WEAVEAT(0, 1, 2, 3, 80*g)          \
	WEAVEAT(4, 5, 6, 7, 80*g+160)      \
	WEAVEAT(8, 9, 10, 11, 80*g+320)    \
	WEAVEAT(12, 13, 14, 15, 80*g+480)

// SCALES6K writes the scales of groups g to g+3, the bytes of the words v.
#define SCALES6K(v, g) \
	SBYTE(24, v, 0)        \
	SBYTE(25, v, 1)        \
	SBYTE(26, v, 2)        \
	SBYTE(27, v, 3)        \
	STRQ(24, 0, 80*g+64)   \
	STRQ(25, 0, 80*g+144)  \
	STRQ(26, 0, 80*g+224)  \
	STRQ(27, 0, 80*g+304)

// UNPACK_Q6_K
//
// Groups of 16; the minima, which this type has not, are not written.
TEXT UNPACK_Q6_K, NOSPLIT, $0-40
	ARGSWEAVE
	MOVI_16B(31, 0xaa)
	CBZ  R8, wq6kend

wq6kloop:
	COLUMN6K(0, 128, 0)
	COLUMN6K(16, 144, 1)
	LDRQ(20, 10, 192)
	LDRQ(21, 11, 192)
	LDRQ(22, 12, 192)
	LDRQ(23, 13, 192)
	TRANSPOSE(20, 21, 22, 23)
	SCALES6K(20, 0)
	SCALES6K(21, 4)
	ADD  $640, R0
	COLUMN6K(64, 160, 0)
	COLUMN6K(80, 176, 1)
	SCALES6K(22, 0)
	SCALES6K(23, 4)
	NEXT(208)
	SCALES4
	STRQ(28, 0, 768)
	ADD  $800, R0
	SUB  $1, R8
	CBNZ R8, wq6kloop

wq6kend:
	RET

// UNPACK_Q5_0
//
//	V4-V8 constants of Q5_VALUES
TEXT UNPACK_Q5_0, NOSPLIT, $0-40
	ARGSWEAVE
	Q5_0CONSTS
	CBZ  R8, wq50end

wq50loop:
	Q5_0VALUES(10, 9, 10, 18, 19)
	Q5_0VALUES(11, 11, 12, 18, 19)
	Q5_0VALUES(12, 13, 14, 18, 19)
	Q5_0VALUES(13, 15, 16, 18, 19)
	SCALES4
	NEXT(20)
	WEAVE(9, 11, 13, 15)
	WEAVE(10, 12, 14, 16)
	STRQ_P(28, 0, 16)
	SUB  $1, R8
	CBNZ R8, wq50loop

wq50end:
	RET

// ROW5K leaves 16 values of groups 2p and 2p+1 of row x in a and b; off is the place of their nibbles, bits that of
// their fifth bits. As Q5_KVALUES. Uses V8, V9.
#define ROW5K(x, off, bits, OPA, ka, OPB, kb, a, b) \
	LDRQ(b, x, off)     \
	LDRQ(8, x, bits)    \
	AND_16B(a, b, 16)   \
	USHR_16B(b, b, 4)   \
	OPA(9, 8, ka)       \
	OPB(8, 8, kb)       \
	AND_16B(9, 9, 17)   \
	AND_16B(8, 8, 17)   \
	ORR_16B(a, a, 9)    \
	ORR_16B(b, b, 8)

#define COLUMN5K(p, j, OPA, ka, OPB, kb) \
	ROW5K(10, 32*p+16*j+48, 16*j+16, OPA, ka, OPB, kb, 0, 4) \
	ROW5K(11, 32*p+16*j+48, 16*j+16, OPA, ka, OPB, kb, 1, 5) \
	ROW5K(12, 32*p+16*j+48, 16*j+16, OPA, ka, OPB, kb, 2, 6) \
	ROW5K(13, 32*p+16*j+48, 16*j+16, OPA, ka, OPB, kb, 3, 7) \
	WEAVEAT(0, 1, 2, 3, 64*j)     \
	WEAVEAT(4, 5, 6, 7, 64*j+144)

// WSPAN5K writes groups 2p and 2p+1 of four rows, whose scales are bytes i and j of the words v.
#define WSPAN5K(p, OPA, ka, OPB, kb, v, i, j) \
	COLUMN5K(p, 0, OPA, ka, OPB, kb) \
	COLUMN5K(p, 1, OPA, ka, OPB, kb) \
	BYTE(24, v, i)                   \
	BYTE(25, v, j)                   \
	STRQ(24, 0, 128)                 \
	STRQ(25, 0, 272)                 \
	ADD $288, R0

// UNPACK_Q5_K
//
//	Groups of 32. V16 15, V17 16 in every byte
TEXT UNPACK_Q5_K, NOSPLIT, $0-40
	ARGSWEAVE
	MOVI_16B(16, 15)
	MOVI_16B(17, 16)
	CBZ  R8, wq5kend

wq5kloop:
	HEAD4K
	WSPAN5K(0, SHL_16B, 4, SHL_16B, 3, 20, 0, 1)
	WSPAN5K(1, SHL_16B, 2, SHL_16B, 1, 20, 2, 3)
	WSPAN5K(2, SHL_16B, 0, USHR_16B, 1, 21, 0, 1)
	WSPAN5K(3, USHR_16B, 2, USHR_16B, 3, 21, 2, 3)
	MINS4K(22, 0, 1)
	MINS4K(22, 2, 3)
	MINS4K(23, 0, 1)
	MINS4K(23, 2, 3)
	STPQ_P(28, 29, 0, 32)
	NEXT(176)
	SUB  $1, R8
	CBNZ R8, wq5kloop

wq5kend:
	RET

// UNPACK_Q5_1
//
//	V4-V8 constants of Q5_VALUES   V17 16 in every byte
TEXT UNPACK_Q5_1, NOSPLIT, $0-40
	ARGSWEAVE
	Q5_0CONSTS
	MOVI_16B(17, 16)
	CBZ  R8, wq51end

wq51loop:
	Q5_VALUES(10, 4, 9, 10, 18, 19)
	Q5_VALUES(11, 4, 11, 12, 18, 19)
	Q5_VALUES(12, 4, 13, 14, 18, 19)
	Q5_VALUES(13, 4, 15, 16, 18, 19)
	ADD_16B(9, 9, 17)
	ADD_16B(10, 10, 17)
	ADD_16B(11, 11, 17)
	ADD_16B(12, 12, 17)
	ADD_16B(13, 13, 17)
	ADD_16B(14, 14, 17)
	ADD_16B(15, 15, 17)
	ADD_16B(16, 16, 17)
	SCALES4
	MINS4
	NEXT(20)
	WEAVE(9, 11, 13, 15)
	WEAVE(10, 12, 14, 16)
	STPQ_P(28, 29, 0, 32)
	SUB  $1, R8
	CBNZ R8, wq51loop

wq51end:
	RET
