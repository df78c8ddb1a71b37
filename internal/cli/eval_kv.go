package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sort"
	"syscall"

	"github.com/urfave/cli/v2"

	"kvasir/engine"
	"kvasir/engine/token"
	"kvasir/kvcache"
	"kvasir/platform"
	"kvasir/platform/vfs"
	"kvasir/quant"
)

func (a *app) evalKVCommand() *cli.Command {
	return &cli.Command{
		Name: "kv", Usage: "measure what the formats of the KV cache change in a model's answers, and make its recipe",
		UsageText: "kvasir eval kv [-m MODEL] --file TEXT [-c N] [--fix] [-o table|json]",
		Description: fmt.Sprintf("A text is read with KV caches of several formats side by side, and the logits are compared with those on f16: their\n"+
			"Kullback-Leibler divergence, and how often the likeliest token is the same. The first measurement is at %d tokens of\n"+
			"context, the second at the most that the model, the memory and the text allow, or -c. A format passes if the\n"+
			"divergence is at most %g nats on average and %g at the 99th percentile.\n"+
			"--fix finds the keys or values of layers for which int8 is not good enough and writes the model's recipe, which run and\n"+
			"chat use from then on: these rows are f16, all others int8. A recipe that is there is only added to: what one text\n"+
			"needed, another one does not take away. Remove its file to start over.", shortContext, gateMean, gateP99),
		Flags: append(modelFlags(),
			fileFlag("file", "the text `FILE`, - for standard input"),
			&cli.IntFlag{Name: "ctx", Aliases: []string{"c", "ctx-size"}, Usage: "the longer context has `N` tokens (default: the most that fits)"},
			&cli.BoolFlag{Name: "fix", Usage: "write a recipe if int8 does not pass"},
			batchFlag(), outputFlag()),
		Action: a.evalKV,
	}
}

// The gate: what a format of the KV cache may change in the logits, in nats of divergence from f16.
const (
	gateMean = 0.005
	gateP99  = 0.1
)

const (
	shortContext = 512
	leastContext = 64
	// budgetTokens is how much of the text is read for a measurement, where one chunk is not longer.
	budgetTokens = 8 * shortContext
	// scoredTokens is how many tokens at the end of a chunk are scored at most, and never more than half of it.
	scoredTokens = 512
	// searchChunks is how many chunks are read for one candidate of a recipe.
	searchChunks = 2
)

// kvResult is the JSON form of eval kv.
type kvResult struct {
	Model   string      `json:"model"`
	Kernels string      `json:"kernels"`
	Text    string      `json:"text"`
	Gate    kvGate      `json:"gate"`
	Figures []kvFigures `json:"figures"`
	Recipe  *kvRecipe   `json:"recipe,omitempty"` // in force at the end, if there is one
	Search  *searchCost `json:"search,omitempty"`
}

type kvGate struct {
	KLMean float64 `json:"kl_mean"`
	KLP99  float64 `json:"kl_p99"`
}

// kvFigures is one format against f16 at one context.
type kvFigures struct {
	Context int     `json:"context"`
	Chunks  int     `json:"chunks"`
	Tokens  int     `json:"tokens"` // scored
	KV      string  `json:"kv"`
	PPL     float64 `json:"ppl"`
	Divergence
	Passes bool `json:"passes"`
}

type kvRecipe struct {
	KV      string   `json:"kv"`
	F16     []string `json:"f16"`
	File    string   `json:"file"`
	Written bool     `json:"written"` // now
}

// searchCost is what finding a recipe took.
type searchCost struct {
	Passes int `json:"passes"` // over the text, by one cache each
	AtMost int `json:"at_most"`
}

func passes(d *Divergence) bool { return d.KLMean <= gateMean && d.KLP99 <= gateP99 }

// kvRun is one evaluation.
type kvRun struct {
	app   *app
	m     *engine.Model
	ids   []int32
	batch int
	out   *kvResult
}

func (a *app) evalKV(c *cli.Context) (err error) {
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
	batch, err := batchOf(c)
	if err != nil {
		return err
	}
	longest := c.Int("ctx")
	if longest != 0 && (longest < leastContext || longest > maxContext) {
		return usagef("-c %d, expected %d to %d", longest, leastContext, maxContext)
	}
	if c.Bool("fix") && a.cfg.Home == "" {
		return errors.New("no home directory: a recipe cannot be kept (set KVASIR_HOME)")
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
	ctx, stop := interruptible(c)
	defer stop()
	r := &kvRun{app: a, m: m, batch: batch, out: &kvResult{Model: m.Name(), Kernels: m.Kernels(), Text: filepath.Base(path), Gate: kvGate{gateMean, gateP99}}}
	if r.ids, err = textTokens(m, text); err != nil {
		return err
	}
	if len(r.ids) < leastContext {
		return dataErrorf("%.256q has %d tokens, expected at least %d", path, len(r.ids), leastContext)
	}
	if err := r.evaluate(ctx, longest, c.Bool("fix")); err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(r.out, true)
	}
	return r.out.print(a, c.Bool("fix"))
}

