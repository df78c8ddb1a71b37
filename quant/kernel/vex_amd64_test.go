package kernel

import (
	"bytes"
	"debug/elf"
	"debug/gosym"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kvasir/platform/cpu"
)

// The layouts of a dot product of registers in the two encodings (Intel SDM 2, 2.3.5 and 2.7.1), bit 7 of each byte
// first: digits are fixed, letters are fields. R and D, X and B and V, v, d, n extend and hold the numbers of registers,
// inverted where the manual says so; o is the opcode. Both stand for 256 bits (L), prefix 66 (pp), map 0F38 and W0; EVEX
// without mask, broadcast and zeroing.
const (
	vexLayout  = "11000100 RXB00010 0vvvv101 oooooooo 11dddnnn"
	evexLayout = "01100010 RXBD0010 0vvvv101 0010V000 oooooooo 11dddnnn"
)

var dotOpcodes = map[string]int{"VPDPBUSD": 0x50, "VPDPWSSD": 0x52}

// dot is a dot product: registers in Go's order, the destination last.
type dot struct {
	op      string
	n, v, d int
}

// encode fills a layout.
func (x dot) encode(layout string) []byte {
	fields := map[rune]int{ // lowest bit first
		'R': ^x.d >> 3, 'D': ^x.d >> 4, 'X': ^x.n >> 4, 'B': ^x.n >> 3, 'V': ^x.v >> 4, 'v': ^x.v, 'd': x.d, 'n': x.n, 'o': dotOpcodes[x.op],
	}
	bits := []rune(strings.ReplaceAll(layout, " ", ""))
	out := make([]byte, len(bits)/8)
	for i := len(bits) - 1; i >= 0; i-- {
		b := int(bits[i] - '0')
		if v, ok := fields[bits[i]]; ok {
			b = v & 1
			fields[bits[i]] = v >> 1
		}
		out[i/8] |= byte(b << (7 - i%8))
	}
	return out
}

// disassembly is the instruction as GNU's objdump writes it.
func (x dot) disassembly() string {
	return fmt.Sprintf("{vex} %s %%ymm%d,%%ymm%d,%%ymm%d", strings.ToLower(x.op), x.n, x.v, x.d)
}

var (
	bytesLine = regexp.MustCompile(`^\t((?:BYTE \$0x[0-9a-f]{2}; ){5})// ((VPDP[A-Z]+) Y(\d+), Y(\d+), Y(\d+))$`)
	dotLine   = regexp.MustCompile(`^\t(VPDP[A-Z]+) +(Y\d+, Y\d+, Y\d+)$`)
	textLine  = regexp.MustCompile(`^TEXT ·(\w+)\(SB\), (.*)$`)
	dataLine  = regexp.MustCompile(`^DATA (\w+)<>\+\d+\(SB\)/8, \$(0x[0-9a-f]+)$`)
	constant  = regexp.MustCompile(`\bconst\d+<>`)
)

// vexDot reads a line of bytes.
func vexDot(line string) (code []byte, x dot, ok bool) {
	f := bytesLine.FindStringSubmatch(line)
	if f == nil {
		return nil, x, false
	}
	code, _ = hex.DecodeString(strings.NewReplacer("BYTE $0x", "", "; ", "").Replace(f[1]))
	x.op = f[3]
	for i, n := range []*int{&x.n, &x.v, &x.d} {
		*n, _ = strconv.Atoi(f[4+i])
	}
	return code, x, true
}

func asmFiles(t *testing.T, pattern string) map[string][]string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("files %s: %v, error %v", pattern, names, err)
	}
	files := map[string][]string{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = strings.Split(string(b), "\n")
	}
	return files
}

