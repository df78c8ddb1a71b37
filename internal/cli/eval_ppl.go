package cli

import (
	"context"
	"errors"
	"fmt"

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
	if run.size == 0 {
		run.size = max(4, min(512, m.Config.NCtx))
	}
	ids, err := textTokens(m, text)
	if err != nil {
		return err
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
}

func (r *pplRun) all(ctx context.Context, m *engine.Model, ids []int32) (_ *pplResult, err error) {
	nChunks := len(ids) / r.size
	if r.chunks > 0 {
		nChunks = min(nChunks, r.chunks)
	}
	var gs []kvcache.Geometry
	if r.against != 0 {
		gs = append(gs, m.Geometry(r.against))
	}
	c, err := newComparison(m, r.size, r.batch, append(gs, m.Geometry(r.kv))...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	bar := r.app.progress("perplexity")
	defer bar.end()
	c.progress = bar.adder(nChunks * r.size * len(c.caches))
	for i := range nChunks {
		if err := c.chunk(ctx, textChunk(m, ids, r.size, i), r.size/2); err != nil {
			return nil, err
		}
	}
	last := len(c.caches) - 1
	out := &pplResult{PPL: c.caches[last].ppl(), Tokens: c.caches[last].n, Chunks: nChunks, Context: r.size, KV: r.kv.String(), Kernels: m.Kernels(), Model: m.Name()}
	if r.against != 0 {
		out.Against, out.Divergence = r.against.String(), c.divergence(last)
	}
	return out, nil
}
