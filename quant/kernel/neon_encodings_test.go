package kernel

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// encodingClasses are the layouts of Arm's manual (C4.1, "A64 instruction set encoding"), bit 31 first: digits are
// fixed, letters are fields. Fields of an instruction: Q, U (or op, L, opc), S (size), O (opcode). Operands: d n m
// registers, t u registers of loads and stores, x the base register, and HLM, i, k, a bits of lanes, shifts and
// immediates, which operandBits computes.
var encodingClasses = map[string]string{
	"three same":       "0QU01110SS1mmmmmOOOOO1nnnnnddddd",
	"three same extra": "0QU01110SS0mmmmm1OOOO1nnnnnddddd",
	"three different":  "0QU01110SS1mmmmmOOOO00nnnnnddddd",
	"two misc":         "0QU01110SS10000OOOOO10nnnnnddddd",
	"permute":          "0Q001110SS0mmmmm0OOO10nnnnnddddd",
	"table":            "0Q001110SS0mmmmm0OOO00nnnnnddddd",
	"shift":            "0QU011110kkkkkkkOOOOO1nnnnnddddd",
	"element half":     "0QU01111SSLMmmmmOOOOH0nnnnnddddd", // m has 4 bits, index H:L:M
	"element word":     "0QU01111SSLmmmmmOOOOH0nnnnnddddd", // m has 5 bits, index H:L
	"copy":             "0QU01110000iiiii0OOOO1nnnnnddddd",
	"immediate":        "0QU0111100000aaaOOOO01bbbbbddddd",
	"single":           "0i00110101000000OOOijjxxxxxttttt", // S is the middle i
	"single post":      "0i00110111011111OOOijjxxxxxttttt",
	"replicate":        "0Q00110101000000OOO0SSxxxxxttttt",
	"replicate post":   "0Q00110111011111OOO0SSxxxxxttttt",
	"multiple":         "0Q0011000U000000OOOOSSxxxxxttttt",
	"scaled offset":    "SS111101OObbbbbbbbbbbbxxxxxttttt",
	"unscaled offset":  "SS111100OO0bbbbbbbbb00xxxxxttttt",
	"post index":       "SS111100OO0bbbbbbbbb01xxxxxttttt",
	"pair":             "SS1011010Ubbbbbbbuuuuuxxxxxttttt",
	"pair post":        "SS1011001Ubbbbbbbuuuuuxxxxxttttt",
}

// encoding is one macro: its class and fields, the unit of its immediate or the bits of an element, and how a
// disassembler writes it, with operands in braces.
type encoding struct {
	name, class    string
	q, u, size, op uint32
	unit           int
	text           string
}

const (
	ddd = " v{d}.%s, v{n}.%s, v{m}.%s"
	dd  = " v{d}.%s, v{n}.%s"
)

func vec3(op, d, n, m string) string { return op + fmt.Sprintf(ddd, d, n, m) }
func vec2(op, d, n string) string    { return op + fmt.Sprintf(dd, d, n) }

