#include "textflag.h"
#include "neon_arm64.h"
#include "tile_arm64.h"
#include "panel_arm64.h"

// Products of a panel of decoded rows with 1 to 4 activation columns: docs/NUMERICS.md §3, lane = row. NEON and
// FEAT_DotProd. Nothing is read past the last block of the panel, nor past q, d and s.
//
// The panels and registers are those of panel_arm64.h, the rows woven by 4 values: 16 bytes are 4 values of row 0, the
// same 4 of row 1, of row 2 and of row 3.

// DOT4 adds four values of four rows (w) times those of each of the columns (words i of a-d) to V24-V27.
#define DOT4(w, a, b, c, d, i) \
	SDOT_4SE(24, w, a, i) \
	SDOT_4SE(25, w, b, i) \
	SDOT_4SE(26, w, c, i) \
	SDOT_4SE(27, w, d, i)

// func dotMul32(dst *float32, stride, rows, cols int, panel *byte, blocks int, q *int8, k int, d *float32, s *int32, mins int)
//
// for b, c: acc[c][r] += float32(sum_i w[b][r][i]*q[c][b][i]) * (D[b][r]*d[c][b]), k values per column;
// if mins is not 0: acc[c][r] += float32(s[c][b]) * (DMin[b][r]*d[c][b])
//
//	V0-V7 activations, two per column   V16-V23 weights   V8 D   V9-V12 d   V24-V27 sums   V28-V31 acc
TEXT ·dotMul32(SB), NOSPLIT, $0-88
	ARGSPANEL4(28, 29, 30, 31)
	ARGSPANEL32
	CBZ  R8, d32done

d32loop:
	LDPQ(16, 17, 3, 0)
	LDPQ(0, 1, 20, 0)
	LDPQ(2, 3, 21, 0)
	LDPQ(4, 5, 22, 0)
	LDPQ(6, 7, 23, 0)
	LDPQ(18, 19, 3, 32)
	LDPQ(20, 21, 3, 64)
	LDPQ(22, 23, 3, 96)
	LDRQ(8, 3, 128)
	MOVI_16B(24, 0)
	MOVI_16B(25, 0)
	MOVI_16B(26, 0)
	MOVI_16B(27, 0)
	LD1RS(9, 10)
	LD1RS(10, 11)
	LD1RS(11, 12)
	LD1RS(12, 13)
	ADD  $144, R3
	NEXTACTS(32)
	DOT4(16, 0, 2, 4, 6, 0)
	DOT4(17, 0, 2, 4, 6, 1)
	DOT4(18, 0, 2, 4, 6, 2)
	DOT4(19, 0, 2, 4, 6, 3)
	FMUL_4S(9, 8, 9)
	FMUL_4S(10, 8, 10)
	FMUL_4S(11, 8, 11)
	FMUL_4S(12, 8, 12)
	DOT4(20, 1, 3, 5, 7, 0)
	DOT4(21, 1, 3, 5, 7, 1)
	DOT4(22, 1, 3, 5, 7, 2)
	DOT4(23, 1, 3, 5, 7, 3)
	SCVTF_4S(24, 24)
	SCVTF_4S(25, 25)
	SCVTF_4S(26, 26)
	SCVTF_4S(27, 27)
	FMUL_4S(24, 24, 9)
	FMUL_4S(25, 25, 10)
	FMUL_4S(26, 26, 11)
	FMUL_4S(27, 27, 12)
	FADD_4S(28, 28, 24)
	FADD_4S(29, 29, 25)
	FADD_4S(30, 30, 26)
	FADD_4S(31, 31, 27)
	CBZ  R25, d32next
	MINS

d32next:
	NEXT(4)
	SUB  $1, R8
	CBNZ R8, d32loop

d32done:
	STORE(V28, F28, R0, d32few0, d32end0)
	STORE(V29, F29, R1, d32few1, d32end1)
	STORE(V30, F30, R2, d32few2, d32end2)
	STORE(V31, F31, R9, d32few3, d32end3)
	RET

// GROUP_END multiplies the sums V24-V27 of a group by its scales and adds them to V28-V31.
#define GROUP_END(off) \
	LDRQ(20, 3, off)   \
	ADD  $(off+16), R3 \
	MLA_4S(28, 24, 20) \
	MLA_4S(29, 25, 20) \
	MLA_4S(30, 26, 20) \
	MLA_4S(31, 27, 20)

