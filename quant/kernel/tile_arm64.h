// What the kernels for arm64 share beside the instructions.

// FOUR points b, c and d at the second to fourth of count (1-4) things that lie step bytes apart from a, or at the last
// one. Uses R16.
#define FOUR(count, step, a, b, c, d) \
	CMP  $2, count         \
	CSEL GE, step, ZR, R16 \
	ADD  R16, a, b         \
	CMP  $3, count         \
	CSEL GE, step, ZR, R16 \
	ADD  R16, b, c         \
	CMP  $4, count         \
	CSEL GE, step, ZR, R16 \
	ADD  R16, c, d

// In the row products a tile is 1 to 4 rows of weights, and lane i of every vector that follows is row i. ROWS4 points
// R10-R13 at the rows of a tile: R10 is the first, R14 the number of rows (1-4), R15 the bytes from row to row. Rows
// that the tile does not have repeat the last one. Uses R16.
#define ROWS4 FOUR(R14, R15, R10, R11, R12, R13)

// STORE writes the first R14 lanes (1-4) of vector v, whose scalar name is f, to x and falls through. Uses R16.
#define STORE(v, f, x, few, done) \
	CMP   $4, R14     \
	BNE   few         \
	VST1  [v.S4], (x) \
	JMP   done        \
few: \
	FMOVS f, (x)      \
	CMP   $2, R14     \
	BLT   done        \
	VMOV  v.S[1], R16 \
	MOVW  R16, 4(x)   \
	BEQ   done        \
	VMOV  v.S[2], R16 \
	MOVW  R16, 8(x)   \
done:

// ACC_LOAD and ACC_STORE move 16 sums of 4 bytes; the store advances x.
#define ACC_LOAD(x, a, b, c, d) \
	LDPQ(a, b, x, 0) \
	LDPQ(c, d, x, 32)

#define ACC_STORE(x, a, b, c, d) \
	STPQ_P(a, b, x, 32) \
	STPQ_P(c, d, x, 32)

// ARGSROWS loads the arguments of a rowsFunc: R0 dst, R14 rows, R10-R13 the rows, R15 stride, R8 blocks, R5 q, R6 d,
// R7 s, R9 pf; V31 is 0.
#define ARGSROWS \
	MOVD dst+0(FP), R0     \
	MOVD rows+8(FP), R14   \
	MOVD w+16(FP), R10     \
	MOVD stride+24(FP), R15 \
	MOVD blocks+32(FP), R8 \
	MOVD q+40(FP), R5      \
	MOVD d+48(FP), R6      \
	MOVD s+56(FP), R7      \
	MOVD pf+64(FP), R9     \
	ROWS4                  \
	MOVI_16B(31, 0)

// SCALES loads the fp16 at the start of the four blocks; SCALES_JOIN leaves them in V2. Going through the integer unit
// leaves the vector unit to the products. Use R16, R17, R19, R20.
#define SCALES \
	MOVHU (R10), R16 \
	MOVHU (R11), R17 \
	MOVHU (R12), R19 \
	MOVHU (R13), R20

// NEXT advances the four rows by n bytes.
#define NEXT(n) \
	ADD  $n, R10 \
	ADD  $n, R11 \
	ADD  $n, R12 \
	ADD  $n, R13

#define SCALES_JOIN \
	ORR   R17<<16, R16 \
	ORR   R20<<16, R19 \
	ORR   R19<<32, R16 \
	FMOVD R16, F2