var encodings = []encoding{
	{"LDRQ", "scaled offset", 0, 0, 0, 3, 16, "ldr q{t}, [x{x}, #{imm}]"},
	{"STRQ", "scaled offset", 0, 0, 0, 2, 16, "str q{t}, [x{x}, #{imm}]"},
	{"LDURQ", "unscaled offset", 0, 0, 0, 3, 1, "ldur q{t}, [x{x}, #{imm}]"},
	{"LDRQ_P", "post index", 0, 0, 0, 3, 1, "ldr q{t}, [x{x}], #{imm}"},
	{"STRQ_P", "post index", 0, 0, 0, 2, 1, "str q{t}, [x{x}], #{imm}"},
	{"LDPQ", "pair", 0, 1, 2, 0, 16, "ldp q{t}, q{u}, [x{x}, #{imm}]"},
	{"STPQ", "pair", 0, 0, 2, 0, 16, "stp q{t}, q{u}, [x{x}, #{imm}]"},
	{"LDPQ_P", "pair post", 0, 1, 2, 0, 16, "ldp q{t}, q{u}, [x{x}], #{imm}"},
	{"STPQ_P", "pair post", 0, 0, 2, 0, 16, "stp q{t}, q{u}, [x{x}], #{imm}"},
	{"LD1H", "single", 0, 0, 0, 2, 2, "ld1 {v{t}.h}[{i}], [x{x}]"},
	{"LD1H_P", "single post", 0, 0, 0, 2, 2, "ld1 {v{t}.h}[{i}], [x{x}], #2"},
	{"LD1RS", "replicate", 1, 0, 2, 6, 0, "ld1r {v{t}.4s}, [x{x}]"},
	{"LD1RS_P", "replicate post", 1, 0, 2, 6, 0, "ld1r {v{t}.4s}, [x{x}], #4"},
	{"LD2_4S", "multiple", 1, 1, 2, 8, 0, "ld2 {v{t}.4s, v{t+1}.4s}, [x{x}]"},
	{"ST2_4S", "multiple", 1, 0, 2, 8, 0, "st2 {v{t}.4s, v{t+1}.4s}, [x{x}]"},

	{"AND_16B", "three same", 1, 0, 0, 3, 0, vec3("and", "16b", "16b", "16b")},
	{"ORR_16B", "three same", 1, 0, 2, 3, 0, vec3("orr", "16b", "16b", "16b")},
	{"EOR_16B", "three same", 1, 1, 0, 3, 0, vec3("eor", "16b", "16b", "16b")},
	{"MOVI_16B", "immediate", 1, 0, 0, 14, 0, "movi v{d}.16b, #{hex}"},
	{"CMEQ0_16B", "two misc", 1, 0, 0, 9, 0, vec2("cmeq", "16b", "16b") + ", #0"},
	{"TBL_16B", "table", 1, 0, 0, 0, 0, "tbl v{d}.16b, {v{n}.16b}, v{m}.16b"},
	{"DUP_4S", "copy", 1, 0, 0, 0, 4, "dup v{d}.4s, v{n}.s[{i}]"},
	{"ZIP1_16B", "permute", 1, 0, 0, 3, 0, vec3("zip1", "16b", "16b", "16b")},
	{"ZIP2_16B", "permute", 1, 0, 0, 7, 0, vec3("zip2", "16b", "16b", "16b")},
	{"ZIP1_8H", "permute", 1, 0, 1, 3, 0, vec3("zip1", "8h", "8h", "8h")},
	{"ZIP2_8H", "permute", 1, 0, 1, 7, 0, vec3("zip2", "8h", "8h", "8h")},
	{"ZIP1_4S", "permute", 1, 0, 2, 3, 0, vec3("zip1", "4s", "4s", "4s")},
	{"ZIP2_4S", "permute", 1, 0, 2, 7, 0, vec3("zip2", "4s", "4s", "4s")},
	{"ZIP1_2D", "permute", 1, 0, 3, 3, 0, vec3("zip1", "2d", "2d", "2d")},
	{"ZIP2_2D", "permute", 1, 0, 3, 7, 0, vec3("zip2", "2d", "2d", "2d")},
	{"UZP1_16B", "permute", 1, 0, 0, 1, 0, vec3("uzp1", "16b", "16b", "16b")},
	{"UZP2_16B", "permute", 1, 0, 0, 5, 0, vec3("uzp2", "16b", "16b", "16b")},
	{"UZP1_8H", "permute", 1, 0, 1, 1, 0, vec3("uzp1", "8h", "8h", "8h")},
	{"UZP2_8H", "permute", 1, 0, 1, 5, 0, vec3("uzp2", "8h", "8h", "8h")},
	{"UZP1_4S", "permute", 1, 0, 2, 1, 0, vec3("uzp1", "4s", "4s", "4s")},
	{"UZP2_4S", "permute", 1, 0, 2, 5, 0, vec3("uzp2", "4s", "4s", "4s")},
	{"TRN1_4S", "permute", 1, 0, 2, 2, 0, vec3("trn1", "4s", "4s", "4s")},
	{"TRN2_4S", "permute", 1, 0, 2, 6, 0, vec3("trn2", "4s", "4s", "4s")},

	{"SHL_16B", "shift", 1, 0, 0, 10, 8, vec2("shl", "16b", "16b") + ", #{k}"},
	{"USHR_16B", "shift", 1, 1, 0, 0, -8, vec2("ushr", "16b", "16b") + ", #{k}"},
	{"SSHR_16B", "shift", 1, 0, 0, 0, -8, vec2("sshr", "16b", "16b") + ", #{k}"},
	{"SRI_16B", "shift", 1, 1, 0, 8, -8, vec2("sri", "16b", "16b") + ", #{k}"},
	{"USHR_4S", "shift", 1, 1, 0, 0, -32, vec2("ushr", "4s", "4s") + ", #{k}"},
	{"SSHR_4S", "shift", 1, 0, 0, 0, -32, vec2("sshr", "4s", "4s") + ", #{k}"},
	{"SHL_4S", "shift", 1, 0, 0, 10, 32, vec2("shl", "4s", "4s") + ", #{k}"},

	{"RSHRN_8B", "shift", 0, 0, 0, 17, -8, vec2("rshrn", "8b", "8h") + ", #{k}"},
	{"RSHRN2_16B", "shift", 1, 0, 0, 17, -8, vec2("rshrn2", "16b", "8h") + ", #{k}"},

	{"ADD_16B", "three same", 1, 0, 0, 16, 0, vec3("add", "16b", "16b", "16b")},
	{"ADD_4S", "three same", 1, 0, 2, 16, 0, vec3("add", "4s", "4s", "4s")},
	{"SUB_16B", "three same", 1, 1, 0, 16, 0, vec3("sub", "16b", "16b", "16b")},
	{"SUB_4S", "three same", 1, 1, 2, 16, 0, vec3("sub", "4s", "4s", "4s")},
	{"MUL_4S", "three same", 1, 0, 2, 19, 0, vec3("mul", "4s", "4s", "4s")},
	{"MLA_4S", "three same", 1, 0, 2, 18, 0, vec3("mla", "4s", "4s", "4s")},
	{"ADDP_8H", "three same", 1, 0, 1, 23, 0, vec3("addp", "8h", "8h", "8h")},
	{"ADDP_4S", "three same", 1, 0, 2, 23, 0, vec3("addp", "4s", "4s", "4s")},
	{"SMAX_16B", "three same", 1, 0, 0, 12, 0, vec3("smax", "16b", "16b", "16b")},
	{"SMAX_8H", "three same", 1, 0, 1, 12, 0, vec3("smax", "8h", "8h", "8h")},
	{"SMIN_8H", "three same", 1, 0, 1, 13, 0, vec3("smin", "8h", "8h", "8h")},
	{"SMULL_8H", "three different", 0, 0, 0, 12, 0, vec3("smull", "8h", "8b", "8b")},
	{"SMLAL_8H", "three different", 0, 0, 0, 8, 0, vec3("smlal", "8h", "8b", "8b")},
	{"SMLAL2_8H", "three different", 1, 0, 0, 8, 0, vec3("smlal2", "8h", "16b", "16b")},
	{"SMULL_4S", "three different", 0, 0, 1, 12, 0, vec3("smull", "4s", "4h", "4h")},
	{"SMLAL_4S", "three different", 0, 0, 1, 8, 0, vec3("smlal", "4s", "4h", "4h")},
	{"SMLAL2_4S", "three different", 1, 0, 1, 8, 0, vec3("smlal2", "4s", "8h", "8h")},
	{"SMLAL_4SH", "element half", 0, 0, 1, 2, 2, "smlal v{d}.4s, v{n}.4h, v{m}.h[{i}]"},
	{"SMLAL2_4SH", "element half", 1, 0, 1, 2, 2, "smlal2 v{d}.4s, v{n}.8h, v{m}.h[{i}]"},
	{"MLA_4SE", "element word", 1, 1, 2, 0, 4, "mla v{d}.4s, v{n}.4s, v{m}.s[{i}]"},
	{"SADDLP_8H", "two misc", 1, 0, 0, 2, 0, vec2("saddlp", "8h", "16b")},
	{"SADDLP_4S", "two misc", 1, 0, 1, 2, 0, vec2("saddlp", "4s", "8h")},
	{"SADALP_4S", "two misc", 1, 0, 1, 6, 0, vec2("sadalp", "4s", "8h")},
	{"SXTL_8H", "shift", 0, 0, 0, 20, 8, vec2("sxtl", "8h", "8b")},
	{"SXTL2_8H", "shift", 1, 0, 0, 20, 8, vec2("sxtl2", "8h", "16b")},
	{"UXTL_8H", "shift", 0, 1, 0, 20, 8, vec2("uxtl", "8h", "8b")},
	{"UXTL2_8H", "shift", 1, 1, 0, 20, 8, vec2("uxtl2", "8h", "16b")},
	{"SXTL_4S", "shift", 0, 0, 0, 20, 16, vec2("sxtl", "4s", "4h")},
	{"SXTL2_4S", "shift", 1, 0, 0, 20, 16, vec2("sxtl2", "4s", "8h")},
	{"UXTL_4S", "shift", 0, 1, 0, 20, 16, vec2("uxtl", "4s", "4h")},
	{"UXTL2_4S", "shift", 1, 1, 0, 20, 16, vec2("uxtl2", "4s", "8h")},
	{"SHLL_4S", "two misc", 0, 1, 1, 19, 0, vec2("shll", "4s", "4h") + ", #16"},
	{"SHLL2_4S", "two misc", 1, 1, 1, 19, 0, vec2("shll2", "4s", "8h") + ", #16"},
	{"SQXTN_4H", "two misc", 0, 0, 1, 20, 0, vec2("sqxtn", "4h", "4s")},
	{"SQXTN2_8H", "two misc", 1, 0, 1, 20, 0, vec2("sqxtn2", "8h", "4s")},
	{"SQXTN_8B", "two misc", 0, 0, 0, 20, 0, vec2("sqxtn", "8b", "8h")},
	{"SQXTN2_16B", "two misc", 1, 0, 0, 20, 0, vec2("sqxtn2", "16b", "8h")},

	{"FADD_4S", "three same", 1, 0, 0, 26, 0, vec3("fadd", "4s", "4s", "4s")},
	{"FSUB_4S", "three same", 1, 0, 2, 26, 0, vec3("fsub", "4s", "4s", "4s")},
	{"FMUL_4S", "three same", 1, 1, 0, 27, 0, vec3("fmul", "4s", "4s", "4s")},
	{"FDIV_4S", "three same", 1, 1, 0, 31, 0, vec3("fdiv", "4s", "4s", "4s")},
	{"FMAX_4S", "three same", 1, 0, 0, 30, 0, vec3("fmax", "4s", "4s", "4s")},
	{"FMIN_4S", "three same", 1, 0, 2, 30, 0, vec3("fmin", "4s", "4s", "4s")},
	{"FADDP_4S", "three same", 1, 1, 0, 26, 0, vec3("faddp", "4s", "4s", "4s")},
	{"FMAXP_4S", "three same", 1, 1, 0, 30, 0, vec3("fmaxp", "4s", "4s", "4s")},
	{"FCMGE_4S", "three same", 1, 1, 0, 28, 0, vec3("fcmge", "4s", "4s", "4s")},
	{"FMUL_4SE", "element word", 1, 0, 2, 9, 4, "fmul v{d}.4s, v{n}.4s, v{m}.s[{i}]"},
	{"FABS_4S", "two misc", 1, 0, 2, 15, 0, vec2("fabs", "4s", "4s")},
	{"FNEG_4S", "two misc", 1, 1, 2, 15, 0, vec2("fneg", "4s", "4s")},
	{"SCVTF_4S", "two misc", 1, 0, 0, 29, 0, vec2("scvtf", "4s", "4s")},
	{"FCVTNS_4S", "two misc", 1, 0, 0, 26, 0, vec2("fcvtns", "4s", "4s")},
	{"FCVTL_4S", "two misc", 0, 0, 0, 23, 0, vec2("fcvtl", "4s", "4h")},
	{"FCVTL2_4S", "two misc", 1, 0, 0, 23, 0, vec2("fcvtl2", "4s", "8h")},
	{"FCVTN_4H", "two misc", 0, 0, 0, 22, 0, vec2("fcvtn", "4h", "4s")},
	{"FCVTN2_8H", "two misc", 1, 0, 0, 22, 0, vec2("fcvtn2", "8h", "4s")},

	{"SDOT_4S", "three same extra", 1, 0, 2, 2, 0, vec3("sdot", "4s", "16b", "16b")},
	{"SDOT_4SE", "element word", 1, 0, 2, 14, 4, "sdot v{d}.4s, v{n}.16b, v{m}.4b[{i}]"},
	{"SMMLA_4S", "three same extra", 1, 0, 2, 4, 0, vec3("smmla", "4s", "16b", "16b")},
}