// The bytes of every dot product of the AVX-VNNI kernels are those that the manual's fields give for the instruction in the
// comment beside them, and, where a disassembler is at hand, it reads them so.
func TestVEXEncodings(t *testing.T) {
	seen := map[dot]bool{}
	var code []byte
	var want []string
	for name, lines := range asmFiles(t, "avxvnni_*_amd64.s") {
		for i, line := range lines {
			got, x, ok := vexDot(line)
			if !ok {
				if strings.Contains(line, "BYTE") || strings.Contains(line, "VPDP") {
					t.Fatalf("%s:%d: cannot read %q", name, i+1, line)
				}
				continue
			}
			if derived := x.encode(vexLayout); !bytes.Equal(got, derived) {
				t.Errorf("%s:%d: %v is % x, the manual's fields give % x", name, i+1, x, got, derived)
			}
			if !seen[x] {
				seen[x] = true
				code, want = append(code, got...), append(want, x.disassembly())
			}
		}
	}
	if len(seen) < 50 {
		t.Errorf("%d different dot products, there should be more", len(seen))
	}
	t.Run("disassembly", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "code")
		if err := os.WriteFile(file, code, 0o600); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, in := range disassembleAMD64(t, "-D", "-b", "binary", "-m", "i386:x86-64", file) {
			got = append(got, in.text)
		}
		if !slices.Equal(got, want) {
			t.Errorf("disassembled as\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// functionsOf returns the lines of every function of the files, with the content of constants in place of their names.
func functionsOf(t *testing.T, pattern string) map[string][]string {
	fs := map[string][]string{}
	for _, lines := range asmFiles(t, pattern) {
		data := map[string]string{}
		for _, line := range lines {
			if f := dataLine.FindStringSubmatch(line); f != nil {
				data[f[1]+"<>"] += f[2]
			}
		}
		name := ""
		for _, line := range lines {
			if f := textLine.FindStringSubmatch(line); f != nil {
				name, line = f[1], f[2]
			} else if line == "" || !strings.HasPrefix(line, "\t") && !strings.HasSuffix(line, ":") {
				continue
			}
			if x, y := bytesLine.FindStringSubmatch(line), dotLine.FindStringSubmatch(line); x != nil {
				line = x[2]
			} else if y != nil {
				line = y[1] + " " + y[2]
			}
			line = constant.ReplaceAllStringFunc(line, func(c string) string { return data[c] })
			fs[name] = append(fs[name], strings.Join(strings.Fields(line), " "))
		}
	}
	return fs
}

// twinName is the function with the same code in the encoding of AVX-512.
func twinName(name string, all map[string][]string) string {
	rest := strings.TrimPrefix(name, "avxvnni")
	if all["evex"+rest] != nil {
		return "evex" + rest
	}
	return "vnni" + rest
}

// Every AVX-VNNI kernel has a twin, line by line the same but for the encoding of its dot products, so that what a
// processor with AVX-512 VNNI computes with the twins is what one with AVX-VNNI computes with the kernels.
func TestTwinsAreTheSameCode(t *testing.T) {
	kernels, others := functionsOf(t, "avxvnni_*_amd64.s"), functionsOf(t, "evex_*_amd64.s")
	for name, lines := range functionsOf(t, "vnni_*_amd64.s") {
		others[name] = lines
	}
	if len(kernels) < 30 {
		t.Errorf("%d kernels, there should be more", len(kernels))
	}
	for name, lines := range kernels {
		if twin := twinName(name, others); !slices.Equal(lines, others[twin]) {
			t.Errorf("%s and %s differ", name, twin)
		}
	}
	t.Run("machine code", func(t *testing.T) { compareMachineCode(t, kernels, others) })
}

// instruction is one line of a disassembly.
type instruction struct {
	code []byte
	text string // without addresses
}

var (
	codeLine = regexp.MustCompile(`^\s*([0-9a-f]+):\t([0-9a-f ]+?)\s*\t(.*)$`)
	target   = regexp.MustCompile(`^(j\w+|jmp) .*$`)
	relative = regexp.MustCompile(`0x[0-9a-f]+\(%rip\).*$`)
)

func disassembleAMD64(t *testing.T, args ...string) (is []instruction) {
	objdump, err := exec.LookPath("objdump")
	if err != nil {
		t.Skip("no disassembler: objdump is not installed")
	}
	out, err := exec.Command(objdump, append([]string{"--insn-width=16"}, args...)...).Output()
	if err != nil {
		t.Fatalf("%s %v: %v", objdump, args, err)
	}
	for line := range strings.Lines(string(out)) {
		if f := codeLine.FindStringSubmatch(strings.TrimSuffix(line, "\n")); f != nil {
			code, err := hex.DecodeString(strings.ReplaceAll(f[2], " ", ""))
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			text := strings.Join(strings.Fields(f[3]), " ")
			text = relative.ReplaceAllString(target.ReplaceAllString(text, "$1"), "(%rip)")
			is = append(is, instruction{code, text})
		}
	}
	return is
}

// compareMachineCode compares instructions of this program: a dot product has the one or the other encoding, a branch may be
// longer or shorter, the distance to a constant another one, and all else is equal byte by byte.
func compareMachineCode(t *testing.T, kernels, others map[string][]string) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ranges := asmFunctions(t, path)
	load := func(name string) []instruction {
		f, ok := ranges[name]
		if !ok {
			t.Fatalf("%s is not in this program", name)
		}
		is := disassembleAMD64(t, "-d", fmt.Sprintf("--start-address=%#x", f.Entry), fmt.Sprintf("--stop-address=%#x", f.End), path)
		for is[len(is)-1].text == "int3" { // fills the space before the next function
			is = is[:len(is)-1]
		}
		return is
	}
	dots := 0
	for name := range kernels {
		twin := twinName(name, others)
		a, b := load(name), load(twin)
		if len(a) != len(b) {
			t.Errorf("%s has %d instructions, %s %d", name, len(a), twin, len(b))
			continue
		}
		for i := range a {
			var x dot
			_, err := fmt.Sscanf(a[i].text, "{vex} vpdp%4s %%ymm%d,%%ymm%d,%%ymm%d", &x.op, &x.n, &x.v, &x.d)
			switch {
			case err == nil:
				dots++
				x.op = "VPDP" + strings.ToUpper(x.op)
				if !bytes.Equal(a[i].code, x.encode(vexLayout)) || !bytes.Equal(b[i].code, x.encode(evexLayout)) {
					t.Errorf("%s: %v is % x, in %s % x", name, x, a[i].code, twin, b[i].code)
				}
			case a[i].text != b[i].text:
				t.Errorf("%s: %q, in %s %q", name, a[i].text, twin, b[i].text)
			case strings.HasPrefix(a[i].text, "j") || strings.Contains(a[i].text, "(%rip)"):
			case !bytes.Equal(a[i].code, b[i].code):
				t.Errorf("%s: %q is % x, in %s % x", name, a[i].text, a[i].code, twin, b[i].code)
			}
		}
	}
	if dots < 1000 {
		t.Errorf("%d dot products compared, there should be more", dots)
	}
}

// asmFunctions finds this package's assembly functions in a program.
func asmFunctions(t *testing.T, path string) map[string]gosym.Func {
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, lines := f.Section(".text"), f.Section(".gopclntab")
	if text == nil || lines == nil {
		t.Fatalf("%s has no .text or .gopclntab", path)
	}
	data, err := lines.Data()
	if err != nil {
		t.Fatal(err)
	}
	table, err := gosym.NewTable(nil, gosym.NewLineTable(data, text.Addr))
	if err != nil {
		t.Fatal(err)
	}
	fs := map[string]gosym.Func{}
	for _, f := range table.Funcs {
		name, ours := strings.CutPrefix(f.Name, "kvasir/quant/kernel.")
		if file, _, _ := table.PCToLine(f.Entry); ours && strings.HasSuffix(file, ".s") {
			fs[name] = f
		}
	}
	return fs
}

// Where a processor has several of the variants, it runs the first: AVX-512 VNNI, AVX-VNNI, AVX2. AVX-VNNI asks for nothing of
// AVX-512, which the processors that it is for do not have.
func TestVariantsOfAMD64AreInOrder(t *testing.T) {
	var names []string
	for _, v := range archTables() {
		names = append(names, v.Name)
		if v.Name == "avx-vnni" && (slices.Contains(v.Needs, cpu.AVX512) || !slices.Contains(v.Needs, cpu.AVXVNNI)) {
			t.Errorf("%s needs %v", v.Name, v.Needs)
		}
	}
	if want := []string{"avx512-vnni", "avx-vnni", "avx2"}; !slices.Equal(names, want) {
		t.Errorf("variants %v, want %v", names, want)
	}
}
