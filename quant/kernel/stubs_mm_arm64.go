package kernel

//go:noescape
func mmMul32(dst *float32, stride, rows, cols int, panel *byte, blocks int, q *int8, k int, d *float32, s *int32, mins int)

//go:noescape
func mmMul256(dst *float32, stride, rows, cols int, panel *byte, blocks int, q *int8, k int, d *float32, s *int16, mins int)

//go:noescape
func mmMul256x(dst *float32, stride, rows, cols int, panel *byte, blocks int, q *int8, k int, d *float32, s *int16, mins int)

//go:noescape
func mmUnpackQ8_0(panel *byte, rows int, w *byte, stride, blocks int)

//go:noescape
func mmUnpackQ4_0(panel *byte, rows int, w *byte, stride, blocks int)

//go:noescape
func mmUnpackQ4_K(panel *byte, rows int, w *byte, stride, blocks int)

//go:noescape
func mmUnpackQ6_K(panel *byte, rows int, w *byte, stride, blocks int)

//go:noescape
func mmUnpackQ5_0(panel *byte, rows int, w *byte, stride, blocks int)

//go:noescape
func mmUnpackQ5_K(panel *byte, rows int, w *byte, stride, blocks int)

//go:noescape
func mmUnpackIQ4_NL(panel *byte, rows int, w *byte, stride, blocks int)

//go:noescape
func mmUnpackQ4_1(panel *byte, rows int, w *byte, stride, blocks int)

//go:noescape
func mmUnpackQ5_1(panel *byte, rows int, w *byte, stride, blocks int)
