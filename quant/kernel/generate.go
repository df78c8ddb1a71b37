package kernel

//go:generate go -C _asm run . -part avx2-matvec -out ../avx2_matvec_amd64.s -stubs ../avx2_matvec_amd64.go -pkg kernel
//go:generate go -C _asm run . -part avx2-matmul -out ../avx2_matmul_amd64.s -stubs ../avx2_matmul_amd64.go -pkg kernel
//go:generate go -C _asm run . -part panel8 -out ../panel8_amd64.s -stubs ../panel8_amd64.go -pkg kernel
