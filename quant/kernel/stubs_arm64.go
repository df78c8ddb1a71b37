package kernel

import "unsafe"

// The assembly functions; each is described above its TEXT.

//go:noescape
func neonQ8_0Rows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)

//go:noescape
func neonQ4_0Rows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)

//go:noescape
func neonQ4_KRows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)

//go:noescape
func neonQ6_KRows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)

//go:noescape
func neonMulWide32(dst0, dst1 *float32, rows int, panel *byte, blocks int, q0, q1 *int8, d0, d1 *float32)

//go:noescape
func neonMulNarrow32(dst0, dst1 *float32, rows int, panel *byte, blocks int, q0, q1 *int8, d0, d1 *float32)

//go:noescape
func neonMul256(dst0, dst1 *float32, rows int, panel *byte, blocks int, q0, q1 *int8, d0, d1 *float32, s0, s1 *int16, mins int)

//go:noescape
func neonUnpackQ8_0(panel, row *byte, blocks, lane int)

//go:noescape
func neonUnpackQ4_0(panel, row *byte, blocks, lane int)

//go:noescape
func neonUnpackQ4_K(panel, row *byte, blocks, lane int)

//go:noescape
func neonUnpackQ6_K(panel, row *byte, blocks, lane int)

//go:noescape
func neonF32Rows(dst *float32, rows int, w *byte, stride, k int, x *float32, pf unsafe.Pointer)

//go:noescape
func neonF16Rows(dst *float32, rows int, w *byte, stride, k int, x *float32, pf unsafe.Pointer)

//go:noescape
func neonBF16Rows(dst *float32, rows int, w *byte, stride, k int, x *float32, pf unsafe.Pointer)

//go:noescape
func neonScoresInt8x4(dst *float32, q *int16, qs *float32, heads int, k, ks *byte, headDim int)

//go:noescape
func neonScoresInt8x1(dst *float32, q *int16, qs *float32, keys int, k, ks *byte, headDim int)

//go:noescape
func neonMixInt8x4(acc *int32, w *int16, heads int, v *byte, n, headDim int)

//go:noescape
func neonMixInt8x1(acc *int32, w *int16, v *byte, n, headDim int)

//go:noescape
func neonScoresF16x4(dst, q *float32, heads int, k *byte, n, headDim int)

//go:noescape
func neonMixF16x1(acc, p *float32, v *byte, n, headDim int)

//go:noescape
func neonMixF16(acc, p *float32, heads int, v *byte, n, headDim int)

//go:noescape
func neonMixF32(acc, p *float32, heads int, v *byte, n, headDim int)

//go:noescape
func neonQ5_0Rows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)

//go:noescape
func neonQ5_KRows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)

//go:noescape
func neonUnpackQ5_0(panel, row *byte, blocks, lane int)

//go:noescape
func neonUnpackQ5_K(panel, row *byte, blocks, lane int)

//go:noescape
func neonQ2_KRows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)

//go:noescape
func neonQ3_KRows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)

//go:noescape
func neonIQ4_NLRows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)

//go:noescape
func neonIQ4_XSRows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)

//go:noescape
func neonQ4_1Rows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)

//go:noescape
func neonQ5_1Rows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)

//go:noescape
func neonMXFP4Rows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)

//go:noescape
func neonTQ2_0Rows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)

//go:noescape
func neonUnpackIQ4_NL(panel, row *byte, blocks, lane int)
