package main

import "slices"

// The loops of amd64 with vectors of 256 bits: eight rows of weights, behind two registers.

// formats256 are the bytes of a block per type, and its name in the functions' names.
var formats256 = []struct {
	name, symbol string
	bytes        int
}{
	{"Q4_0", "Q4_0", 18}, {"Q4_1", "Q4_1", 20}, {"Q5_0", "Q5_0", 22}, {"Q5_1", "Q5_1", 24}, {"Q8_0", "Q8_0", 34}, {"IQ4_NL", "IQ4NL", 18},
	{"MXFP4", "MXFP4", 17}, {"Q2_K", "Q2K", 84}, {"Q3_K", "Q3K", 110}, {"Q4_K", "Q4K", 144}, {"Q5_K", "Q5K", 176}, {"Q6_K", "Q6K", 210},
	{"IQ4_XS", "IQ4XS", 136}, {"TQ1_0", "TQ1", 54}, {"TQ2_0", "TQ2", 66},
}

func rows256(prefix string) (ls []loop) {
	for _, f := range formats256 {
		ls = append(ls, loop{name: f.name, symbol: prefix + f.symbol, of: 1, bytes: 8 * f.bytes, regs: "%rax %rdx", rows: 4})
	}
	return ls
}

var rowsAVX2, rowsVNNI = rows256("avx2MatVec"), rows256("avxvnniMatVec")

// attention256 are eight keys of 16 values for a query and four for two, and 16 values of two rows; mixOne does that for one
// query.
func attention256(prefix, mixOne string) []loop {
	scores1 := loop{name: "q.K int8", symbol: prefix + "ScoresInt8x1", of: 1, bytes: 128, regs: "%rcx %r8", rows: 4}
	scores2 := loop{name: "q.K int8", symbol: prefix + "ScoresInt8x2", of: 1, bytes: 64, regs: "%rdx", rows: 4}
	mix1 := loop{name: "p.V int8", symbol: mixOne, of: 1, bytes: 32, regs: "%rsi"}
	mix4 := loop{name: "p.V int8", symbol: prefix + "MixInt8x4", of: 1, bytes: 32, regs: "%rsi"}
	return []loop{grouped(scores1, 1, 1), grouped(scores2, 4, 2), grouped(scores2, 8, 4), grouped(mix1, 1, 1), grouped(mix4, 4, 1), grouped(mix4, 8, 2)}
}

// panels256 are the inner loops of the matrix products: a block of 32 values, or a group of 32 of a block of 256, of so
// many rows and four columns.
func panels256(prefix string, nRows int, not ...string) (ls []loop) {
	for _, f := range formats256 {
		if !slices.Contains(not, f.name) {
			ls = append(ls, loop{name: f.name, symbol: prefix + f.symbol, of: 1, macs: nRows * 4 * 32})
		}
	}
	return ls
}

var (
	panelsAVX2 = slices.Concat(panels256("avx2Mul", 8, "Q8_0", "IQ4_NL", "IQ4_XS"), []loop{
		{name: "Q8_0, IQ4_NL", symbol: "avx2MulWords32", of: 1, macs: 16 * 4 * 32},
		{name: "IQ4_XS", symbol: "avx2MulWords256", of: 1, macs: 16 * 4 * 32},
	})
	panelsVNNI = panels256("avxvnniMul", 16)
)
