package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"kvasir/engine"
	"kvasir/engine/token"
	"kvasir/kvcache"
)

// Divergence says how far the logits of one format are from those of another: Kullback-Leibler divergence in nats
// from the other's distribution to this one's.
type Divergence struct {
	PPL     float64 `json:"ppl_against"`
	KLMean  float64 `json:"kl_mean"`
	KLP99   float64 `json:"kl_p99"`
	KLMax   float64 `json:"kl_max"`
	SameTop float64 `json:"same_top"` // share of positions with the same most likely token
}

// comparison runs the same tokens through caches of several geometries. The logits of the first are what those of the
// others are compared with.
type comparison struct {
	nVocab, batch int
	caches        []*scoredCache
	kept          []float32        // logits of the first cache, for a few tokens at a time
	progress      func(tokens int) // is told how many more tokens were computed, of all caches together; may be nil
}

// scoredCache is one cache of a comparison, and what its logits say of the text.
type scoredCache struct {
	ns   *kvcache.Namespace
	ctx  *engine.Context
	nll  float64 // sum of negative log likelihoods, in order
	n    int     // of tokens
	kls  []float64
	same int
}

// keptBytes bounds the logits that are kept for the comparison of caches: passes of contexts may not overlap.
const keptBytes = 64 << 20

// newComparison makes caches for chunks of up to size tokens. What does not fit in memory is refused.
func newComparison(m *engine.Model, size, batch int, gs ...kvcache.Geometry) (_ *comparison, err error) {
	need := int64(0)
	for _, g := range gs {
		n, err := contextBytes(m, g, size, batch)
		if err != nil {
			return nil, err
		}
		need += n
	}
	if err := checkMemory(fmt.Sprintf("a context of %d tokens", size), need); err != nil {
		return nil, err
	}
	c := &comparison{nVocab: m.Config.NVocab, batch: batch}
	for _, g := range gs {
		ns, err := kvcache.NewRAM(g)
		if err != nil {
			return nil, errors.Join(err, c.close())
		}
		c.caches = append(c.caches, &scoredCache{ns: ns, ctx: m.NewContext(ns, g, size, batch)})
	}
	return c, nil
}

func (c *comparison) close() error {
	var errs []error
	for _, s := range c.caches {
		errs = append(errs, s.ctx.Close(), s.ns.Close())
	}
	return errors.Join(errs...)
}

// chunk computes a chunk of its own on every cache and scores its tokens behind position first: the logits behind
// position i judge token i+1.
func (c *comparison) chunk(ctx context.Context, ids []int32, first int) error {
	told := func(n int) {
		if c.progress != nil {
			c.progress(n)
		}
	}
	for _, s := range c.caches {
		if err := s.ctx.Truncate(0); err != nil {
			return err
		}
		before := 0
		if err := s.ctx.Extend(ctx, ids[:first], func(done int) {
			told(done - before)
			before = done
		}); err != nil {
			return err
		}
	}
	last := len(ids) - 1 // nothing follows the last token
	step := max(1, min(c.batch, keptBytes/(4*c.nVocab)))
	for at := first; at < last; at += step {
		part := ids[at:min(at+step, last)]
		c.kept = c.kept[:0]
		for i, s := range c.caches {
			err := s.ctx.Each(ctx, part, func(pos int, logits []float32) error {
				s.nll -= logProb(logits, ids[pos+1])
				s.n++
				switch {
				case len(c.caches) == 1:
				case i == 0:
					c.kept = append(c.kept, logits...)
				default:
					s.compare(c.kept[(pos-at)*c.nVocab:][:c.nVocab], logits)
				}
				return nil
			})
			if err != nil {
				return err
			}
			told(len(part))
		}
	}
	return nil
}

// compare notes how far the logits q are from p, which stands for the truth.
func (s *scoredCache) compare(p, q []float32) {
	s.kls = append(s.kls, klDivergence(p, q))
	if top(p) == top(q) {
		s.same++
	}
}

// ppl stays finite, since JSON knows no infinity.
func (s *scoredCache) ppl() float64 { return min(math.Exp(s.nll/float64(s.n)), math.MaxFloat64) }

// divergence returns how far cache i is from the first one.
func (c *comparison) divergence(i int) *Divergence {
	s, sum := c.caches[i], 0.0
	for _, kl := range s.kls {
		sum += kl
	}
	kls, n := slices.Sorted(slices.Values(s.kls)), len(s.kls)
	return &Divergence{PPL: c.caches[0].ppl(), KLMean: sum / float64(n), KLP99: quantile(kls, 0.99), KLMax: kls[n-1],
		SameTop: float64(s.same) / float64(n)}
}

// quantile returns the smallest value of a sorted list that at least share q of its values do not exceed.
func quantile(sorted []float64, q float64) float64 {
	i := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[max(0, min(i, len(sorted)-1))]
}

// logSum returns log(sum(exp(x))) as its two parts: the greatest x, and the logarithm of the sum of exp(x - greatest).
func logSum(x []float32) (greatest, log float64) {
	greatest = float64(x[top(x)])
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v) - greatest)
	}
	return greatest, math.Log(sum)
}

// logProb returns the logarithm of the probability that logits give to token id.
func logProb(logits []float32, id int32) float64 {
	greatest, log := logSum(logits)
	return float64(logits[id]) - greatest - log
}

// klDivergence returns sum(P * log(P/Q)) of the distributions that two rows of logits give, in nats.
func klDivergence(p, q []float32) float64 {
	pMax, pLog := logSum(p)
	qMax, qLog := logSum(q)
	sum := 0.0
	for i := range p {
		lp := float64(p[i]) - pMax - pLog
		lq := float64(q[i]) - qMax - qLog
		sum += float64(math.Exp(lp) * (lp - lq))
	}
	return max(0, sum) // rounding
}

// top returns the index of the greatest value, the first of equal ones.
func top(x []float32) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}

// textTokens returns the tokens of a text, with the one that begins a text if the model wants it.
func textTokens(m *engine.Model, text []byte) ([]int32, error) {
	if m.Tokenizer == nil {
		return nil, fmt.Errorf("model %.256q: %w", m.Name(), m.TokenizerErr)
	}
	ids, err := m.Tokenizer.Encode(string(text), token.Options{AddBOS: m.Tokenizer.AddsBOS()})
	if err != nil {
		return nil, &dataError{err}
	}
	return ids, nil
}

// textChunk returns chunk i of size tokens, which begins as a text does.
func textChunk(m *engine.Model, ids []int32, size, i int) []int32 {
	chunk := slices.Clone(ids[i*size : (i+1)*size])
	if m.Tokenizer.AddsBOS() && m.Tokenizer.BOS() >= 0 {
		chunk[0] = m.Tokenizer.BOS()
	}
	return chunk
}
