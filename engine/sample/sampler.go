package sample

import (
	"fmt"
	"math"
	"slices"
)

// Sampler chooses tokens for one answer. It is for one goroutine. Sample and Accept allocate nothing once their buffers
// have grown to the number of candidates kept.
type Sampler struct {
	p      Params
	nVocab int
	rnd    random
	bias   []candidate // token and what is added to its logit, by id
	recent *window     // nil when no penalty is on
	depth  float64     // distance from the top logit that min-p allows, a little more

	saved   []candidate // logits replaced for the time of one call
	cands   []candidate
	weights []float64 // by candidate
}

// New returns a sampler for a vocabulary of nVocab tokens. The error wraps ErrBadParams.
func New(p Params, nVocab int) (*Sampler, error) {
	if nVocab < 1 || nVocab > math.MaxInt32 {
		return nil, fmt.Errorf("%w: vocabulary size is %d, expected 1 or more", ErrBadParams, nVocab)
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	s := &Sampler{p: p, nVocab: nVocab, rnd: random{seed: p.Seed}, depth: minPDepth(float64(p.MinP))}
	for _, id := range sortedIDs(p.LogitBias) {
		if int(id) >= nVocab {
			return nil, fmt.Errorf("%w: logit_bias names token %d of a vocabulary of %d", ErrBadParams, id, nVocab)
		}
		s.bias = append(s.bias, candidate{p.LogitBias[id], id})
	}
	s.p.LogitBias = nil
	if p.penalised() {
		s.recent = newWindow(p.PenaltyLastN, nVocab)
	}
	return s, nil
}

// minPDepth returns a distance from the top logit beyond which no token is minP times as likely, +Inf for none.
func minPDepth(minP float64) float64 {
	if minP <= 0 {
		return math.Inf(1)
	}
	lo, hi := 0.0, 708.0
	for range 60 {
		if mid := (lo + hi) / 2; expNeg(-mid) >= minP {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi + 1e-6
}

// Sample returns the next token. logits holds one value per token of the vocabulary, -Inf for a token that is excluded;
// it is changed during the call and restored before it returns. Each call with a temperature above 0 takes one number
// from the random stream, whatever the logits are. The error wraps ErrBadLogits. Sample does not count the token for
// the penalties: see Accept.
func (s *Sampler) Sample(logits []float32) (int32, error) {
	if len(logits) != s.nVocab {
		return -1, fmt.Errorf("%w: %d values, expected %d", ErrBadLogits, len(logits), s.nVocab)
	}
	u := 0.0
	if s.p.Temp > 0 {
		u = s.rnd.uniform()
	}
	s.adjust(logits)
	id := s.choose(logits, u)
	s.restore(logits)
	if id < 0 {
		return -1, fmt.Errorf("%w: NaN or +Inf among them, or nothing but -Inf", ErrBadLogits)
	}
	return id, nil
}

// adjust applies the logit bias and the penalties, and keeps what was there.
func (s *Sampler) adjust(logits []float32) {
	s.saved = s.saved[:0]
	for _, b := range s.bias {
		s.saved = append(s.saved, candidate{logits[b.id], b.id})
		logits[b.id] += b.logit
	}
	if s.recent == nil {
		return
	}
	for _, c := range s.recent.counts {
		s.saved = append(s.saved, candidate{logits[c.id], c.id})
		logits[c.id] = s.p.penalise(logits[c.id], c.n)
	}
}

// restore undoes adjust, the last change first.
func (s *Sampler) restore(logits []float32) {
	for _, c := range slices.Backward(s.saved) {
		logits[c.id] = c.logit
	}
}

// choose runs the chain from top-k on, with the random number u in [0, 1). It returns -1 for bad logits.
func (s *Sampler) choose(logits []float32, u float64) int32 {
	if s.p.Temp <= 0 {
		return best(logits)
	}
	cands, ok := s.candidates(logits)
	if !ok || len(cands) == 0 {
		return -1
	}
	// Draw from exp((logit - top) / temperature).
	top := float64(cands[0].logit)
	for _, c := range cands {
		top = max(top, float64(c.logit))
	}
	temp := float64(s.p.Temp)
	w := s.weights[:0]
	total := 0.0
	for _, c := range cands {
		e := expNeg((float64(c.logit) - top) / temp)
		w = append(w, e)
		total += e
	}
	s.weights = w
	target, sum, last := float64(u*total), 0.0, int32(-1)
	for i, e := range w {
		if e == 0 {
			continue
		}
		last = cands[i].id
		if sum += e; sum > target {
			break
		}
	}
	return last
}

// candidates applies top-k, top-p and min-p. It reports false for bad logits.
func (s *Sampler) candidates(logits []float32) ([]candidate, bool) {
	topP := float64(s.p.TopP)
	if k := s.p.TopK; k > 0 && k < s.nVocab {
		var ok bool
		if s.cands, ok = topK(s.cands, logits, k); !ok {
			return nil, false
		}
		return s.cut(s.cands, topP), true
	}
	at := best(logits)
	if at < 0 {
		return nil, false
	}
	top := logits[at]
	if topP >= 1 {
		s.cands = within(s.cands, logits, top, s.depth)
	} else {
		s.cands = topShare(s.cands, logits, top, topP)
	}
	return s.dropUnlikely(s.cands, float64(top)), true
}

// cut applies top-p and min-p to sorted candidates: it keeps the first of them, one at least.
func (s *Sampler) cut(c []candidate, topP float64) []candidate {
	if len(c) == 0 {
		return c
	}
	top, need, sum := float64(c[0].logit), math.Inf(1), 0.0
	if topP < 1 {
		total := 0.0
		for _, x := range c {
			total += expNeg(float64(x.logit) - top)
		}
		need = float64(total * topP)
	}
	for i, x := range c {
		e := expNeg(float64(x.logit) - top)
		if i > 0 && e < float64(s.p.MinP) {
			return c[:i]
		}
		if sum += e; sum >= need {
			return c[:i+1]
		}
	}
	return c
}

// dropUnlikely applies min-p to candidates in any order.
func (s *Sampler) dropUnlikely(c []candidate, top float64) []candidate {
	if s.p.MinP <= 0 {
		return c
	}
	kept := c[:0]
	for _, x := range c {
		if expNeg(float64(x.logit)-top) >= float64(s.p.MinP) {
			kept = append(kept, x)
		}
	}
	return kept
}

// Accept counts a token of the prompt or the answer as recent. Ids outside the vocabulary are ignored.
func (s *Sampler) Accept(id int32) {
	if s.recent != nil && id >= 0 && int(id) < s.nVocab {
		s.recent.add(id, s.p.PenaltyLastN)
	}
}

// Reset forgets the recent tokens and starts the random stream over.
func (s *Sampler) Reset() {
	s.rnd = random{seed: s.p.Seed}
	if s.recent != nil {
		s.recent.reset()
	}
}

// State is the position in the random stream. Together with the accepted tokens it is all a sampler remembers.
type State struct {
	Seed  uint64 `json:"seed"`
	Draws uint64 `json:"draws"` // tokens drawn so far
}

// State returns the position in the random stream.
func (s *Sampler) State() State { return State{s.rnd.seed, s.rnd.draws} }

// Restore goes on from a saved position: after it, and after accepting the same tokens, the sampler chooses what the
// one that saved it would have chosen. The seed of the state replaces that of the parameters.
func (s *Sampler) Restore(st State) {
	s.p.Seed = st.Seed
	s.rnd = random{seed: st.Seed, draws: st.Draws}
}

// Params returns the parameters without the logit bias.
func (s *Sampler) Params() Params { return s.p }
