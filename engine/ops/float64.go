package ops

import "math"

// The standard library's exp, sin and pow have per-architecture assembly, and the compiler may fuse their multiply-adds
// on arm64 and riscv64. Rotary tables must be the same bits everywhere (docs/NUMERICS.md §4), so the three functions
// that they need are here, each product rounded by a conversion. They are good to about 1e-15 relative, far below the
// float32 they end in.

const (
	ln2Hi = 6.93147180369123816490e-01 // the first 32 bits of ln 2, so that n*ln2Hi is exact for |n| < 2^20
	ln2Lo = 1.90821492927058770002e-10
)

// exp64 returns e^x for |x| < 700.
func exp64(x float64) float64 {
	n := math.RoundToEven(float64(x * math.Log2E))
	r := x - float64(n*ln2Hi)
	r -= float64(n * ln2Lo)
	// Taylor, |r| <= 0.3466: the term of degree 14 is below 1e-17.
	p := 1.0
	for k := 14.0; k >= 1; k-- {
		p = 1 + float64(float64(r*p)/k)
	}
	return math.Ldexp(p, int(n))
}

// log64 returns the natural logarithm of a positive finite x.
func log64(x float64) float64 {
	m, e := math.Frexp(x) // m in [0.5, 1)
	if m < math.Sqrt2/2 {
		m *= 2
		e--
	}
	// log m = 2 atanh(s), |s| <= 0.1716: the term of degree 25 is below 1e-20.
	s := (m - 1) / (m + 1)
	z := float64(s * s)
	p := 0.0
	for k := 25.0; k >= 1; k -= 2 {
		p = 1/k + float64(z*p)
	}
	n := float64(e)
	return float64(n*ln2Hi) + (float64(n*ln2Lo) + float64(float64(2*s)*p))
}

// The Cody-Waite parts of pi/2: 33, 33 and 53 bits, so that n times the first two is exact for n < 2^20.
const (
	pio2A = 1.57079632673412561417e+00
	pio2B = 6.07710050630396597660e-11
	pio2C = 2.02226624879595063154e-21
)

// sincos64 returns sine and cosine of x, 0 <= x < 2^20.
func sincos64(x float64) (sin, cos float64) {
	n := math.RoundToEven(float64(x * (2 / math.Pi)))
	r := x - float64(n*pio2A)
	r -= float64(n * pio2B)
	r -= float64(n * pio2C)
	z := float64(r * r)
	// Taylor, |r| <= 0.7854: the terms of degree 19 and 20 are below 1e-18.
	s, c := 1.0, 1.0
	for k := 18.0; k >= 2; k -= 2 {
		s = 1 - float64(float64(z*s)/float64(k*(k+1)))
		c = 1 - float64(float64(z*c)/float64(k*(k-1)))
	}
	s = float64(r * s)
	switch int64(n) & 3 {
	case 0:
		return s, c
	case 1:
		return c, -s
	case 2:
		return -s, -c
	}
	return -c, s
}