#define GROUP16 \
	LDPQ(16, 17, 3, 0)     \
	LDRQ(0, 20, 0)         \
	LDRQ(1, 21, 0)         \
	LDRQ(2, 22, 0)         \
	LDRQ(3, 23, 0)         \
	LDPQ(18, 19, 3, 32)    \
	NEXTACTS(16)           \
	MOVI_16B(24, 0)        \
	MOVI_16B(25, 0)        \
	MOVI_16B(26, 0)        \
	MOVI_16B(27, 0)        \
	DOT4(16, 0, 1, 2, 3, 0) \
	DOT4(17, 0, 1, 2, 3, 1) \
	DOT4(18, 0, 1, 2, 3, 2) \
	DOT4(19, 0, 1, 2, 3, 3) \
	GROUP_END(64)

#define GROUP32 \
	LDPQ(16, 17, 3, 0)     \
	LDPQ(0, 1, 20, 0)      \
	LDPQ(2, 3, 21, 0)      \
	LDPQ(4, 5, 22, 0)      \
	LDPQ(6, 7, 23, 0)      \
	LDPQ(18, 19, 3, 32)    \
	NEXTACTS(32)           \
	MOVI_16B(24, 0)        \
	MOVI_16B(25, 0)        \
	MOVI_16B(26, 0)        \
	MOVI_16B(27, 0)        \
	DOT4(16, 0, 2, 4, 6, 0) \
	DOT4(17, 0, 2, 4, 6, 1) \
	LDPQ(20, 21, 3, 64)    \
	LDPQ(22, 23, 3, 96)    \
	DOT4(18, 0, 2, 4, 6, 2) \
	DOT4(19, 0, 2, 4, 6, 3) \
	DOT4(20, 1, 3, 5, 7, 0) \
	DOT4(21, 1, 3, 5, 7, 1) \
	DOT4(22, 1, 3, 5, 7, 2) \
	DOT4(23, 1, 3, 5, 7, 3) \
	GROUP_END(128)

// func dotMul256(dst *float32, stride, rows, cols int, panel *byte, blocks int, q *int8, k int, d *float32, s *int16, mins int)
//
// for b, c: acc[c][r] += float32(sum_g Scale[g]*sum_i w[i]*q[i]) * (D*d);
// if mins is not 0: acc[c][r] += float32(sum_g Min[g]*s[g]) * (DMin*d). Groups of 16.
//
//	V0-V3 activations   V16-V19 weights   V24-V27 sums of a group   V28-V31 sums of a block   V12-V15 acc
//	R24 groups left   R25 mins
TEXT ·dotMul256(SB), NOSPLIT, $0-88
	ARGSPANEL4(12, 13, 14, 15)
	ARGSPANEL256
	CBZ  R8, d256done

d256loop:
	MOVI_16B(28, 0)
	MOVI_16B(29, 0)
	MOVI_16B(30, 0)
	MOVI_16B(31, 0)
	MOVD $16, R24

d256group:
	GROUP16
	SUB  $1, R24
	CBNZ R24, d256group

	LDRQ(16, 3, 128)
	FINISH4(28, 29, 30, 31)
	CBZ  R25, d256next
	MINS16

d256next:
	ADD  $160, R3
	NEXT(4)
	SUB  $1, R8
	CBNZ R8, d256loop

d256done:
	STORE(V12, F12, R0, d256few0, d256end0)
	STORE(V13, F13, R1, d256few1, d256end1)
	STORE(V14, F14, R2, d256few2, d256end2)
	STORE(V15, F15, R9, d256few3, d256end3)
	RET

// func dotMul256x(dst *float32, stride, rows, cols int, panel *byte, blocks int, q *int8, k int, d *float32, s *int16, mins int)
//
// dotMul256 with groups of 32.
//
//	V0-V7 activations   V16-V23 weights; else as dotMul256
TEXT ·dotMul256x(SB), NOSPLIT, $0-88
	ARGSPANEL4(12, 13, 14, 15)
	ARGSPANEL256
	CBZ  R8, d256xdone

d256xloop:
	MOVI_16B(28, 0)
	MOVI_16B(29, 0)
	MOVI_16B(30, 0)
	MOVI_16B(31, 0)
	MOVD $8, R24

d256xgroup:
	GROUP32
	SUB  $1, R24
	CBNZ R24, d256xgroup

	LDRQ(16, 3, 64)
	FINISH4(28, 29, 30, 31)
	CBZ  R25, d256xnext
	MINS32

d256xnext:
	ADD  $96, R3
	NEXT(4)
	SUB  $1, R8
	CBNZ R8, d256xloop

d256xdone:
	STORE(V12, F12, R0, d256xfew0, d256xend0)
	STORE(V13, F13, R1, d256xfew1, d256xend1)
	STORE(V14, F14, R2, d256xfew2, d256xend2)
	STORE(V15, F15, R9, d256xfew3, d256xend3)
	RET
