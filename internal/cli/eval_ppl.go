package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/urfave/cli/v2"

	"kvasir/engine"
	"kvasir/engine/token"
	"kvasir/kvcache"
	"kvasir/quant"
)

func (a *app) evalPPLCommand() *cli.Command {
	return &cli.Command{
		Name: "ppl", Usage: "compute the perplexity of a text, and how far one KV format is from another",
		UsageText: "kvasir eval ppl [-m MODEL] --file TEXT [-c N] [--kv int8|f16|f32] [--against f16] [--chunks N] [-o table|json]",
		Description: "The method is that of llama.cpp's perplexity program: the tokens of the text, with one that begins a text before them if\n" +
			"the model wants it, are cut into chunks of N; the first token of each chunk is replaced by the beginning one; each chunk\n" +
			"is computed on its own, and the tokens of its second half are scored. What is left of the text is not used.",
		Flags: append(modelFlags(),
			fileFlag("file", "the text `FILE`, - for standard input"),
			&cli.IntFlag{Name: "ctx", Aliases: []string{"c", "ctx-size"}, Usage: "chunks of `N` tokens (default: 512, or what the model was trained for if that is less)"},
			&cli.IntFlag{Name: "chunks", Usage: "use the first `N` chunks only"},
			kvFlag("int8", ", or f32 (in memory only)"), batchFlag(),
			&cli.StringFlag{Name: "against", Usage: "compare with the same model on a KV cache of `FORMAT`"},
			outputFlag()),
		Action: a.evalPPL,
	}
}

// pplResult is the JSON form of eval ppl.
type pplResult struct {
	PPL         float64 `json:"ppl"`
	Tokens      int     `json:"tokens"` // scored
	Chunks      int     `json:"chunks"`
	Context     int     `json:"context"`
	KV          string  `json:"kv"`
	Kernels     string  `json:"kernels"`
	Model       string  `json:"model"`
	Against     string  `json:"against,omitempty"`
	*Divergence         // with --against
}

// Divergence says how far the logits of one format are from those of another: Kullback-Leibler divergence in nats
// from the other's distribution to this one's.
type Divergence struct {
	PPL     float64 `json:"ppl_against"`
	KLMean  float64 `json:"kl_mean"`
	KLP99   float64 `json:"kl_p99"`
	KLMax   float64 `json:"kl_max"`
	SameTop float64 `json:"same_top"` // share of positions with the same most likely token
}

func (a *app) evalPPL(c *cli.Context) (err error) {
	path, err := required(c, "file")
	if err != nil {
		return err
	}
	asJSON, err := wantsJSON(c)
	if err != nil {
		return err
	}
	if err := noArguments(c); err != nil {
		return err
	}
	run := pplRun{app: a}
	if run.kv, err = kvFormat(c); err != nil {
		return err
	}
	if name := c.String("against"); name != "" {
		if run.against, err = quant.ParseKVFormat(name); err != nil {
			return usagef("--against %.128q, expected int8, f16 or f32", name)
		}
	}
	if run.batch, err = batchOf(c); err != nil {
		return err
	}
	run.size, run.chunks = c.Int("ctx"), c.Int("chunks")
	if run.size != 0 && (run.size < 4 || run.size > maxContext) {
		return usagef("-c %d, expected 4 to %d", run.size, maxContext)
	}
	if run.chunks < 0 {
		return usagef("--chunks %d, expected 1 or more", run.chunks)
	}
	text, err := a.readInput(path, token.MaxTextBytes)
	if err != nil {
		return err
	}
	m, err := a.openModel(c.Context, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if m.Tokenizer == nil {
		return fmt.Errorf("model %.256q: %w", m.Name(), m.TokenizerErr)
	}
	if run.size == 0 {
		run.size = max(4, min(512, m.Config.NCtx))
	}
	ids, err := m.Tokenizer.Encode(string(text), token.Options{AddBOS: m.Tokenizer.AddsBOS()})
	if err != nil {
		return &dataError{err}
	}
	if len(ids) < run.size {
		return dataErrorf("%.256q has %d tokens, expected at least one chunk of %d (-c)", path, len(ids), run.size)
	}
	ctx, stop := interruptible(c)
	defer stop()
	r, err := run.all(ctx, m, ids)
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(r, false)
	}
	return r.print(a)
}

func (r *pplResult) print(a *app) error {
	t := newTable(a.out)
	t.row("perplexity", fmt.Sprintf("%.5f", r.PPL))
	t.row("tokens scored", fmt.Sprintf("%d, in %d chunks of %d", r.Tokens, r.Chunks, r.Context))
	t.row("KV cache", r.KV)
	if d := r.Divergence; d != nil {
		t.row("against "+r.Against, fmt.Sprintf("perplexity %.5f", d.PPL))
		t.row("KL divergence", fmt.Sprintf("mean %.6f, 99th percentile %.6f, most %.6f nats", d.KLMean, d.KLP99, d.KLMax))
		t.row("same top token", fmt.Sprintf("%.3f %%", 100*d.SameTop))
	}
	return t.flush()
}

