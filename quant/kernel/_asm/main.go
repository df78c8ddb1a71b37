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

	. "github.com/mmcloughlin/avo/build"
)

var parts = map[string]func(){
	"avx2-matvec":    func() { matVec("avx2MatVec", false) },
	"vnni-attention": func() { int8Attention("vnni", true) },
	"vnni-matvec":    func() { matVec("vnniMatVec", true) },
	"vnni-lines":     vnniLines,
	"avx2-matmul":    avx2MatMul,
	"avx2-words":     wordMatMul,
	"avx2-rows":      avx2Rows,
	"avx2-float":     avx2Float,
	"avx2-attention": avx2Attention,
	"vnni-matmul":    vnniMatMul,
	"panel16":        func() { unpackPanels(16) },
	"avx512-float":   func() { avx512Float(); avx512FloatRows() },
	"panel8":         func() { unpackPanels(8) },
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
}
