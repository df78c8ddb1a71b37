#include "textflag.h"
#include "neon_arm64.h"
#include "tile_arm64.h"
#include "panel_arm64.h"

// Products of a panel of decoded rows with 1 to 4 activation columns: docs/NUMERICS.md §3, lane = row. NEON and
// FEAT_I8MM. Nothing is read past the last block of the panel, nor past q, d and s.
//
// The panels and registers are those of panel_arm64.h, the rows woven by 8 values: 32 bytes are 8 values of row 0, the
// same 8 of row 1, of row 2 and of row 3. A sum register holds rows i, i+1 times columns c, c+1.

// MM16 adds the products of 16 values: weights w, v, u, t, activations of the four columns a, b, c, d. Uses V8-V11.
// V24 is rows 0, 1 and V25 rows 2, 3 times columns 0, 1; V26 and V27 times columns 2, 3.
#define MM16(w, v, u, t, a, b, c, d) \
	ZIP1_2D(8, a, b)    \
	ZIP1_2D(9, c, d)    \
	ZIP2_2D(10, a, b)   \
	ZIP2_2D(11, c, d)   \
	SMMLA_4S(24, w, 8)  \
	SMMLA_4S(25, v, 8)  \
	SMMLA_4S(26, w, 9)  \
	SMMLA_4S(27, v, 9)  \
	SMMLA_4S(24, u, 10) \
	SMMLA_4S(25, t, 10) \
	SMMLA_4S(26, u, 11) \
	SMMLA_4S(27, t, 11)

// COLUMNS makes one register per column, lane = row, of the sums a-d.
#define COLUMNS(e, f, g, h, a, b, c, d) \
	UZP1_4S(e, a, b) \
	UZP2_4S(f, a, b) \
	UZP1_4S(g, c, d) \
	UZP2_4S(h, c, d)

// func mmMul32(dst *float32, stride, rows, cols int, panel *byte, blocks int, q *int8, k int, d *float32, s *int32, mins int)
//
// for b, c: acc[c][r] += float32(sum_i w[b][r][i]*q[c][b][i]) * (D[b][r]*d[c][b]), k values per column;
// if mins is not 0: acc[c][r] += float32(s[c][b]) * (DMin[b][r]*d[c][b])
//
//	V0-V7 activations, two per column   V16-V23 weights   V12 D   V13-V15, V0 d   V24-V27 sums   V28-V31 acc
TEXT ·mmMul32(SB), NOSPLIT, $0-88
	ARGSPANEL4(28, 29, 30, 31)
	ARGSPANEL32
	CBZ  R8, m32done

m32loop:
	LDPQ(16, 17, 3, 0)
	LDPQ(0, 1, 20, 0)
	LDPQ(2, 3, 21, 0)
	LDPQ(4, 5, 22, 0)
	LDPQ(6, 7, 23, 0)
	LDPQ(18, 19, 3, 32)
	LDPQ(20, 21, 3, 64)
	LDPQ(22, 23, 3, 96)
	LDRQ(12, 3, 128)
	ADD  $144, R3
	NEXTACTS(32)
	MOVI_16B(24, 0)
	MOVI_16B(25, 0)
	MOVI_16B(26, 0)
	MOVI_16B(27, 0)
	MM16(16, 17, 18, 19, 0, 2, 4, 6)
	MM16(20, 21, 22, 23, 1, 3, 5, 7)
	LD1RS(13, 10)
	LD1RS(14, 11)
	LD1RS(15, 12)
	LD1RS(0, 13)
	FMUL_4S(13, 12, 13)
	FMUL_4S(14, 12, 14)
	FMUL_4S(15, 12, 15)
	FMUL_4S(0, 12, 0)
	COLUMNS(16, 17, 18, 19, 24, 25, 26, 27)
	SCVTF_4S(16, 16)
	SCVTF_4S(17, 17)
	SCVTF_4S(18, 18)
	SCVTF_4S(19, 19)
	FMUL_4S(16, 16, 13)
	FMUL_4S(17, 17, 14)
	FMUL_4S(18, 18, 15)
	FMUL_4S(19, 19, 0)
	FADD_4S(28, 28, 16)
	FADD_4S(29, 29, 17)
	FADD_4S(30, 30, 18)
	FADD_4S(31, 31, 19)
	CBZ  R25, m32next
	MINS

m32next:
	NEXT(4)
	SUB  $1, R8
	CBNZ R8, m32loop

m32done:
	STORE(V28, F28, R0, m32few0, m32end0)
	STORE(V29, F29, R1, m32few1, m32end1)
	STORE(V30, F30, R2, m32few2, m32end2)
	STORE(V31, F31, R9, m32few3, m32end3)
	RET