// pplRun is one measurement.
type pplRun struct {
	app                 *app
	kv, against         quant.KVFormat // against 0: none
	size, batch, chunks int

	nll, nllAgainst pplSum
	kls             []float64
	same            int
}

// pplSum is a sum of negative log likelihoods, in order.
type pplSum struct {
	sum float64
	n   int
}

func (s *pplSum) add(nll float64) { s.sum += nll; s.n++ }

// ppl stays finite, since JSON knows no infinity.
func (s *pplSum) ppl() float64 { return min(math.Exp(s.sum/float64(s.n)), math.MaxFloat64) }

// pplPassBytes bounds the logits that are kept for the comparison of two caches.
const pplPassBytes = 64 << 20

func (r *pplRun) all(ctx context.Context, m *engine.Model, ids []int32) (_ *pplResult, err error) {
	nChunks := len(ids) / r.size
	if r.chunks > 0 {
		nChunks = min(nChunks, r.chunks)
	}
	kvs := []quant.KVFormat{r.kv}
	if r.against != 0 {
		kvs = append(kvs, r.against)
	}
	need := int64(0)
	for _, kv := range kvs {
		n, err := contextBytes(m, kv, r.size, r.batch)
		if err != nil {
			return nil, err
		}
		need += n
	}
	if err := checkMemory(fmt.Sprintf("a context of %d tokens", r.size), need); err != nil {
		return nil, err
	}
	var contexts []*engine.Context
	for _, kv := range kvs {
		g := m.Geometry(kv)
		ns, err := kvcache.NewRAM(g)
		if err != nil {
			return nil, err
		}
		s := m.NewContext(ns, g, r.size, r.batch)
		defer func() { err = errors.Join(err, s.Close(), ns.Close()) }()
		contexts = append(contexts, s)
	}
	bar := r.app.progress("perplexity")
	defer bar.end()
	for i := range nChunks {
		chunk := slices.Clone(ids[i*r.size : (i+1)*r.size])
		if m.Tokenizer.AddsBOS() && m.Tokenizer.BOS() >= 0 {
			chunk[0] = m.Tokenizer.BOS()
		}
		if err := r.chunk(ctx, contexts, chunk, m.Config.NVocab); err != nil {
			return nil, err
		}
		bar.set(int64(i+1), int64(nChunks))
	}
	out := &pplResult{PPL: r.nll.ppl(), Tokens: r.nll.n, Chunks: nChunks, Context: r.size, KV: r.kv.String(), Kernels: m.Kernels(), Model: m.Name()}
	if r.against != 0 {
		out.Against, out.Divergence = r.against.String(), r.divergence()
	}
	return out, nil
}

// chunk scores the second half of a chunk: the logits behind position i judge token i+1.
func (r *pplRun) chunk(ctx context.Context, contexts []*engine.Context, ids []int32, nVocab int) error {
	first := len(ids) / 2
	for _, s := range contexts {
		if err := s.Truncate(0); err != nil {
			return err
		}
		if err := s.Extend(ctx, ids[:first], nil); err != nil {
			return err
		}
	}
	score := func(pos int, logits []float32) error {
		r.nll.add(-logProb(logits, ids[pos+1]))
		return nil
	}
	last := len(ids) - 1 // nothing follows the last token
	if len(contexts) == 1 {
		return contexts[0].Each(ctx, ids[first:last], score)
	}
	// The passes of two contexts may not overlap, so the logits of the first are kept, for a few tokens at a time.
	step := max(1, min(r.batch, pplPassBytes/(4*nVocab)))
	kept := make([]float32, 0, min(step, last-first)*nVocab)
	for at := first; at < last; at += step {
		part, start := ids[at:min(at+step, last)], at
		kept = kept[:0]
		err := contexts[0].Each(ctx, part, func(pos int, logits []float32) error {
			kept = append(kept, logits...)
			return score(pos, logits)
		})
		if err != nil {
			return err
		}
		err = contexts[1].Each(ctx, part, func(pos int, logits []float32) error {
			r.nllAgainst.add(-logProb(logits, ids[pos+1]))
			i := pos - start
			r.compare(kept[i*nVocab:(i+1)*nVocab], logits)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// compare notes how far the logits q are from p, which stands for the truth.
func (r *pplRun) compare(q, p []float32) {
	r.kls = append(r.kls, klDivergence(p, q))
	if top(p) == top(q) {
		r.same++
	}
}

func (r *pplRun) divergence() *Divergence {
	sum := 0.0
	for _, kl := range r.kls {
		sum += kl
	}
	slices.Sort(r.kls)
	n := len(r.kls)
	return &Divergence{PPL: r.nllAgainst.ppl(), KLMean: sum / float64(n), KLP99: quantile(r.kls, 0.99), KLMax: r.kls[n-1],
		SameTop: float64(r.same) / float64(n)}
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
