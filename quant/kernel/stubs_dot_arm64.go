package kernel

import "unsafe"

//go:noescape
func dotQ8_0Rows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)

//go:noescape
func dotQ4_0Rows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)

//go:noescape
func dotQ4_KRows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)

//go:noescape
func dotQ6_KRows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)

//go:noescape
func dotMul32(dst *float32, stride, rows, cols int, panel *byte, blocks int, q *int8, k int, d *float32, s *int32, mins int)

//go:noescape
func dotMul256(dst *float32, stride, rows, cols int, panel *byte, blocks int, q *int8, k int, d *float32, s *int16, mins int)

//go:noescape
func dotMul256x(dst *float32, stride, rows, cols int, panel *byte, blocks int, q *int8, k int, d *float32, s *int16, mins int)

//go:noescape
func dotUnpackQ8_0(panel *byte, rows int, w *byte, stride, blocks int)

//go:noescape
func dotUnpackQ4_0(panel *byte, rows int, w *byte, stride, blocks int)

//go:noescape
func dotUnpackQ4_K(panel *byte, rows int, w *byte, stride, blocks int)

//go:noescape
func dotUnpackQ6_K(panel *byte, rows int, w *byte, stride, blocks int)

//go:noescape
func dotSplit(planes *int8, q *int16, n int)

//go:noescape
func dotScores(dst *float32, planes *int8, qs *float32, heads int, k, ks *byte, keys, headDim int)

//go:noescape
func dotUnpackQ5_0(panel *byte, rows int, w *byte, stride, blocks int)

//go:noescape
func dotQ5_0Rows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)

//go:noescape
func dotUnpackQ5_K(panel *byte, rows int, w *byte, stride, blocks int)

//go:noescape
func dotQ5_KRows(dst *float32, rows int, w *byte, stride, blocks int, q *int8, d *float32, s, pf unsafe.Pointer)

//go:noescape
func dotUnpackIQ4_NL(panel *byte, rows int, w *byte, stride, blocks int)

//go:noescape
func dotUnpackQ4_1(panel *byte, rows int, w *byte, stride, blocks int)

//go:noescape
func dotUnpackQ5_1(panel *byte, rows int, w *byte, stride, blocks int)

//go:noescape
func dotMix(acc *int32, w *int16, v *byte, n, headDim int)
