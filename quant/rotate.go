package quant

import "math"

// HadamardSize returns the sub-block of the rotation for rows of headDim values: the largest power of two that
// divides it; 0 for headDim <= 0.
func HadamardSize(headDim int) int {
	if headDim <= 0 {
		return 0
	}
	return headDim & -headDim
}

// Rotate applies the normalised Walsh-Hadamard transform in place to each HadamardSize(len(x)) values of one row. It
// spreads outliers over the sub-block, so that one scale per row serves all its values. Scalar products of rotated
// rows are those of the rows themselves, and rotating twice gives the row back, both up to rounding.
//
// For h = 1, 2, 4...: each pair (a, b) at distance h becomes (a+b, a-b); then every value is multiplied by
// round32(1/sqrt(B)), B the size of the sub-block. Each step is rounded to float32.
func Rotate(x []float32) {
	size := HadamardSize(len(x))
	if size < 2 {
		return
	}
	norm := float32(1 / math.Sqrt(float64(size)))
	for ; len(x) > 0; x = x[size:] {
		for h := 1; h < size; h *= 2 {
			for i := 0; i < size; i += 2 * h {
				for j := i; j < i+h; j++ {
					x[j], x[j+h] = x[j]+x[j+h], x[j]-x[j+h]
				}
			}
		}
		for i := range x[:size] {
			x[i] *= norm
		}
	}
}
