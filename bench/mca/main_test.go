package main

import (
	"strings"
	"testing"
)

// A function with a loop in a loop, a branch forwards in the outer one, and a second loop, as GNU's and LLVM's objdump
// write it.
const twoLoops = `
0000000000001000 <kvasir/quant/kernel.twoLoops.abi0>:
    1000:	ldr	x0, [sp, #8]
    1004:	mov	x1, #0x4                   	// #4
    1008:	ldp	q0, q1, [x10], #32
    100c:	ld1	{v0.h}[0], [x10], #2
    1010:	add	x11, x11, #0x22
    1014:	sdot	v24.4s, v20.16b, v0.4b[1]
    1018:	cbnz	x1, 1008 <kvasir/quant/kernel.twoLoops.abi0+0x8>
    101c:	cbz	x2, 1024 <kvasir/quant/kernel.twoLoops.abi0+0x24>
    1020:	add	x12, x12, #0x40
    1024:	b.ne	0x1008 <kvasir/quant/kernel.twoLoops.abi0+0x8>  // b.any
    1028:	ldr	q4, [x11]
    102c:	ldp	q5, q6, [x11, #16]
    1030:	cbz	x3, 1038 <kvasir/quant/kernel.twoLoops.abi0+0x38>
    1034:	add	x13, x13, #0x40
    1038:	cbnz	x4, 1028 <kvasir/quant/kernel.twoLoops.abi0+0x28>
    103c:	ret
0000000000002000 <kvasir/quant/kernel.twoLoops>:
    2000:	b	1000 <kvasir/quant/kernel.twoLoops.abi0>
`

func parsed(t *testing.T) functions {
	d, err := readDisassembly(strings.NewReader(twoLoops))
	if err != nil || d.arch != "arm64" {
		t.Fatalf("architecture %q, error %v", d.arch, err)
	}
	return d.functions
}

func TestInnerLoops(t *testing.T) {
	fs := parsed(t)
	if len(fs) != 1 || len(fs["twoLoops"]) != 16 {
		t.Fatalf("functions %v", fs)
	}
	loops := innerLoops(fs["twoLoops"])
	if len(loops) != 2 || loops[0][0].addr != 0x1008 || len(loops[0]) != 5 || loops[1][0].addr != 0x1028 || len(loops[1]) != 5 {
		t.Fatalf("inner loops %v", loops)
	}
	if way := taken(loops[1]); len(way) != 4 || way[2].op() != "cbz" || way[3].op() != "cbnz" {
		t.Errorf("the way that skips is %v", way)
	}
}

// What the table says of a loop is compared with what the loop does.
func TestBodyChecksTheTable(t *testing.T) {
	fs := parsed(t)
	for _, c := range []struct {
		l    loop
		want string
	}{
		{loop{symbol: "twoLoops", of: 2, bytes: 68, regs: "x10 x11"}, ""},
		{loop{symbol: "twoLoops", of: 2, bytes: 64, regs: "x10 x11"}, "goes over 68 bytes, want 64"},
		{loop{symbol: "twoLoops", nth: 1, of: 2, bytes: 48, regs: "x11"}, ""},
		{loop{symbol: "twoLoops", nth: 1, of: 2, bytes: 32, regs: "x11"}, "goes over 48 bytes, want 32"},
		{loop{symbol: "twoLoops", of: 1}, "has 2 inner loops, want 1"},
		{loop{symbol: "gone", of: 1}, "has 0 inner loops"},
	} {
		_, err := c.l.body(fs)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: error %v, want %q", c.l, err, c.want)
		}
	}
}

// GNU's objdump on a function of amd64: a register stands for four rows, loads through a register that another one moves.
const amd64Loop = `
kernel.test:     file format elf64-x86-64

0000000000001000 <kvasir/quant/kernel.rows.abi0>:
    1000:	vmovdqu 0xd3b09(%rip),%ymm1        # 67aec0 <const0>
    1008:	vmovdqu 0x2(%rax),%xmm2
    100d:	{vex} vpdpbusd %ymm6,%ymm2,%ymm9
    1012:	add    $0x12,%rax
    1016:	add    $0x12,%rdx
    101a:	dec    %r9
    101d:	jne    1008 <kvasir/quant/kernel.rows.abi0+0x8>
    1020:	vmovdqu (%rsi),%xmm8
    1024:	vmovdqu (%rsi,%rdi,1),%xmm9
    1028:	lea    (%rsi,%rdi,2),%rsi
    102c:	jne    1020 <kvasir/quant/kernel.rows.abi0+0x20>
    1030:	ret
`

func TestLoopsOfAMD64(t *testing.T) {
	d, err := readDisassembly(strings.NewReader(amd64Loop))
	if err != nil || d.arch != "amd64" {
		t.Fatalf("architecture %q, error %v", d.arch, err)
	}
	if text := d.functions["rows"][0].text; text != "vmovdqu 0xd3b09(%rip),%ymm1" {
		t.Errorf("a comment is left in %q", text)
	}
	for _, l := range []loop{
		{symbol: "rows", of: 2, bytes: 144, regs: "%rax %rdx", rows: 4},
		{symbol: "rows", nth: 1, of: 2, bytes: 32, regs: "%rsi"},
	} {
		if _, err := l.body(d.functions); err != nil {
			t.Error(err)
		}
		l.bytes++
		if _, err := l.body(d.functions); err == nil {
			t.Errorf("%+v: the bytes are not checked", l)
		}
	}
}

func TestReadResults(t *testing.T) {
	const out = `
[0] Code Region - 7

Iterations:        300
Instructions:      15900
Total Cycles:      3600
Total uOps:        18300

[1] Code Region - 2

Iterations:        100
Instructions:      500
Total Cycles:      200
`
	rs, err := readResults(strings.NewReader(out))
	if err != nil || len(rs) != 2 || rs[7] != (result{53, 12}) || rs[2] != (result{5, 2}) {
		t.Errorf("results %v, error %v", rs, err)
	}
}

// A row without a bound is no row: with every loop ten times its budget none may be called bound by memory.
func TestVerdicts(t *testing.T) {
	for _, m := range machines {
		slow, fast := map[int]result{}, map[int]result{}
		for i, l := range m.loops() {
			slow[i] = result{1, 10 * m.budget() * float64(max(l.bytes, 1))}
			fast[i] = result{1, 0.1 * m.budget() * float64(max(l.bytes, 1)) / float64(max(l.passes, 1))}
		}
		var a, b strings.Builder
		m.write(&a, slow)
		m.write(&b, fast)
		if n := strings.Count(a.String(), "**no"); n != len(m.decode) {
			t.Errorf("%s: %d of %d loops miss a tenfold budget", m.cpu, n, len(m.decode))
		}
		if n := strings.Count(b.String(), "| yes"); n != len(m.decode) {
			t.Errorf("%s: %d of %d loops keep a tenth of the budget", m.cpu, n, len(m.decode))
		}
	}
}