// contexts returns the sizes to measure at: the short one, and asked, or the longest that model, text and memory allow
// with caches of these recipes beside one of f16.
func (r *kvRun) contexts(asked int, recipes []engine.Recipe) ([]int, error) {
	most := min(r.m.Config.NCtx, len(r.ids))
	switch {
	case asked > len(r.ids):
		return nil, usagef("-c %d, the text has %d tokens", asked, len(r.ids))
	case asked > 0:
		most = asked // more than the model was trained for, if that is what is asked for
	default:
		usable, known := platform.ReadMemory().Usable()
		var failed error
		fits := func(size int) bool {
			need := int64(0)
			for _, g := range r.geometries(recipes) {
				n, err := contextBytes(r.m, g, size, r.batch)
				need, failed = need+n, errors.Join(failed, err)
			}
			return need <= usable
		}
		if known && !fits(most) {
			most = sort.Search(most, func(size int) bool { return !fits(size) }) - 1
		}
		if failed != nil {
			return nil, failed
		}
	}
	if most < leastContext {
		return nil, fmt.Errorf("a context of %d tokens is all that fits in memory or that the model has, expected %d: %w", most, leastContext, syscall.ENOMEM)
	}
	short := min(shortContext, most)
	if short == most {
		return []int{short}, nil
	}
	return []int{short, most}, nil
}

// geometries returns that of f16, the truth, and those of the recipes.
func (r *kvRun) geometries(recipes []engine.Recipe) []kvcache.Geometry {
	gs := []kvcache.Geometry{r.m.Geometry(quant.KVF16)}
	for _, recipe := range recipes {
		gs = append(gs, r.m.RecipeGeometry(recipe))
	}
	return gs
}

// evaluate measures int8 and the recipe that is there, and makes a recipe if fix is set and neither passes.
func (r *kvRun) evaluate(ctx context.Context, longest int, fix bool) error {
	bar := r.app.progress("reading model")
	saved, path, err := r.m.FindRecipe(ctx, r.app.cfg.Home, bar.set)
	bar.end()
	if err != nil {
		return fmt.Errorf("%w (remove the file to start over)", err)
	}
	candidates := []engine.Recipe{{}}
	if saved != nil && len(saved.F16) > 0 {
		candidates = append(candidates, saved.Recipe)
	}
	sizes, err := r.contexts(longest, candidates)
	if err != nil {
		return err
	}
	last := len(candidates) - 1
	failsAt := 0 // the first context at which the last candidate fails
	for _, size := range slices.Backward(sizes) {
		fs, err := r.measure(ctx, size, candidates, size == sizes[0])
		if err != nil {
			return err
		}
		r.out.Figures = append(fs, r.out.Figures...)
		if !fs[last].Passes {
			failsAt = size
		}
	}
	if saved != nil {
		r.out.Recipe = r.recipe(saved.Recipe, path, false)
	}
	if !fix || failsAt == 0 {
		return nil
	}
	return r.fix(ctx, sizes, failsAt, candidates[last], saved)
}

func (r *kvRun) recipe(of engine.Recipe, path string, written bool) *kvRecipe {
	k := &kvRecipe{KV: engine.FormatName(r.m.RecipeGeometry(of)), F16: []string{}, File: path, Written: written}
	for _, set := range of.F16 {
		k.F16 = append(k.F16, set.String())
	}
	return k
}

// nChunks is how many chunks of a size a measurement reads.
func (r *kvRun) nChunks(size int) int { return max(1, min(len(r.ids), budgetTokens)/size) }

// measure compares recipes with f16 at one context, and with floor also f32: how far f16 itself is from exact rows. The
// figures are in the order of the recipes.
func (r *kvRun) measure(ctx context.Context, size int, recipes []engine.Recipe, floor bool) ([]kvFigures, error) {
	gs := r.geometries(recipes)
	if floor {
		gs = append(gs, r.m.Geometry(quant.KVF32))
	}
	return r.compare(ctx, size, r.nChunks(size), gs, fmt.Sprintf("context of %d", size))
}