// operands makes random operands that the instruction allows.
func (e encoding) operands(r *rand.Rand) map[string]int {
	o := map[string]int{"i": r.IntN(4), "d": r.IntN(32), "n": r.IntN(32), "m": r.IntN(32), "t": r.IntN(32), "u": r.IntN(32), "x": r.IntN(31)}
	for o["m"] == o["n"] || o["u"] == o["t"] { // ORR of one register is written MOV; a pair must differ
		o["m"], o["u"] = r.IntN(32), r.IntN(32)
	}
	switch e.class {
	case "scaled offset":
		o["imm"] = 16 * (1 + r.IntN(4095))
	case "unscaled offset", "post index":
		o["imm"] = r.IntN(512) - 256
	case "pair", "pair post":
		o["imm"] = 16 * (1 + r.IntN(63))
	case "immediate":
		o["imm"] = r.IntN(256)
	case "single", "single post":
		o["i"] = r.IntN(16 / e.unit)
	case "element half":
		o["i"], o["m"] = r.IntN(8), r.IntN(16)
	case "shift":
		if e.unit < 0 {
			o["k"] = 1 + r.IntN(-e.unit)
		} else if e.op != 20 { // the widenings are shifts by 0
			o["k"] = r.IntN(e.unit)
		}
	}
	return o
}

