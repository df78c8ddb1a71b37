// The vector instructions that the kernels for arm64 use, as macros: the Go assembler knows few of them, and one
// spelling for all is easier to read than two. Every macro is one instruction of Armv8.0-A unless its section says
// otherwise. neon_encodings_test.go derives each encoding a second time and disassembles it.
//
// Operands are plain numbers in the order of Arm's manual, destination first: d, n, m, a, t, u are vector registers
// (0-31), x a general register that holds an address, i a lane, k a shift, imm a byte offset. The name's suffix is the
// arrangement of the destination.
//
// In the assembler's expressions << ends a term and >> takes all that follows as its count: keep the parentheses.

#define OP2(op, d, n)    WORD $((op) | (n)<<5 | (d))
#define OP3(op, d, n, m) WORD $((op) | (m)<<16 | (n)<<5 | (d))

// Offsets: a multiple of 16; one below 1024; one from -256 to 255. Others divide by zero, which the assembler reports.
#define MULT16(imm) ((imm)/16 | 0/(1-((imm)%16+15)/16))
#define PAIR16(imm) (MULT16(imm) | 0/(1-((imm)+64512)/65536))
#define SIGNED9(imm) (((imm)&511) | 0/(1-((imm)+256)/512))

// Loads and stores. The forms _P add imm (LD1H_P: 2, LD1RS_P: 4) to x afterwards.
#define LDRQ(t, x, imm)      WORD $(0x3DC00000 | MULT16(imm)<<10 | (x)<<5 | (t))
#define STRQ(t, x, imm)      WORD $(0x3D800000 | MULT16(imm)<<10 | (x)<<5 | (t))
#define LDURQ(t, x, imm)     WORD $(0x3CC00000 | SIGNED9(imm)<<12 | (x)<<5 | (t))
#define LDRQ_P(t, x, imm)    WORD $(0x3CC00400 | SIGNED9(imm)<<12 | (x)<<5 | (t))
#define STRQ_P(t, x, imm)    WORD $(0x3C800400 | SIGNED9(imm)<<12 | (x)<<5 | (t))
#define LDPQ(t, u, x, imm)   WORD $(0xAD400000 | PAIR16(imm)<<15 | (u)<<10 | (x)<<5 | (t))
#define STPQ(t, u, x, imm)   WORD $(0xAD000000 | PAIR16(imm)<<15 | (u)<<10 | (x)<<5 | (t))
#define LDPQ_P(t, u, x, imm) WORD $(0xACC00000 | PAIR16(imm)<<15 | (u)<<10 | (x)<<5 | (t))
#define STPQ_P(t, u, x, imm) WORD $(0xAC800000 | PAIR16(imm)<<15 | (u)<<10 | (x)<<5 | (t))
#define LD1H(t, i, x)        WORD $(0x0D404000 | (((i)>>2)&1)<<30 | (((i)>>1)&1)<<12 | ((i)&1)<<11 | (x)<<5 | (t))
#define LD1H_P(t, i, x)      WORD $(0x0DDF4000 | (((i)>>2)&1)<<30 | (((i)>>1)&1)<<12 | ((i)&1)<<11 | (x)<<5 | (t))
#define LD1RS(t, x)          WORD $(0x4D40C800 | (x)<<5 | (t))
#define LD1RS_P(t, x)        WORD $(0x4DDFC800 | (x)<<5 | (t))
#define LD2_4S(t, x)         WORD $(0x4C408800 | (x)<<5 | (t))
#define ST2_4S(t, x)         WORD $(0x4C008800 | (x)<<5 | (t))