// GROUP_END multiplies the sums V24-V27 of a group by its scales and adds them to V28-V31.
#define GROUP_END(off) \
	LDRQ(8, 3, off)    \
	ADD  $(off+16), R3 \
	ZIP1_4S(9, 8, 8)   \
	ZIP2_4S(10, 8, 8)  \
	MLA_4S(28, 24, 9)  \
	MLA_4S(29, 25, 10) \
	MLA_4S(30, 26, 9)  \
	MLA_4S(31, 27, 10)

#define GROUP16 \
	LDPQ(16, 17, 3, 0)    \
	LDRQ(0, 20, 0)        \
	LDRQ(1, 21, 0)        \
	LDRQ(2, 22, 0)        \
	LDRQ(3, 23, 0)        \
	LDPQ(18, 19, 3, 32)   \
	NEXTACTS(16)          \
	MOVI_16B(24, 0)       \
	MOVI_16B(25, 0)       \
	MOVI_16B(26, 0)       \
	MOVI_16B(27, 0)       \
	MM16(16, 17, 18, 19, 0, 1, 2, 3) \
	GROUP_END(64)

#define GROUP32 \
	LDPQ(16, 17, 3, 0)    \
	LDPQ(0, 1, 20, 0)     \
	LDPQ(2, 3, 21, 0)     \
	LDPQ(4, 5, 22, 0)     \
	LDPQ(6, 7, 23, 0)     \
	LDPQ(18, 19, 3, 32)   \
	LDPQ(20, 21, 3, 64)   \
	LDPQ(22, 23, 3, 96)   \
	NEXTACTS(32)          \
	MOVI_16B(24, 0)       \
	MOVI_16B(25, 0)       \
	MOVI_16B(26, 0)       \
	MOVI_16B(27, 0)       \
	MM16(16, 17, 18, 19, 0, 2, 4, 6) \
	MM16(20, 21, 22, 23, 1, 3, 5, 7) \
	GROUP_END(128)

// func mmMul256(dst *float32, stride, rows, cols int, panel *byte, blocks int, q *int8, k int, d *float32, s *int16, mins int)
//
// for b, c: acc[c][r] += float32(sum_g Scale[g]*sum_i w[i]*q[i]) * (D*d);
// if mins is not 0: acc[c][r] += float32(sum_g Min[g]*s[g]) * (DMin*d). Groups of 16.
//
//	V0-V3 activations   V16-V19 weights   V24-V27 sums of a group   V28-V31 sums of a block   R24 groups left
TEXT ·mmMul256(SB), NOSPLIT, $0-88
	ARGSPANEL4(12, 13, 14, 15)
	ARGSPANEL256
	CBZ  R8, m256done

m256loop:
	MOVI_16B(28, 0)
	MOVI_16B(29, 0)
	MOVI_16B(30, 0)
	MOVI_16B(31, 0)
	MOVD $16, R24

m256group:
	GROUP16
	SUB  $1, R24
	CBNZ R24, m256group

	LDRQ(16, 3, 128)
	COLUMNS(24, 25, 26, 27, 28, 29, 30, 31)
	FINISH4(24, 25, 26, 27)
	CBZ  R25, m256next
	MINS16

m256next:
	ADD  $160, R3
	NEXT(4)
	SUB  $1, R8
	CBNZ R8, m256loop

m256done:
	STORE(V12, F12, R0, m256few0, m256end0)
	STORE(V13, F13, R1, m256few1, m256end1)
	STORE(V14, F14, R2, m256few2, m256end2)
	STORE(V15, F15, R9, m256few3, m256end3)
	RET

// func mmMul256x(dst *float32, stride, rows, cols int, panel *byte, blocks int, q *int8, k int, d *float32, s *int16, mins int)
//
// mmMul256 with groups of 32.
//
//	V0-V7 activations   V16-V23 weights; else as mmMul256
TEXT ·mmMul256x(SB), NOSPLIT, $0-88
	ARGSPANEL4(12, 13, 14, 15)
	ARGSPANEL256
	CBZ  R8, m256xdone

m256xloop:
	MOVI_16B(28, 0)
	MOVI_16B(29, 0)
	MOVI_16B(30, 0)
	MOVI_16B(31, 0)
	MOVD $8, R24

m256xgroup:
	GROUP32
	SUB  $1, R24
	CBNZ R24, m256xgroup

	LDRQ(16, 3, 64)
	COLUMNS(24, 25, 26, 27, 28, 29, 30, 31)
	FINISH4(24, 25, 26, 27)
	CBZ  R25, m256xnext
	MINS32

m256xnext:
	ADD  $96, R3
	NEXT(4)
	SUB  $1, R8
	CBNZ R8, m256xloop

m256xdone:
	STORE(V12, F12, R0, m256xfew0, m256xend0)
	STORE(V13, F13, R1, m256xfew1, m256xend1)
	STORE(V14, F14, R2, m256xfew2, m256xend2)
	STORE(V15, F15, R9, m256xfew3, m256xend3)
	RET