// word fills the class's layout.
func (e encoding) word(o map[string]int) uint32 {
	fields := map[rune]uint32{
		'Q': e.q, 'U': e.u, 'S': e.size, 'O': e.op,
		'd': uint32(o["d"]), 'n': uint32(o["n"]), 'm': uint32(o["m"]), 't': uint32(o["t"]), 'u': uint32(o["u"]), 'x': uint32(o["x"]),
	}
	i := uint32(o["i"])
	switch e.class {
	case "shift": // immh:immb is the element's bits plus a left shift, or twice the bits less a right shift
		if e.unit < 0 {
			fields['k'] = uint32(-2*e.unit - o["k"])
		} else {
			fields['k'] = uint32(e.unit + o["k"])
		}
	case "element half":
		fields['H'], fields['L'], fields['M'] = i>>2, i>>1&1, i&1
	case "element word":
		fields['H'], fields['L'] = i>>1, i&1
	case "copy": // imm5 is the lane above a one that tells the element's size
		fields['i'] = (2*i + 1) * uint32(e.unit)
	case "single", "single post": // the byte position is Q:S:size
		at := i * uint32(e.unit)
		fields['i'], fields['j'] = at>>2, at&3
	case "immediate":
		fields['a'], fields['b'] = uint32(o["imm"])>>5, uint32(o["imm"])&31
	case "scaled offset", "pair", "pair post":
		fields['b'] = uint32(o["imm"] / e.unit)
	default:
		fields['b'] = uint32(o["imm"])
	}
	var w uint32
	layout := encodingClasses[e.class]
	for bit := range 32 { // from bit 0, a field's lowest bit first
		c := rune(layout[31-bit])
		switch c {
		case '0':
		case '1':
			w |= 1 << bit
		default:
			w |= fields[c] & 1 << bit
			fields[c] >>= 1
		}
	}
	return w
}

