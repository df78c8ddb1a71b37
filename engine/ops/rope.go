// Package ops holds the operations of a forward pass that are more than one kernel call: rotary tables and attention
// over the blocks of a KV sequence. Slices in, slices out; nothing here knows of models, files or the store.
package ops

import "kvasir/quant/kernel"

// Rope is one set of rotary frequencies (RoFormer, Su et al. 2021). A model has one, or two where local and global
// layers differ. It is immutable and may be shared.
type Rope struct {
	Halves bool      // pairs are (i, i+n/2), as in GPT-NeoX; otherwise (2i, 2i+1)
	freq   []float64 // radians per position, one per pair
}

// NewRope makes the frequencies base^(-2i/rot) / factors[i] / scale for the rot rotated dimensions of a head. factors
// may be nil (all 1); otherwise it has rot/2 values.
func NewRope(rot int, base, scale float32, factors []float32, halves bool) *Rope {
	r := &Rope{Halves: halves, freq: make([]float64, rot/2)}
	ln := log64(float64(base))
	for i := range r.freq {
		r.freq[i] = exp64(-float64(ln * (float64(2*i) / float64(rot)))) // quotient first: exact for powers of two
		if factors != nil {
			r.freq[i] /= float64(factors[i])
		}
		r.freq[i] /= float64(scale)
	}
	return r
}

// Pairs returns the number of rotated pairs per head.
func (r *Rope) Pairs() int { return len(r.freq) }

// Table fills cos and sin (Pairs values each) for one position.
func (r *Rope) Table(cos, sin []float32, pos int) {
	for i, f := range r.freq {
		s, c := sincos64(float64(float64(pos) * f))
		cos[i], sin[i] = float32(c), float32(s)
	}
}

// Apply rotates every head of headDim values in x.
func (r *Rope) Apply(t *kernel.Table, x []float32, headDim int, cos, sin []float32) {
	if r.Halves {
		t.RopeHalves(x, headDim, cos, sin)
	} else {
		t.RopePairs(x, headDim, cos, sin)
	}
}
