#include "textflag.h"
#include "neon_arm64.h"
#include "tile_arm64.h"
#include "five_arm64.h"

// Decoding to panels woven by 4 values, for neon_dotpanel_arm64.s: 16 bytes are 4 values of row 0, the same 4 of row 1,
// of row 2 and of row 3.

#define WEAVE(a, b, c, d) \
	TRANSPOSE(a, b, c, d) \
	STPQ_P(a, b, 0, 32)   \
	STPQ_P(c, d, 0, 32)

#define WEAVEAT(a, b, c, d, off) \
	TRANSPOSE(a, b, c, d) \
	STPQ(a, b, 0, off)    \
	STPQ(c, d, 0, off+32)

// func dotUnpackQ8_0(panel *byte, rows int, w *byte, stride, blocks int)
#define UNPACK_Q8_0 ·dotUnpackQ8_0(SB)

// func dotUnpackQ4_0(panel *byte, rows int, w *byte, stride, blocks int)
#define UNPACK_Q4_0 ·dotUnpackQ4_0(SB)

// func dotUnpackQ4_K(panel *byte, rows int, w *byte, stride, blocks int)
#define UNPACK_Q4_K ·dotUnpackQ4_K(SB)

// func dotUnpackQ6_K(panel *byte, rows int, w *byte, stride, blocks int)
#define UNPACK_Q6_K ·dotUnpackQ6_K(SB)

// func dotUnpackQ5_0(panel *byte, rows int, w *byte, stride, blocks int)
#define UNPACK_Q5_0 ·dotUnpackQ5_0(SB)

// func dotUnpackQ5_K(panel *byte, rows int, w *byte, stride, blocks int)
#define UNPACK_Q5_K ·dotUnpackQ5_K(SB)

// func dotUnpackIQ4_NL(panel *byte, rows int, w *byte, stride, blocks int)
#define UNPACK_IQ4_NL ·dotUnpackIQ4_NL(SB)

// func dotUnpackQ4_1(panel *byte, rows int, w *byte, stride, blocks int)
#define UNPACK_Q4_1 ·dotUnpackQ4_1(SB)

// func dotUnpackQ5_1(panel *byte, rows int, w *byte, stride, blocks int)
#define UNPACK_Q5_1 ·dotUnpackQ5_1(SB)

#include "weave_arm64.h"