// Bits and moves. CMEQ0 compares with 0; TBL takes the bytes of n that the bytes of m name.
#define AND_16B(d, n, m)  OP3(0x4E201C00, d, n, m)
#define ORR_16B(d, n, m)  OP3(0x4EA01C00, d, n, m)
#define EOR_16B(d, n, m)  OP3(0x6E201C00, d, n, m)
#define MOVI_16B(d, imm)  WORD $(0x4F00E400 | (((imm)>>5)&7)<<16 | ((imm)&31)<<5 | (d))
#define CMEQ0_16B(d, n)   OP2(0x4E209800, d, n)
#define TBL_16B(d, n, m)  OP3(0x4E000000, d, n, m)
#define DUP_4S(d, n, i)   WORD $(0x4E040400 | (i)<<19 | (n)<<5 | (d))
#define ZIP1_16B(d, n, m) OP3(0x4E003800, d, n, m)
#define ZIP2_16B(d, n, m) OP3(0x4E007800, d, n, m)
#define ZIP1_8H(d, n, m)  OP3(0x4E403800, d, n, m)
#define ZIP2_8H(d, n, m)  OP3(0x4E407800, d, n, m)
#define ZIP1_4S(d, n, m)  OP3(0x4E803800, d, n, m)
#define ZIP2_4S(d, n, m)  OP3(0x4E807800, d, n, m)
#define ZIP1_2D(d, n, m)  OP3(0x4EC03800, d, n, m)
#define ZIP2_2D(d, n, m)  OP3(0x4EC07800, d, n, m)
#define UZP1_16B(d, n, m) OP3(0x4E001800, d, n, m)
#define UZP2_16B(d, n, m) OP3(0x4E005800, d, n, m)
#define UZP1_8H(d, n, m)  OP3(0x4E401800, d, n, m)
#define UZP2_8H(d, n, m)  OP3(0x4E405800, d, n, m)
#define UZP1_4S(d, n, m)  OP3(0x4E801800, d, n, m)
#define UZP2_4S(d, n, m)  OP3(0x4E805800, d, n, m)
#define TRN1_4S(d, n, m)  OP3(0x4E802800, d, n, m)
#define TRN2_4S(d, n, m)  OP3(0x4E806800, d, n, m)

// Shifts by a constant; RSHRN rounds and keeps the lower half of the source's lanes.
#define SHL_16B(d, n, k)  WORD $(0x4F005400 | (8+(k))<<16 | (n)<<5 | (d))
#define USHR_16B(d, n, k) WORD $(0x6F000400 | (16-(k))<<16 | (n)<<5 | (d))
#define SSHR_16B(d, n, k) WORD $(0x4F000400 | (16-(k))<<16 | (n)<<5 | (d))
#define SRI_16B(d, n, k)  WORD $(0x6F004400 | (16-(k))<<16 | (n)<<5 | (d))
#define USHR_4S(d, n, k)  WORD $(0x6F000400 | (64-(k))<<16 | (n)<<5 | (d))
#define SSHR_4S(d, n, k)  WORD $(0x4F000400 | (64-(k))<<16 | (n)<<5 | (d))
#define SHL_4S(d, n, k)   WORD $(0x4F005400 | (32+(k))<<16 | (n)<<5 | (d))
#define RSHRN_8B(d, n, k)   WORD $(0x0F008C00 | (16-(k))<<16 | (n)<<5 | (d))
#define RSHRN2_16B(d, n, k) WORD $(0x4F008C00 | (16-(k))<<16 | (n)<<5 | (d))

