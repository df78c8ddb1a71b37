package kernel

//go:noescape
func neonSwiGLU(dst, gate, up *float32, n int)

//go:noescape
func neonGeGLU(dst, gate, up *float32, n int)

//go:noescape
func neonExpSum(p, s *float32, n int, m float32, sums *lanes)

//go:noescape
func neonQuantize32(q *int8, d *float32, s *int32, x *float32, groups int)

//go:noescape
func neonMaxAbs(x *float32, n int) float32

//go:noescape
func neonMax(x *float32, n int) float32

//go:noescape
func neonQuantize8(q *int8, x *float32, n int, inv float32)

//go:noescape
func neonSums16(s *int16, q *int8, n int)

//go:noescape
func neonQuantize16(q *int16, x *float32, n int, inv float32, limit int)

//go:noescape
func neonToHalf(dst *byte, x *float32, n int)

//go:noescape
func neonScaleHalf(p *float32, h *byte, n int) float32

//go:noescape
func neonSumSquares(x *float32, n int, sums *lanes)

//go:noescape
func neonScaled(dst, x *float32, n int, f float32)

//go:noescape
func neonScaledBy(dst, x, w *float32, n int, f float32)

//go:noescape
func neonAdd(dst, a *float32, n int)

//go:noescape
func neonMerge(o, y *float32, n int, a, b float32)

//go:noescape
func neonIntToFloat(dst *float32, src *int32, n int, f float32)

//go:noescape
func neonRopePairs(x, cos, sin *float32, n int)

//go:noescape
func neonRopeHalves(a, b, cos, sin *float32, n int)

//go:noescape
func neonHadamard4(x *float32, n int)

//go:noescape
func neonHadamardStep(x *float32, n, h int)
