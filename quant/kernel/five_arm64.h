// Decoding of the types of 5 bits, see quant/q5.go and quant/q45k.go.

// Q5_0CONSTS loads what Q5_VALUES needs: V4 and V5 spread bytes 0, 1 and 2, 3 over eight bytes each, V6 has bit i mod 8
// in byte i, V7 0xf0 and V8 15 in every byte. Uses R16, R17.
#define Q5_0CONSTS \
	MOVD ZR, R16                    \
	MOVD $0x0101010101010101, R17   \
	VMOV R16, V4.D[0]               \
	VMOV R17, V4.D[1]               \
	ADD  R17, R17, R16              \
	ADD  R16, R17, R17              \
	VMOV R16, V5.D[0]               \
	VMOV R17, V5.D[1]               \
	MOVD $0x8040201008040201, R16   \
	VDUP R16, V6.D2                 \
	MOVI_16B(7, 0xf0)               \
	MOVI_16B(8, 15)

// Q5_VALUES leaves values 0-15, each 16 lower, of the block at x in a and 16-31 in b; its fifth bits are at off. Where
// the fifth bit is 0, the upper half of the byte becomes ones, which is -16. Uses c, d and R21.
#define Q5_VALUES(x, off, a, b, c, d) \
	ADD  $off, R(x), R21 \
	LD1RS(c, 21)       \
	LDURQ(b, x, off+4) \
	TBL_16B(d, c, 5)   \
	TBL_16B(c, c, 4)   \
	AND_16B(d, d, 6)   \
	AND_16B(c, c, 6)   \
	AND_16B(a, b, 8)   \
	CMEQ0_16B(d, d)    \
	CMEQ0_16B(c, c)    \
	USHR_16B(b, b, 4)  \
	AND_16B(d, d, 7)   \
	AND_16B(c, c, 7)   \
	ORR_16B(b, b, d)   \
	ORR_16B(a, a, c)

#define Q5_0VALUES(x, a, b, c, d) Q5_VALUES(x, 2, a, b, c, d)

// Q5_VALUESX2 does so for the blocks at x and y, whose values go to V16, V17 and V18, V19. Uses V20-V23, R21, R22.
#define Q5_VALUESX2(x, y, off) \
	ADD  $off, R(x), R21  \
	ADD  $off, R(y), R22  \
	LD1RS(20, 21)         \
	LD1RS(22, 22)         \
	LDURQ(17, x, off+4)   \
	LDURQ(19, y, off+4)   \
	TBL_16B(21, 20, 5)    \
	TBL_16B(23, 22, 5)    \
	TBL_16B(20, 20, 4)    \
	TBL_16B(22, 22, 4)    \
	AND_16B(16, 17, 8)    \
	AND_16B(18, 19, 8)    \
	AND_16B(21, 21, 6)    \
	AND_16B(23, 23, 6)    \
	AND_16B(20, 20, 6)    \
	AND_16B(22, 22, 6)    \
	USHR_16B(17, 17, 4)   \
	USHR_16B(19, 19, 4)   \
	CMEQ0_16B(21, 21)     \
	CMEQ0_16B(23, 23)     \
	CMEQ0_16B(20, 20)     \
	CMEQ0_16B(22, 22)     \
	AND_16B(21, 21, 7)    \
	AND_16B(23, 23, 7)    \
	AND_16B(20, 20, 7)    \
	AND_16B(22, 22, 7)    \
	ORR_16B(17, 17, 21)   \
	ORR_16B(19, 19, 23)   \
	ORR_16B(16, 16, 20)   \
	ORR_16B(18, 18, 22)

// PRODUCTSX2 multiplies the values of two rows, V16, V17 and V18, V19, with V0 and V1, in 16 bits: four products per
// lane.
#define PRODUCTSX2(a, b) \
	SMULL_8H(a, 16, 0)  \
	SMULL_8H(b, 18, 0)  \
	SMLAL2_8H(a, 16, 0) \
	SMLAL2_8H(b, 18, 0) \
	SMLAL_8H(a, 17, 1)  \
	SMLAL_8H(b, 19, 1)  \
	SMLAL2_8H(a, 17, 1) \
	SMLAL2_8H(b, 19, 1)

// Q5_KVALUES leaves group 2p of the block at x in V24, V25 and group 2p+1 in V20, V21. OPA by ka and OPB by kb bring the
// groups' fifth bits to bit 4. V8 is 15, V9 16 in every byte. Uses V22, V23, V26, V29.
#define Q5_KVALUES(x, p, OPA, ka, OPB, kb) \
	LDPQ(20, 21, x, 32*p+48) \
	LDPQ(22, 23, x, 16)      \
	AND_16B(24, 20, 8)       \
	AND_16B(25, 21, 8)       \
	USHR_16B(20, 20, 4)      \
	USHR_16B(21, 21, 4)      \
	OPA(26, 22, ka)          \
	OPA(29, 23, ka)          \
	OPB(22, 22, kb)          \
	OPB(23, 23, kb)          \
	AND_16B(26, 26, 9)       \
	AND_16B(29, 29, 9)       \
	AND_16B(22, 22, 9)       \
	AND_16B(23, 23, 9)       \
	ORR_16B(24, 24, 26)      \
	ORR_16B(25, 25, 29)      \
	ORR_16B(20, 20, 22)      \
	ORR_16B(21, 21, 23)
