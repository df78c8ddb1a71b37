// Command _asm generates the amd64 kernels. One run writes one part:
//
//	go run . -part avx2-matvec -out ../avx2_matvec_amd64.s -stubs ../avx2_matvec_amd64.go -pkg kernel
//
// The go:generate lines of ../generate.go list the parts.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	. "github.com/mmcloughlin/avo/build"
)

var parts = map[string]func(){
	"avx2-matvec":    func() { matVec("avx2MatVec", dotNone) },
	"vnni-attention": func() { int8Attention("vnni", 1, true) },
	"vnni-matvec":    func() { matVec("vnniMatVec", dotHigh) },
	"vnni-lines":     lineQ4_0,
	"avx2-matmul":    avx2MatMul,
	"avx2-words":     wordMatMul,
	"avx2-rows":      avx2Rows,
	"avx2-float":     avx2Float,
	"avx2-attention": avx2Attention,
	"vnni-matmul":    vnniMatMul,
	"panel16":        func() { unpackPanels(16) },
	"avx512-float":   func() { avx512Float(); avx512FloatRows() },
	"panel8":         func() { unpackPanels(8) },

	// For AVX-VNNI, and the same code with the dot products of AVX-512 VNNI where no part above has it.
	"avxvnni-matvec":    func() { matVec("avxvnniMatVec", dot16) },
	"avxvnni-matmul":    func() { dotMatMul("avxvnniMul") },
	"avxvnni-attention": func() { int8Attention("avxvnni", 2, true) },
	"evex-matvec":       func() { matVecTwins("evexMatVec") },
	"evex-matmul":       func() { dotMatMul("evexMul") },

	"free-order": freeOrder, // of bench/order
}

func main() {
	part := flag.String("part", "", "which kernels to generate")
	flag.Parse()
	generate, ok := parts[*part]
	if !ok {
		fmt.Fprintf(os.Stderr, "unknown part %q\n", *part)
		os.Exit(2)
	}
	ConstraintExpr("amd64")
	generate()
	Generate()
	if strings.HasPrefix(*part, "avxvnni-") {
		if err := writeVEX(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
