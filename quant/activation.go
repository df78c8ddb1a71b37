package quant

import (
	"fmt"
	"math"
)

// QuantizeActivation32 and QuantizeActivation256 define the int8 forms in which quantised products read their
// activations (Partner32, Partner256). For a group of 32 or 256 values:
//
//	amax = max |x[i]|
//	D    = round32(amax / 127)
//	inv  = round32(127 / amax)
//	q[i] = round to even of round32(x[i] * inv), clamped to [-127, 127]
//
// Two exceptions. amax = 0, or so small (below 127/MaxFloat32, about 3.7e-37) that inv is infinite: D = 0 and q = 0.
// A NaN or an infinity among the values: D = NaN and q = 0, so that the damage shows in every product.

const qMax = 127 // activations never hold -128

// QuantizeActivation32 writes, for each 32 values of x, 32 of q, one scale d and the sum s of the 32 q. It panics on a
// caller's mistake: len(x) not a multiple of 32, len(q) not len(x), or len(d) or len(s) not len(x)/32.
func QuantizeActivation32(q []int8, d []float32, s []int32, x []float32) {
	const n = 32
	checkActivation(n, len(x), len(q), len(d), len(s), len(x)/n)
	for g := range d {
		d[g] = quantizeGroup(q[n*g:n*g+n], x[n*g:n*g+n])
		s[g] = int32(sum(q[n*g : n*g+n]))
	}
}

// QuantizeActivation256 writes, for each 256 values of x, 256 of q, one scale d and 16 sums s, each of 16 q. It panics
// on a caller's mistake: len(x) not a multiple of 256, len(q) not len(x), len(d) not len(x)/256, len(s) not len(x)/16.
func QuantizeActivation256(q []int8, d []float32, s []int16, x []float32) {
	const n, sub = 256, 16
	checkActivation(n, len(x), len(q), len(d), len(s), len(x)/sub)
	for g := range d {
		d[g] = quantizeGroup(q[n*g:n*g+n], x[n*g:n*g+n])
	}
	for g := range s {
		s[g] = int16(sum(q[sub*g : sub*g+sub]))
	}
}

func checkActivation(n, lenX, lenQ, lenD, lenS, wantS int) {
	if lenX%n != 0 || lenQ != lenX || lenD != lenX/n || lenS != wantS {
		panic(fmt.Sprintf("quant: activation of %d values to %d q, %d scales, %d sums", lenX, lenQ, lenD, lenS))
	}
}

// quantizeGroup applies the rule to one group and returns D.
func quantizeGroup(q []int8, x []float32) float32 {
	amax, finite := absMax(x)
	if !finite {
		clear(q)
		return float32(math.NaN())
	}
	inv := float32(qMax) / amax
	if math.IsInf(float64(inv), 0) { // also amax = 0
		clear(q)
		return 0
	}
	for i, v := range x {
		q[i] = roundClamp(float32(v * inv))
	}
	return amax / qMax
}

// absMax returns the largest magnitude, and whether all of x is finite.
func absMax(x []float32) (amax float32, finite bool) {
	const abs, inf = 1<<31 - 1, 0x7f800000
	var m uint32 // magnitudes order as their bit patterns; those of infinities and NaNs are the largest
	for _, v := range x {
		m = max(m, math.Float32bits(v)&abs)
	}
	return math.Float32frombits(m), m < inf
}

// roundClamp rounds to the nearest integer, ties to even, and clamps to [-127, 127]. v is not NaN.
func roundClamp(v float32) int8 {
	return int8(max(-qMax, min(qMax, math.RoundToEven(float64(v)))))
}

func sum(q []int8) (s int) {
	for _, v := range q {
		s += int(v)
	}
	return s
}
