// What the products of a woven panel with 1 to 4 activation columns share: docs/NUMERICS.md §3, lane = row. Columns that
// a call does not have repeat the last one, and so write the same values to the same place again.
//
// A panel holds 4 rows, woven by a number of values that the instructions ask for:
//
//	32 values per block       144 bytes: 8 vectors of values, 4 float32 D; with minima 160: then 4 float32 DMin
//	256, groups of 16        1440 bytes: per group 4 vectors of values and 4 int32 scales; per group 4 int16 minima;
//	                         4 float32 D; 4 float32 DMin
//	256, groups of 32        1248 bytes, likewise, 8 vectors per group
//
//	R0,R1,R2,R9 dst per column   R3 panel   R20-R23 activations   R10-R13 their scales   R4-R7 their sums
//	R8 blocks left   R14 rows, 1-4   R15 columns, 1-4   R25 not 0 if there are minima
//	V12-V15 acc, for blocks of 256

// ARGSPANEL4 loads the arguments and clears the sums; ARGSPANEL32 or ARGSPANEL256 must follow, which differ in the
// activations' scales and sums per column. Use R16, R17, R19, R24.
#define ARGSPANEL4(acc0, acc1, acc2, acc3) \
	MOVD dst+0(FP), R0      \
	MOVD stride+8(FP), R17  \
	MOVD rows+16(FP), R14   \
	MOVD cols+24(FP), R15   \
	MOVD panel+32(FP), R3   \
	MOVD blocks+40(FP), R8  \
	MOVD q+48(FP), R20      \
	MOVD k+56(FP), R19      \
	MOVD d+64(FP), R10      \
	LSL  $2, R17            \
	FOUR(R15, R17, R0, R1, R2, R9)     \
	FOUR(R15, R19, R20, R21, R22, R23) \
	MOVI_16B(acc0, 0)       \
	MOVI_16B(acc1, 0)       \
	MOVI_16B(acc2, 0)       \
	MOVI_16B(acc3, 0)

// NEXTACTS advances the activations of the four columns by n bytes; NEXT of tile_arm64.h does it for their scales.
#define NEXTACTS(n) \
	ADD  $n, R20 \
	ADD  $n, R21 \
	ADD  $n, R22 \
	ADD  $n, R23

#define ARGSPANEL32 \
	MOVD s+72(FP), R4                  \
	MOVD mins+80(FP), R25              \
	LSR  $3, R19, R19                  \
	FOUR(R15, R19, R4, R5, R6, R7)     \
	FOUR(R15, R19, R10, R11, R12, R13)

// MINS adds the minima of a block of 32 to V28-V31: DMin is next in the panel.
#define MINS \
	LDRQ_P(8, 3, 16)   \
	LD1RS(9, 10)       \
	LD1RS(10, 11)      \
	LD1RS(11, 12)      \
	LD1RS(12, 13)      \
	LD1RS_P(0, 4)      \
	LD1RS_P(1, 5)      \
	LD1RS_P(2, 6)      \
	LD1RS_P(3, 7)      \
	FMUL_4S(9, 8, 9)   \
	FMUL_4S(10, 8, 10) \
	FMUL_4S(11, 8, 11) \
	FMUL_4S(12, 8, 12) \
	SCVTF_4S(0, 0)     \
	SCVTF_4S(1, 1)     \
	SCVTF_4S(2, 2)     \
	SCVTF_4S(3, 3)     \
	FMUL_4S(0, 0, 9)   \
	FMUL_4S(1, 1, 10)  \
	FMUL_4S(2, 2, 11)  \
	FMUL_4S(3, 3, 12)  \
	FADD_4S(28, 28, 0) \
	FADD_4S(29, 29, 1) \
	FADD_4S(30, 30, 2) \
	FADD_4S(31, 31, 3)

#define ARGSPANEL256 \
	MOVD s+72(FP), R4                  \
	MOVD mins+80(FP), R25              \
	LSR  $3, R19, R24                  \
	FOUR(R15, R24, R4, R5, R6, R7)     \
	LSR  $6, R19, R19                  \
	FOUR(R15, R19, R10, R11, R12, R13)

// FINISH adds the sums a of one column, times D*d or DMin*d, to acc. x points at d: V16 is D or DMin.
#define FINISH(x, a, acc) \
	LD1RS(17, x)         \
	SCVTF_4S(a, a)       \
	FMUL_4S(17, 16, 17)  \
	FMUL_4S(a, a, 17)    \
	FADD_4S(acc, acc, a)

#define FINISH4(a, b, c, d) \
	FINISH(10, a, 12) \
	FINISH(11, b, 13) \
	FINISH(12, c, 14) \
	FINISH(13, d, 15)

// MIN8 starts the sum a of minima times the activations' sums of 8 groups, which are the lanes of s; V20-V23 are the
// minima. MIN8ADD continues it with V24-V27.
#define MIN8(a, s) \
	MOVI_16B(a, 0)           \
	SMLAL_4SH(a, 20, s, 0)   \
	SMLAL2_4SH(a, 20, s, 1)  \
	SMLAL_4SH(a, 21, s, 2)   \
	SMLAL2_4SH(a, 21, s, 3)  \
	SMLAL_4SH(a, 22, s, 4)   \
	SMLAL2_4SH(a, 22, s, 5)  \
	SMLAL_4SH(a, 23, s, 6)   \
	SMLAL2_4SH(a, 23, s, 7)

#define MIN8ADD(a, s) \
	SMLAL_4SH(a, 24, s, 0)   \
	SMLAL2_4SH(a, 24, s, 1)  \
	SMLAL_4SH(a, 25, s, 2)   \
	SMLAL2_4SH(a, 25, s, 3)  \
	SMLAL_4SH(a, 26, s, 4)   \
	SMLAL2_4SH(a, 26, s, 5)  \
	SMLAL_4SH(a, 27, s, 6)   \
	SMLAL2_4SH(a, 27, s, 7)

#define SUMS \
	LDPQ_P(0, 1, 4, 32) \
	LDPQ_P(2, 3, 5, 32) \
	LDPQ_P(4, 5, 6, 32) \
	LDPQ_P(6, 7, 7, 32)

// MINS16 adds the minima of 16 groups, MINS32 those of 8. R3 points behind the groups.
#define MINS16 \
	LDRQ(16, 3, 144)        \
	LDPQ(20, 21, 3, 0)      \
	LDPQ(22, 23, 3, 32)     \
	LDPQ(24, 25, 3, 64)     \
	LDPQ(26, 27, 3, 96)     \
	SUMS                    \
	MIN8(28, 0)             \
	MIN8(29, 2)             \
	MIN8(30, 4)             \
	MIN8(31, 6)             \
	MIN8ADD(28, 1)          \
	MIN8ADD(29, 3)          \
	MIN8ADD(30, 5)          \
	MIN8ADD(31, 7)          \
	FINISH4(28, 29, 30, 31)

#define MINS32 \
	LDRQ(16, 3, 80)         \
	LDPQ(20, 21, 3, 0)      \
	LDPQ(22, 23, 3, 32)     \
	SUMS                    \
	ADDP_8H(0, 0, 1)        \
	ADDP_8H(2, 2, 3)        \
	ADDP_8H(4, 4, 5)        \
	ADDP_8H(6, 6, 7)        \
	MIN8(28, 0)             \
	MIN8(29, 2)             \
	MIN8(30, 4)             \
	MIN8(31, 6)             \
	FINISH4(28, 29, 30, 31)