// compare returns how far each geometry but the first is from that one, on the first nChunks chunks of the text.
func (r *kvRun) compare(ctx context.Context, size, nChunks int, gs []kvcache.Geometry, what string) (_ []kvFigures, err error) {
	c, err := newComparison(r.m, size, r.batch, gs...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	bar := r.app.progress(what)
	defer bar.end()
	c.progress = bar.adder(nChunks * size * len(gs))
	for i := range nChunks {
		if err := c.chunk(ctx, textChunk(r.m, r.ids, size, i), max(size/2, size-scoredTokens-1)); err != nil {
			return nil, err
		}
	}
	var out []kvFigures
	for i, g := range gs[1:] {
		f := kvFigures{Context: size, Chunks: nChunks, Tokens: c.caches[i+1].n, KV: engine.FormatName(g), PPL: c.caches[i+1].ppl(), Divergence: *c.divergence(i + 1)}
		f.Passes = passes(&f.Divergence)
		out = append(out, f)
	}
	return out, nil
}

// fix finds a recipe that passes at all sizes, beginning with one that does not at failsAt, and writes it.
func (r *kvRun) fix(ctx context.Context, sizes []int, failsAt int, recipe engine.Recipe, saved *engine.SavedRecipe) error {
	bar := r.app.progress("reading model")
	fp, err := r.m.FingerprintIn(ctx, r.app.cfg.Home, bar.set)
	bar.end()
	if err != nil {
		return err
	}
	var left []engine.RowSet
	for _, set := range r.m.RowSets() {
		if !slices.Contains(recipe.F16, set) {
			left = append(left, set)
		}
	}
	all := recipe.With(left...)
	s := &recipeSearch{atMost: searchBound(len(left))}
	nChunks := min(searchChunks, r.nChunks(failsAt))
	s.measure = func(sets ...[]engine.RowSet) ([]float64, error) {
		var recipes []engine.Recipe
		for _, as := range sets {
			recipes = append(recipes, all.Without(as...))
		}
		fs, err := r.compare(ctx, failsAt, nChunks, r.geometries(recipes), fmt.Sprintf("pass %d of at most %d", s.passes+len(sets), s.atMost))
		if err != nil {
			return nil, err
		}
		var excess []float64
		for _, f := range fs {
			excess = append(excess, max(f.KLMean/gateMean, f.KLP99/gateP99))
		}
		return excess, nil
	}
	s.enough = func(f16 []engine.RowSet) (bool, error) {
		// The sample of the search first: it is the shortest.
		if excess, err := s.measure(all.Without(recipe.With(f16...).F16...).F16); err != nil || excess[0] > 1 {
			return false, err
		}
		var figures []kvFigures
		good := true
		for _, size := range sizes {
			fs, err := r.measure(ctx, size, []engine.Recipe{recipe.With(f16...)}, false)
			if err != nil {
				return false, err
			}
			figures = append(figures, fs...)
			good = good && fs[0].Passes
		}
		if good {
			r.out.Figures = append(r.out.Figures, figures...)
		}
		return good, nil
	}
	found, err := s.run(left)
	if err != nil {
		return err
	}
	recipe = recipe.With(found...)
	r.out.Search = &searchCost{s.passes, s.atMost}
	next := &engine.SavedRecipe{Recipe: recipe, Model: r.m.Name(), NLayers: r.m.Config.NLayers}
	if saved != nil {
		next.Measured = saved.Measured
	}
	for _, f := range r.out.Figures {
		next.Measured = append(next.Measured, engine.RecipeFigures{Text: r.out.Text, Context: f.Context, Tokens: f.Tokens, KV: f.KV,
			KLMean: f.KLMean, KLP99: f.KLP99, SameTop: f.SameTop})
	}
	recipes := engine.NewRecipes(vfs.OS(), r.app.cfg.Home)
	if err := recipes.Write(fp, next); err != nil {
		return fmt.Errorf("recipe: %w", err)
	}
	r.out.Recipe = r.recipe(recipe, recipes.Path(fp), true)
	return nil
}

func (k *kvResult) print(a *app, fix bool) error {
	fmt.Fprintf(a.out, "%.256q, %s kernels, on %.128q; a format passes with a mean divergence from f16 of %g nats, 99th percentile %g\n",
		k.Model, k.Kernels, k.Text, k.Gate.KLMean, k.Gate.KLP99)
	t := newTable(a.out)
	t.row("CONTEXT", "SCORED", "KV CACHE", "PERPLEXITY", "ON F16", "KL MEAN", "KL P99", "KL MOST", "SAME TOP", "")
	for _, f := range k.Figures {
		verdict := "fails"
		if f.Passes {
			verdict = "passes"
		}
		if f.KV == quant.KVF32.String() {
			verdict = "the floor: f16 is not exact either"
		}
		t.row(f.Context, f.Tokens, f.KV, fmt.Sprintf("%.4f", f.PPL), fmt.Sprintf("%.4f", f.Divergence.PPL), fmt.Sprintf("%.6f", f.KLMean),
			fmt.Sprintf("%.6f", f.KLP99), fmt.Sprintf("%.6f", f.KLMax), fmt.Sprintf("%.2f %%", 100*f.SameTop), verdict)
	}
	if err := t.flush(); err != nil {
		return err
	}
	var err error
	switch k := k.Recipe; {
	case k == nil && fix:
		_, err = fmt.Fprintln(a.out, "int8 passes: the model needs no recipe")
	case k == nil:
		_, err = fmt.Fprintln(a.out, "no recipe: all rows are int8")
	case k.Written:
		_, err = fmt.Fprintf(a.out, "recipe %s, f16 are %q: written to %.256q\n", k.KV, k.F16, k.File)
	default:
		_, err = fmt.Fprintf(a.out, "recipe %s, f16 are %q: in %.256q, not changed\n", k.KV, k.F16, k.File)
	}
	return err
}
