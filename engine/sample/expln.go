package sample

import "math"

// The standard library's Exp and Log are assembly on some architectures and differ there in the last bit. These use
// float64 operations only, each rounded on its own, so their results are the same everywhere. They are within 3 units
// in the last place.

const (
	log2e = 1.44269504088896338700
	ln2Hi = 6.93147180369123816490e-01 // the upper 33 bits of ln 2: exact when multiplied by a small integer
	ln2Lo = 1.90821492927058770002e-10
)

// expNeg returns e^x for x <= 0, and 0 where that is below 2^-1021. It is 1 at 0 and 0 at -Inf.
func expNeg(x float64) float64 {
	if !(x > -708) {
		return 0
	}
	k := int(float64(x*log2e) - 0.5) // the nearest integer: truncation goes up for negative numbers
	r := x - float64(float64(k)*ln2Hi)
	r -= float64(float64(k) * ln2Lo)
	// The Taylor polynomial of degree 13 in pairs of terms (Estrin 1960), which shortens the chain of dependent steps.
	r2 := float64(r * r)
	r4 := float64(r2 * r2)
	a := (1 + r) + float64(r2*(1.0/2+float64(r*(1.0/6))))
	b := (1.0/24 + float64(r*(1.0/120))) + float64(r2*(1.0/720+float64(r*(1.0/5040))))
	c := (1.0/40320 + float64(r*(1.0/362880))) + float64(r2*(1.0/3628800+float64(r*(1.0/39916800))))
	d := 1.0/479001600 + float64(r*(1.0/6227020800))
	y := (a + float64(r4*b)) + float64(float64(r4*r4)*(c+float64(r4*d)))
	return y * math.Float64frombits(uint64(1023+k)<<52)
}

// ln returns the natural logarithm of a finite x >= 1.
func ln(x float64) float64 {
	bits := math.Float64bits(x)
	k := int(bits>>52) - 1023
	m := math.Float64frombits(bits&(1<<52-1) | 1023<<52) // [1, 2)
	if m > math.Sqrt2 {
		m, k = m/2, k+1
	}
	// ln m = 2 artanh s, s = (m-1)/(m+1), |s| < 0.172
	s := (m - 1) / (m + 1)
	s2 := float64(s * s)
	y := 0.0
	for i := 23; i >= 1; i -= 2 {
		y = float64(y*s2) + 1/float64(i)
	}
	return float64(float64(k)*ln2Hi) + (float64(2*s*y) + float64(float64(k)*ln2Lo))
}
