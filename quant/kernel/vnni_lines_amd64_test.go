package kernel

import (
	"testing"

	"kvasir/quant"
)

// Rows of every length that the kernel of lines takes, and of the lengths beside those, give the bits of reference: a step
// may end within a row or with it, and the last rows may be computed twice.
func TestLinesOfEveryLength(t *testing.T) {
	v := Named("avx512-vnni")
	if v == nil {
		t.Skip("needs AVX-512 VNNI; where the processor has it KVASIR_REQUIRE_KERNELS names it")
	}
	b, seed := newBench(t), testSeed(t)
	for n := lineBlocks32 - 1; n <= maxLineBlocks32+1; n++ {
		g := newGen(uint64(seed) + uint64(n))
		product{typ: quant.Q4_0, rows: []int{lineRows, lineRows + 1, 2*lineRows - 1, lineRows - 1}[g.IntN(4)], k: blocks(quant.Q4_0, n), col: g.IntN(2), n: 1,
			weights: "plain", acts: actKinds[g.IntN(len(actKinds))], where: place(g.IntN(2))}.check(b, g, v, referenceTable())
	}
}