// Integer arithmetic. SMULL, SMLAL and SXTL read the lower halves of their sources, SMLAL2 and SXTL2 the upper
// ones. SMLAL_4SH multiplies by lane i of m, m < 16, MLA_4SE by lane i of any m.
#define ADD_16B(d, n, m)     OP3(0x4E208400, d, n, m)
#define ADD_4S(d, n, m)      OP3(0x4EA08400, d, n, m)
#define SUB_16B(d, n, m)     OP3(0x6E208400, d, n, m)
#define SUB_4S(d, n, m)      OP3(0x6EA08400, d, n, m)
#define MUL_4S(d, n, m)      OP3(0x4EA09C00, d, n, m)
#define MLA_4S(d, n, m)      OP3(0x4EA09400, d, n, m)
#define ADDP_8H(d, n, m)     OP3(0x4E60BC00, d, n, m)
#define ADDP_4S(d, n, m)     OP3(0x4EA0BC00, d, n, m)
#define SMAX_16B(d, n, m)    OP3(0x4E206400, d, n, m)
#define SMAX_8H(d, n, m)     OP3(0x4E606400, d, n, m)
#define SMIN_8H(d, n, m)     OP3(0x4E606C00, d, n, m)
#define SMULL_8H(d, n, m)    OP3(0x0E20C000, d, n, m)
#define SMLAL_8H(d, n, m)    OP3(0x0E208000, d, n, m)
#define SMLAL2_8H(d, n, m)   OP3(0x4E208000, d, n, m)
#define SMULL_4S(d, n, m)    OP3(0x0E60C000, d, n, m)
#define SMLAL_4S(d, n, m)    OP3(0x0E608000, d, n, m)
#define SMLAL2_4S(d, n, m)   OP3(0x4E608000, d, n, m)
#define SMLAL_4SH(d, n, m, i)  WORD $(0x0F402000 | (((i)>>2)&1)<<11 | ((i)&3)<<20 | (m)<<16 | (n)<<5 | (d))
#define SMLAL2_4SH(d, n, m, i) WORD $(0x4F402000 | (((i)>>2)&1)<<11 | ((i)&3)<<20 | (m)<<16 | (n)<<5 | (d))
#define MLA_4SE(d, n, m, i)  WORD $(0x6F800000 | (((i)>>1)&1)<<11 | ((i)&1)<<21 | (m)<<16 | (n)<<5 | (d))
#define SADDLP_8H(d, n)      OP2(0x4E202800, d, n)
#define SADDLP_4S(d, n)      OP2(0x4E602800, d, n)
#define SADALP_4S(d, n)      OP2(0x4E606800, d, n)
#define SXTL_8H(d, n)        OP2(0x0F08A400, d, n)
#define SXTL2_8H(d, n)       OP2(0x4F08A400, d, n)
#define UXTL_8H(d, n)        OP2(0x2F08A400, d, n)
#define UXTL2_8H(d, n)       OP2(0x6F08A400, d, n)
#define SXTL_4S(d, n)        OP2(0x0F10A400, d, n)
#define SXTL2_4S(d, n)       OP2(0x4F10A400, d, n)
#define UXTL_4S(d, n)        OP2(0x2F10A400, d, n)
#define UXTL2_4S(d, n)       OP2(0x6F10A400, d, n)
#define SHLL_4S(d, n)        OP2(0x2E613800, d, n)
#define SHLL2_4S(d, n)       OP2(0x6E613800, d, n)
#define SQXTN_4H(d, n)       OP2(0x0E614800, d, n)
#define SQXTN2_8H(d, n)      OP2(0x4E614800, d, n)
#define SQXTN_8B(d, n)       OP2(0x0E214800, d, n)
#define SQXTN2_16B(d, n)     OP2(0x4E214800, d, n)

// float32, and fp16 to and from it. FCVTNS and FCVTN round to nearest, ties to even. FMUL_4SE multiplies by lane i.
#define FADD_4S(d, n, m)     OP3(0x4E20D400, d, n, m)
#define FSUB_4S(d, n, m)     OP3(0x4EA0D400, d, n, m)
#define FMUL_4S(d, n, m)     OP3(0x6E20DC00, d, n, m)
#define FDIV_4S(d, n, m)     OP3(0x6E20FC00, d, n, m)
#define FMAX_4S(d, n, m)     OP3(0x4E20F400, d, n, m)
#define FMIN_4S(d, n, m)     OP3(0x4EA0F400, d, n, m)
#define FADDP_4S(d, n, m)    OP3(0x6E20D400, d, n, m)
#define FMAXP_4S(d, n, m)    OP3(0x6E20F400, d, n, m)
#define FCMGE_4S(d, n, m)    OP3(0x6E20E400, d, n, m)
#define FMUL_4SE(d, n, m, i) WORD $(0x4F809000 | (((i)>>1)&1)<<11 | ((i)&1)<<21 | (m)<<16 | (n)<<5 | (d))
#define FABS_4S(d, n)        OP2(0x4EA0F800, d, n)
#define FNEG_4S(d, n)        OP2(0x6EA0F800, d, n)
#define SCVTF_4S(d, n)       OP2(0x4E21D800, d, n)
#define FCVTNS_4S(d, n)      OP2(0x4E21A800, d, n)
#define FCVTL_4S(d, n)       OP2(0x0E217800, d, n)
#define FCVTL2_4S(d, n)      OP2(0x4E217800, d, n)
#define FCVTN_4H(d, n)       OP2(0x0E216800, d, n)
#define FCVTN2_8H(d, n)      OP2(0x4E216800, d, n)

// FEAT_DotProd. SDOT_4SE multiplies by the four bytes of lane i of m.
#define SDOT_4S(d, n, m)     OP3(0x4E809400, d, n, m)
#define SDOT_4SE(d, n, m, i) WORD $(0x4F80E000 | (((i)>>1)&1)<<11 | ((i)&1)<<21 | (m)<<16 | (n)<<5 | (d))

// FEAT_I8MM.
#define SMMLA_4S(d, n, m)    OP3(0x4E80A400, d, n, m)
