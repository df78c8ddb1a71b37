package main

import (
	"fmt"
	"slices"
	"strings"
)

// loop is one hot loop: the n-th inner one of a function, and what an iteration of it does.
type loop struct {
	name   string
	symbol string
	nth    int // of inner loops that the function has, in the order of their addresses
	of     int

	bytes  int    // of weights, keys or values that an iteration reads
	regs   string // the registers that point at them
	rows   int    // that each of these stands for; 0 is 1
	passes int    // how often the loop goes over the same bytes for all heads of a group; 0 is 1

	macs   int  // of a matrix product: multiplications of an iteration
	noMins bool // leave out what the loop's branches skip
}

// rows is a loop over four rows of weights, n bytes each.
func rows(name, symbol string, n int) loop {
	return loop{name: name, symbol: symbol, of: 1, bytes: 4 * n, regs: "x10 x11 x12 x13"}
}

// The bytes of a block per type, and of 16 values of the float types.
var decodeNEON = []loop{
	rows("Q4_0", "neonQ4_0Rows", 18),
	rows("Q4_1", "neonQ4_1Rows", 20),
	rows("Q5_0", "neonQ5_0Rows", 22),
	rows("Q5_1", "neonQ5_1Rows", 24),
	rows("Q8_0", "neonQ8_0Rows", 34),
	rows("IQ4_NL", "neonIQ4_NLRows", 18),
	rows("MXFP4", "neonMXFP4Rows", 17),
	rows("Q2_K", "neonQ2_KRows", 84),
	rows("Q3_K", "neonQ3_KRows", 110),
	rows("Q4_K", "neonQ4_KRows", 144),
	rows("Q5_K", "neonQ5_KRows", 176),
	rows("Q6_K", "neonQ6_KRows", 210),
	rows("IQ4_XS", "neonIQ4_XSRows", 136),
	rows("TQ2_0", "neonTQ2_0Rows", 66),
	floats("F16", "neonF16Rows", 32),
	floats("BF16", "neonBF16Rows", 32),
	floats("F32", "neonF32Rows", 64),
}

// floats is rows for a function that has a second loop, over the rest of a row.
func floats(name, symbol string, n int) loop {
	l := rows(name, symbol, n)
	l.of = 2
	return l
}

// withDot replaces the loops that FEAT_DotProd has of its own.
func withDot(neon []loop) []loop {
	own := map[string]string{
		"Q4_0": "dotQ4_0Rows", "Q5_0": "dotQ5_0Rows", "Q8_0": "dotQ8_0Rows",
		"Q4_K": "dotQ4_KRows", "Q5_K": "dotQ5_KRows", "Q6_K": "dotQ6_KRows",
	}
	var ls []loop
	for _, l := range neon {
		if s := own[l.name]; s != "" {
			l.symbol = s
		}
		ls = append(ls, l)
	}
	return ls
}

// grouped is l for a group of heads that share a KV head, which takes so many passes.
func grouped(l loop, heads, passes int) loop {
	plural := "s"
	if heads == 1 {
		plural = ""
	}
	l.name = fmt.Sprintf("%s, %d head%s", l.name, heads, plural)
	l.passes = passes
	return l
}

// The loops of attention: four keys of 16 values, 16 values of eight, sixteen or one row.
var (
	scores1   = keys("q.K int8", "neonScoresInt8x1", 2, 64)
	scores4   = keys("q.K int8", "neonScoresInt8x4", 1, 64)
	scoresDot = keys("q.K int8", "dotScores", 1, 64)
	mix1      = values("p.V int8", "neonMixInt8x1", 2, 128)
	mix4      = values("p.V int8", "neonMixInt8x4", 2, 128)
	mixDot    = values("p.V int8", "dotMix", 1, 256)

	scoresF16x1 = keys("q.K f16", "neonF16Rows", 2, 128)
	scoresF16x4 = loop{name: "q.K f16", symbol: "neonScoresF16x4", of: 1, bytes: 32, regs: "x10"}
	mixF16x1    = values("p.V f16", "neonMixF16x1", 1, 32)
	mixF16x4    = values("p.V f16", "neonMixF16", 1, 32)
)

func keys(name, symbol string, of, n int) loop {
	return loop{name: name, symbol: symbol, of: of, bytes: n, regs: "x10 x11 x12 x13"}
}

func values(name, symbol string, of, n int) loop {
	return loop{name: name, symbol: symbol, of: of, bytes: n, regs: "x11"}
}

var attentionF16 = []loop{
	grouped(scoresF16x1, 1, 1), grouped(scoresF16x4, 4, 1), grouped(scoresF16x4, 8, 2),
	grouped(mixF16x1, 1, 1), grouped(mixF16x4, 4, 1), grouped(mixF16x4, 8, 2),
}

var (
	attentionNEON = slices.Concat([]loop{
		grouped(scores1, 1, 1), grouped(scores4, 4, 1), grouped(scores4, 8, 2),
		grouped(mix1, 1, 1), grouped(mix4, 4, 1), grouped(mix4, 8, 2),
	}, attentionF16)
	attentionDot = slices.Concat([]loop{
		grouped(scoresDot, 1, 1), grouped(scoresDot, 4, 2), grouped(scoresDot, 8, 4),
		grouped(mix1, 1, 1), grouped(mixDot, 4, 2), grouped(mixDot, 8, 4),
	}, attentionF16)
)

// The inner loops of the matrix products: rows x columns x values of an iteration.
var (
	panelsNEON = []loop{
		{name: "wide, blocks of 32", symbol: "neonMulWide32", of: 1, macs: 4 * 2 * 32},
		{name: "narrow, blocks of 32", symbol: "neonMulNarrow32", of: 1, macs: 4 * 2 * 32},
		{name: "blocks of 256", symbol: "neonMul256", of: 1, macs: 4 * 2 * 256, noMins: true},
	}
	panelsDot = []loop{
		{name: "blocks of 32", symbol: "dotMul32", of: 1, macs: 4 * 4 * 32, noMins: true},
		{name: "groups of 16", symbol: "dotMul256", of: 1, macs: 4 * 4 * 16},
		{name: "groups of 32", symbol: "dotMul256x", of: 1, macs: 4 * 4 * 32},
	}
	panelsMM = []loop{
		{name: "blocks of 32", symbol: "mmMul32", of: 1, macs: 4 * 4 * 32, noMins: true},
		{name: "groups of 16", symbol: "mmMul256", of: 1, macs: 4 * 4 * 16},
		{name: "groups of 32", symbol: "mmMul256x", of: 1, macs: 4 * 4 * 32},
	}
)

// body finds the loop in the disassembly and checks what is said of it.
func (l loop) body(fs functions) ([]insn, error) {
	loops := innerLoops(fs[l.symbol])
	if len(loops) != l.of {
		return nil, fmt.Errorf("%s: %s has %d inner loops, want %d", l.name, l.symbol, len(loops), l.of)
	}
	b := loops[l.nth]
	if l.noMins {
		b = taken(b)
	}
	if l.bytes == 0 {
		return b, nil
	}
	regs := strings.Fields(l.regs)
	n := advance(b, regs)
	if n == 0 {
		n = loaded(b, regs)
	}
	n *= max(1, l.rows)
	if n != l.bytes {
		return nil, fmt.Errorf("%s: the loop of %s goes over %d bytes, want %d", l.name, l.symbol, n, l.bytes)
	}
	return b, nil
}