// disassembly is the text with operands filled in.
func (e encoding) disassembly(o map[string]int) string {
	s := e.text
	for name, v := range o {
		s = strings.ReplaceAll(s, "{"+name+"}", strconv.Itoa(v))
	}
	s = strings.ReplaceAll(s, "{t+1}", strconv.Itoa((o["t"]+1)%32))
	s = strings.ReplaceAll(s, "{hex}", fmt.Sprintf("%#x", o["imm"]))
	if !strings.Contains(e.class, "post") {
		s = strings.ReplaceAll(s, ", #0]", "]")
	}
	return s
}

// macro is a #define of the header.
type macro struct {
	params []string
	body   string
}

var defineLine = regexp.MustCompile(`^#define (\w+)\(([^)]*)\)\s+(.*)$`)

func headerMacros(t *testing.T) map[string]macro {
	b, err := os.ReadFile("neon_arm64.h")
	if err != nil {
		t.Fatal(err)
	}
	ms := map[string]macro{}
	for _, line := range strings.Split(string(b), "\n") {
		f := defineLine.FindStringSubmatch(line)
		if f == nil {
			if strings.HasPrefix(line, "#") {
				t.Fatalf("neon_arm64.h: cannot read %q", line)
			}
			continue
		}
		ms[f[1]] = macro{strings.Split(strings.ReplaceAll(f[2], " ", ""), ","), f[3]}
	}
	return ms
}

