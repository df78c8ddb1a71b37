package kernel

import (
	"testing"

	"kvasir/quant"
)

// Rows of every length that the kernels of lines take, and of the lengths beside those, give the bits of reference: a step
// may end within a row or with it, and the last rows may be computed twice.
func TestLinesOfEveryLength(t *testing.T) {
	v := Named("avx512-vnni")
	if v == nil {
		t.Skip("needs AVX-512 VNNI; where the processor has it KVASIR_REQUIRE_KERNELS names it")
	}
	b, seed := newBench(t), testSeed(t)
	for _, c := range []struct {
		typ      quant.Type
		min, max int // blocks of a row
	}{{quant.Q4_0, lineBlocks32, maxLineBlocks32}, {quant.Q4_K, lineBlocks256, maxLineBlocks256}} {
		for n := c.min - 1; n <= c.max+1; n++ {
			g := newGen(uint64(seed) + uint64(n))
			product{typ: c.typ, rows: []int{lineRows, lineRows + 1, 2*lineRows - 1, lineRows - 1}[g.IntN(4)], k: blocks(c.typ, n), col: g.IntN(2), n: 1,
				weights: "plain", acts: actKinds[g.IntN(len(actKinds))], where: place(g.IntN(2))}.check(b, g, v, referenceTable())
		}
	}
}
