package sample

import "fmt"

// Logprob is a token with the natural logarithm of its probability.
type Logprob struct {
	ID      int32
	Logprob float32
}

// Logprobs appends the n likeliest tokens to dst, the likeliest first, and returns with them the entry of token id.
// Probabilities are the model's own: before bias, penalties, filters and temperature. The error wraps ErrBadLogits.
func (s *Sampler) Logprobs(dst []Logprob, logits []float32, id int32, n int) (Logprob, []Logprob, error) {
	if len(logits) != s.nVocab || id < 0 || int(id) >= s.nVocab {
		return Logprob{}, dst, fmt.Errorf("%w: %d values and token %d, expected %d values", ErrBadLogits, len(logits), id, s.nVocab)
	}
	at := best(logits)
	if at < 0 {
		return Logprob{}, dst, fmt.Errorf("%w: NaN or +Inf among them, or nothing but -Inf", ErrBadLogits)
	}
	top, total := float64(logits[at]), 0.0
	for _, x := range logits {
		total += expNeg(float64(x) - top)
	}
	logZ := top + ln(total)
	if n > 0 {
		s.cands, _ = topK(s.cands, logits, min(n, s.nVocab))
		for _, c := range s.cands {
			dst = append(dst, Logprob{c.id, float32(float64(c.logit) - logZ)})
		}
	}
	return Logprob{id, float32(float64(logits[id]) - logZ)}, dst, nil
}