// expand replaces the parameters by args and the helper macros by their bodies.
func expand(ms map[string]macro, m macro, args map[string]string) string {
	body := regexp.MustCompile(`\w+`).ReplaceAllStringFunc(m.body, func(word string) string {
		if v, ok := args[word]; ok {
			return v
		}
		return word
	})
	for offset := regexp.MustCompile(`(MULT16|PAIR16|SIGNED9)\(([^()]*)\)`); offset.MatchString(body); {
		body = offset.ReplaceAllStringFunc(body, func(use string) string {
			f := offset.FindStringSubmatch(use)
			return expand(ms, ms[f[1]], map[string]string{"imm": f[2]})
		})
	}
	if f := regexp.MustCompile(`^(OP\d)\((.*)\)$`).FindStringSubmatch(body); f != nil {
		helper := ms[f[1]]
		inner := map[string]string{}
		for i, v := range strings.Split(f[2], ",") {
			inner[helper.params[i]] = strings.TrimSpace(v)
		}
		return expand(ms, helper, inner)
	}
	return body
}

// asmExpr evaluates expressions as the Go assembler does: 64 bits, a term ends after <<, and >> takes a whole term.
type asmExpr struct {
	toks []string
}

func (p *asmExpr) peek() string {
	if len(p.toks) == 0 {
		return ""
	}
	return p.toks[0]
}

func (p *asmExpr) next() string { s := p.peek(); p.toks = p.toks[1:]; return s }

func (p *asmExpr) expr() uint64 {
	v := p.term()
	for {
		switch p.peek() {
		case "+":
			p.next()
			v += p.term()
		case "-":
			p.next()
			v -= p.term()
		case "|":
			p.next()
			v |= p.term()
		default:
			return v
		}
	}
}

