package kernel

//go:generate go -C _asm run . -part avx2-matvec -out ../avx2_matvec_amd64.s -stubs ../avx2_matvec_stubs_amd64.go -pkg kernel
//go:generate go -C _asm run . -part avx2-matmul -out ../avx2_matmul_amd64.s -stubs ../avx2_matmul_stubs_amd64.go -pkg kernel
//go:generate go -C _asm run . -part avx2-words -out ../avx2_words_amd64.s -stubs ../avx2_words_stubs_amd64.go -pkg kernel
//go:generate go -C _asm run . -part panel8 -out ../panel8_amd64.s -stubs ../panel8_stubs_amd64.go -pkg kernel
//go:generate go -C _asm run . -part avx2-rows -out ../avx2_rows_amd64.s -stubs ../avx2_rows_stubs_amd64.go -pkg kernel
//go:generate go -C _asm run . -part avx2-float -out ../avx2_float_amd64.s -stubs ../avx2_float_stubs_amd64.go -pkg kernel
//go:generate go -C _asm run . -part avx2-attention -out ../avx2_attention_amd64.s -stubs ../avx2_attention_stubs_amd64.go -pkg kernel
//go:generate go -C _asm run . -part panel16 -out ../panel16_amd64.s -stubs ../panel16_stubs_amd64.go -pkg kernel
//go:generate go -C _asm run . -part vnni-matmul -out ../vnni_matmul_amd64.s -stubs ../vnni_matmul_stubs_amd64.go -pkg kernel
//go:generate go -C _asm run . -part vnni-matvec -out ../vnni_matvec_amd64.s -stubs ../vnni_matvec_stubs_amd64.go -pkg kernel
//go:generate go -C _asm run . -part vnni-lines -out ../vnni_lines_amd64.s -stubs ../vnni_lines_stubs_amd64.go -pkg kernel
//go:generate go -C _asm run . -part avx512-float -out ../avx512_float_amd64.s -stubs ../avx512_float_stubs_amd64.go -pkg kernel
//go:generate go -C _asm run . -part vnni-attention -out ../vnni_attention_amd64.s -stubs ../vnni_attention_stubs_amd64.go -pkg kernel
//go:generate go -C _asm run . -part avxvnni-matvec -out ../avxvnni_matvec_amd64.s -stubs ../avxvnni_matvec_stubs_amd64.go -pkg kernel
//go:generate go -C _asm run . -part avxvnni-matmul -out ../avxvnni_matmul_amd64.s -stubs ../avxvnni_matmul_stubs_amd64.go -pkg kernel
//go:generate go -C _asm run . -part avxvnni-attention -out ../avxvnni_attention_amd64.s -stubs ../avxvnni_attention_stubs_amd64.go -pkg kernel
//go:generate go -C _asm run . -part evex-matvec -out ../evex_matvec_amd64.s -stubs ../evex_matvec_stubs_amd64.go -pkg kernel
//go:generate go -C _asm run . -part evex-matmul -out ../evex_matmul_amd64.s -stubs ../evex_matmul_stubs_amd64.go -pkg kernel
//go:generate go -C _asm run . -part free-order -out ../../../bench/order/free_amd64.s -stubs ../../../bench/order/free_stubs_amd64.go -pkg main
