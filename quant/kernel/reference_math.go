package kernel

import "math"

// lanes are the 16 partial sums of a float row (NUMERICS §1).
type lanes [16]float32

// sum folds the lanes with the fixed tree. It destroys them.
func (l *lanes) sum() float32 {
	for h := 8; h > 0; h /= 2 {
		for j := range h {
			l[j] += l[j+h]
		}
	}
	return l[0]
}

// rne rounds to the nearest integer, ties to even.
func rne(x float32) float32 { return float32(math.RoundToEven(float64(x))) }

// clamp limits x to [-m, m].
func clamp(x, m float32) float32 { return max(-m, min(x, m)) }

// maxAbs returns the largest magnitude in x; 0 if x is empty.
func maxAbs(x []float32) float32 {
	var m float32
	for _, v := range x {
		m = max(m, float32(math.Abs(float64(v))))
	}
	return m
}

// sqrt32 is the correctly rounded square root: float64 has more than twice the precision that this needs.
func sqrt32(x float32) float32 { return float32(math.Sqrt(float64(x))) }

func isInf(x float32) bool { return math.IsInf(float64(x), 0) }

// The constants of exp: log2(e), ln 2 in two parts, the number whose addition rounds to an integer, and the
// polynomial of Cephes' expf, highest power first.
const (
	log2e   = 1.44269504
	ln2Hi   = 0.693359375
	ln2Lo   = -2.12194440e-4
	rounder = 12582912 // 1.5 * 2^23

	expP0 = 1.9875691500e-4
	expP1 = 1.3981999507e-3
	expP2 = 8.3334519073e-3
	expP3 = 4.1665795894e-2
	expP4 = 1.6666665459e-1
	expP5 = 5.0000001201e-1

	expMin = -87
	expMax = 88
)

// exp32 is the exponential function of every variant (NUMERICS §4).
func exp32(x float32) float32 {
	if x < expMin {
		return 0
	}
	x = min(x, expMax)
	t := float32(x*log2e) + rounder
	n := t - rounder
	r := x - float32(n*ln2Hi)
	r -= float32(n * ln2Lo)
	z := float32(r * r)
	p := float32(expP0)
	p = float32(p*r) + expP1
	p = float32(p*r) + expP2
	p = float32(p*r) + expP3
	p = float32(p*r) + expP4
	p = float32(p*r) + expP5
	y := (float32(p*z) + r) + 1
	return y * math.Float32frombits((math.Float32bits(t)+127)<<23) // the low bits of t are n
}

// silu is x / (1 + exp(-x)).
func silu(x float32) float32 { return x / (1 + exp32(-x)) }

// The constants of the tanh form of GELU: sqrt(8/pi) and the cubic coefficient.
const (
	geluScale = 1.5957691216
	geluCubic = 0.044715
)

// gelu is the tanh form, written with exp: x / (1 + exp(-2u)).
func gelu(x float32) float32 {
	c := float32(float32(x*x)*geluCubic) + 1
	y := float32(float32(x*c) * geluScale)
	return x / (1 + exp32(-y))
}
