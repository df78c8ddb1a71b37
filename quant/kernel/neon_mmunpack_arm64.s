#include "textflag.h"
#include "neon_arm64.h"
#include "tile_arm64.h"
#include "five_arm64.h"

// Decoding to panels woven by 8 values, for neon_mmpanel_arm64.s: 32 bytes are 8 values of row 0, the same 8 of row 1,
// of row 2 and of row 3.

#define INTERLEAVE(a, b, c, d) \
	ZIP1_2D(24, a, b) \
	ZIP1_2D(25, c, d) \
	ZIP2_2D(26, a, b) \
	ZIP2_2D(27, c, d)

#define WEAVE(a, b, c, d) \
	INTERLEAVE(a, b, c, d) \
	STPQ_P(24, 25, 0, 32)  \
	STPQ_P(26, 27, 0, 32)

#define WEAVEAT(a, b, c, d, off) \
	INTERLEAVE(a, b, c, d) \
	STPQ(24, 25, 0, off)   \
	STPQ(26, 27, 0, off+32)

// func mmUnpackQ8_0(panel *byte, rows int, w *byte, stride, blocks int)
#define UNPACK_Q8_0 ·mmUnpackQ8_0(SB)

// func mmUnpackQ4_0(panel *byte, rows int, w *byte, stride, blocks int)
#define UNPACK_Q4_0 ·mmUnpackQ4_0(SB)

// func mmUnpackQ4_K(panel *byte, rows int, w *byte, stride, blocks int)
#define UNPACK_Q4_K ·mmUnpackQ4_K(SB)

// func mmUnpackQ6_K(panel *byte, rows int, w *byte, stride, blocks int)
#define UNPACK_Q6_K ·mmUnpackQ6_K(SB)

// func mmUnpackQ5_0(panel *byte, rows int, w *byte, stride, blocks int)
#define UNPACK_Q5_0 ·mmUnpackQ5_0(SB)

// func mmUnpackQ5_K(panel *byte, rows int, w *byte, stride, blocks int)
#define UNPACK_Q5_K ·mmUnpackQ5_K(SB)

// func mmUnpackIQ4_NL(panel *byte, rows int, w *byte, stride, blocks int)
#define UNPACK_IQ4_NL ·mmUnpackIQ4_NL(SB)

// func mmUnpackQ4_1(panel *byte, rows int, w *byte, stride, blocks int)
#define UNPACK_Q4_1 ·mmUnpackQ4_1(SB)

// func mmUnpackQ5_1(panel *byte, rows int, w *byte, stride, blocks int)
#define UNPACK_Q5_1 ·mmUnpackQ5_1(SB)

#include "weave_arm64.h"