func (p *asmExpr) term() uint64 {
	v := p.factor()
	for {
		switch p.peek() {
		case "/":
			p.next()
			v /= p.factor()
		case "%":
			p.next()
			v %= p.factor()
		case "&":
			p.next()
			v &= p.factor()
		case "<<":
			p.next()
			return v << p.factor()
		case ">>":
			p.next()
			v >>= p.term()
		default:
			return v
		}
	}
}

func (p *asmExpr) factor() uint64 {
	switch s := p.next(); s {
	case "(":
		v := p.expr()
		if p.next() != ")" {
			panic("unbalanced parentheses")
		}
		return v
	case "-":
		return -p.factor()
	default:
		v, err := strconv.ParseUint(s, 0, 64)
		if err != nil {
			panic(err)
		}
		return v
	}
}

// The header's encodings are those that the manual's fields give, and, where a disassembler is at hand, it reads them
// as the instruction with the operands that the macro's name and parameters say.
func TestNEONEncodings(t *testing.T) {
	ms := headerMacros(t)
	seen := map[string]bool{"OP2": true, "OP3": true, "MULT16": true, "PAIR16": true, "SIGNED9": true}
	r := rand.New(rand.NewPCG(1, 2))
	var code []byte
	var want []string
	for _, e := range encodings {
		m, ok := ms[e.name]
		if !ok {
			t.Errorf("%s is not in neon_arm64.h", e.name)
			continue
		}
		if len(encodingClasses[e.class]) != 32 {
			t.Fatalf("%s: the layout %q does not have 32 bits", e.name, e.class)
		}
		seen[e.name] = true
		for range 50 {
			o := e.operands(r)
			args := map[string]string{}
			for _, p := range m.params {
				v, ok := o[p]
				if !ok {
					t.Fatalf("%s: no operand %q", e.name, p)
				}
				args[p] = strconv.Itoa(v)
			}
			body := strings.TrimPrefix(expand(ms, m, args), "WORD $")
			p := &asmExpr{regexp.MustCompile(`0x[0-9A-F]+|\d+|<<|>>|[-+|&/%()]`).FindAllString(body, -1)}
			got, derived := p.expr(), e.word(o)
			if got != uint64(derived) || len(p.toks) > 0 {
				t.Fatalf("%s %v: the header gives %#08x, the manual's fields %#08x", e.name, o, got, derived)
			}
			code = binary.LittleEndian.AppendUint32(code, derived)
			want = append(want, e.disassembly(o))
		}
	}
	for name := range ms {
		if !seen[name] {
			t.Errorf("neon_arm64.h: %s has no row in this test", name)
		}
	}
	t.Run("disassembly", func(t *testing.T) { compareDisassembly(t, code, want) })
}

func compareDisassembly(t *testing.T, code []byte, want []string) {
	objdump, err := exec.LookPath("aarch64-linux-gnu-objdump")
	if err != nil {
		t.Skip("no disassembler: aarch64-linux-gnu-objdump is not installed")
	}
	file := filepath.Join(t.TempDir(), "words")
	if err := os.WriteFile(file, code, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(objdump, "-D", "-b", "binary", "-m", "aarch64", file).Output()
	if err != nil {
		t.Fatalf("%s: %v", objdump, err)
	}
	var got []string
	for _, line := range strings.Split(string(out), "\n") {
		// address, word, mnemonic and operands, then perhaps a comment
		if f := strings.SplitN(line, "\t", 4); len(f) >= 3 && strings.HasSuffix(strings.TrimSpace(f[0]), ":") {
			text, _, _ := strings.Cut(strings.Join(f[2:], " "), "//")
			got = append(got, strings.Join(strings.Fields(text), " "))
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d instructions disassembled, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("word %#08x is %q, want %q", binary.LittleEndian.Uint32(code[4*i:]), got[i], want[i])
		}
	}
}
