package main

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// insn is one instruction of a disassembly.
type insn struct {
	addr   uint64
	text   string // mnemonic and operands, a branch without its target
	target uint64 // of a branch inside a function, else 0
}

func (i insn) op() string { op, _, _ := strings.Cut(i.text, " "); return op }

// functions are the assembly functions of a disassembly, by their short names.
type functions map[string][]insn

// disassembly is what objdump prints of one program.
type disassembly struct {
	arch string // Go's name
	functions
}

var (
	headerLine = regexp.MustCompile(`^[0-9a-f]+ <kvasir/quant/kernel\.(\w+)\.abi0>:$`)
	insnLine   = regexp.MustCompile(`^\s*([0-9a-f]+):\t(.*)$`)
	branchTo   = regexp.MustCompile(`\b(?:0x)?([0-9a-f]+) <[^>]*>$`)
)

// readDisassembly reads what `objdump -d --no-show-raw-insn` prints, of GNU or, for arm64, LLVM.
func readDisassembly(r io.Reader) (d disassembly, err error) {
	d = disassembly{"arm64", functions{}}
	name := ""
	s := bufio.NewScanner(r)
	for s.Scan() {
		line := s.Text()
		if strings.HasSuffix(line, "file format elf64-x86-64") {
			d.arch = "amd64"
		}
		if strings.HasSuffix(line, ">:") {
			name = ""
			if f := headerLine.FindStringSubmatch(line); f != nil {
				name = f[1]
			}
			continue
		}
		f := insnLine.FindStringSubmatch(line)
		if name == "" || f == nil {
			continue
		}
		in, err := parseInsn(f[1], f[2])
		if err != nil {
			return d, fmt.Errorf("%s: %q: %w", name, line, err)
		}
		d.functions[name] = append(d.functions[name], in)
	}
	return d, s.Err()
}

func parseInsn(addr, text string) (in insn, err error) {
	if in.addr, err = strconv.ParseUint(addr, 16, 64); err != nil {
		return in, err
	}
	text, _, _ = strings.Cut(text, "//")
	text, _, _ = strings.Cut(text, " # ")
	in.text = strings.Join(strings.Fields(text), " ")
	if f := branchTo.FindStringSubmatch(in.text); f != nil {
		if in.target, err = strconv.ParseUint(f[1], 16, 64); err != nil {
			return in, err
		}
		in.text = strings.TrimSuffix(in.text, f[0])
	}
	return in, nil
}

// innerLoops returns the loops of a function that hold no other, in the order of their addresses. A loop is what lies
// between a branch backwards and its target.
func innerLoops(f []insn) (loops [][]insn) {
	type span struct{ from, to int }
	var spans []span
	for to, in := range f {
		if in.target == 0 || in.target > in.addr {
			continue
		}
		if from := slices.IndexFunc(f, func(i insn) bool { return i.addr == in.target }); from >= 0 {
			spans = append(spans, span{from, to})
		}
	}
	for _, s := range spans {
		holds := func(o span) bool { return o != s && s.from <= o.from && o.to <= s.to }
		if !slices.ContainsFunc(spans, holds) {
			loops = append(loops, f[s.from:s.to+1])
		}
	}
	slices.SortFunc(loops, func(a, b []insn) int { return int(a[0].addr) - int(b[0].addr) })
	return loops
}

// taken leaves out what the loop's branches forwards skip: the additions of minima.
func taken(loop []insn) (way []insn) {
	skip := uint64(0)
	for _, in := range loop {
		if in.addr < skip {
			continue
		}
		way = append(way, in)
		if in.target > in.addr {
			skip = in.target
		}
	}
	return way
}

var (
	addImmediate = regexp.MustCompile(`^add (x\d+), (x\d+), #(0x[0-9a-f]+|\d+)$`)
	postIndex    = regexp.MustCompile(`\[(x\d+)\], #(0x[0-9a-f]+|\d+)$`)
	plainLoad    = regexp.MustCompile(`^(ldr|ldp|ldur) .*\[(x\d+)(?:, #[-0-9a-fx]+)?\]$`)

	addAMD64  = regexp.MustCompile(`^add \$(0x[0-9a-f]+|\d+),(%r\w+)$`)
	loadAMD64 = regexp.MustCompile(`^vmovdqu (?:0x[0-9a-f]+)?\((%r\w+)[^%]*.*\),%xmm\d+$`)
)

// advance is the number of bytes by which the loop moves the registers on: those of the weights it reads.
func advance(loop []insn, regs []string) (n int) {
	for _, in := range loop {
		f := addImmediate.FindStringSubmatch(in.text)
		if f != nil && f[1] == f[2] && slices.Contains(regs, f[1]) {
			n += number(f[3])
		} else if f = postIndex.FindStringSubmatch(in.text); f != nil && slices.Contains(regs, f[1]) {
			n += number(f[2])
		} else if f = addAMD64.FindStringSubmatch(in.text); f != nil && slices.Contains(regs, f[2]) {
			n += number(f[1])
		}
	}
	return n
}

// loaded is the number of bytes that the loop's vector loads read at the registers, for those that move by a register.
func loaded(loop []insn, regs []string) (n int) {
	for _, in := range loop {
		if f := loadAMD64.FindStringSubmatch(in.text); f != nil && slices.Contains(regs, f[1]) {
			n += 16
		}
		f := plainLoad.FindStringSubmatch(in.text)
		if f == nil || !slices.Contains(regs, f[2]) || !strings.Contains(in.text, " q") {
			continue
		}
		n += 16
		if f[1] == "ldp" {
			n += 16
		}
	}
	return n
}

func number(s string) int {
	n, err := strconv.ParseInt(s, 0, 32)
	if err != nil {
		panic(err) // the expressions above match numbers only
	}
	return int(n)
}
