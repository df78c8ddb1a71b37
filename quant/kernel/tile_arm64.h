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

// In the row products a tile is 1 to 4 rows of weights, and lane i of every vector that follows is row i. ROWS4 points R10-R13 at the rows of a tile: R10 is the first, R14 the number of rows (1-4), R15 the bytes from row to
// row. Rows that the tile does not have repeat the last one. Uses R16.
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
