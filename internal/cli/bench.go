package cli

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"kvasir/engine"
	"kvasir/kvcache"
	"kvasir/platform/cpu"
	"kvasir/quant"
)

func (a *app) benchCommand() *cli.Command {
	return &cli.Command{
		Name: "bench", Usage: "measure how many tokens per second a model reads and writes here",
		UsageText: "kvasir bench [-m MODEL] [-t N] [-p 512] [-n 128] [-d 0] [-r 5] [--kv int8|f16] [-o table|json]",
		Description: "pp N is a prompt of N tokens read at once, tg N the writing of N tokens one after the other, @d D with D tokens\n" +
			"before them. Every test is warmed up once and measured -r times; the median counts. -p, -n and -d take lists: -d 0,4096.\n" +
			"READ/TOKEN is the bytes of weights and KV cache that a written token reads, GB/S how many that is a second, LIMIT what\n" +
			"a plain read of the same model by the same threads reaches, measured beside each run, and SHARE the one of the other.",
		Flags: append(modelFlags(),
			&cli.IntSliceFlag{Name: "n-prompt", Aliases: []string{"p"}, Value: cli.NewIntSlice(512), Usage: "read prompts of `N` tokens; 0: none"},
			&cli.IntSliceFlag{Name: "n-gen", Aliases: []string{"n"}, Value: cli.NewIntSlice(128), Usage: "write `N` tokens; 0: none"},
			&cli.IntSliceFlag{Name: "n-depth", Aliases: []string{"d"}, Value: cli.NewIntSlice(0), Usage: "with `N` tokens in the context before"},
			&cli.IntFlag{Name: "repetitions", Aliases: []string{"r"}, Value: 5, Usage: "measure each test `N` times"},
			kvFlag("int8", ", or f32 (in memory only)"), batchFlag(),
			&cli.StringFlag{Name: "synthetic", Usage: "instead of -m, a model of random weights: `SHAPE:TYPE`, such as qwen2.5-0.5b:q4_0"},
			&cli.StringFlag{Name: "dir", Usage: "where the random model is kept meanwhile (default: $TMPDIR)"},
			outputFlag()),
		Action: a.bench,
	}
}

// benchTest is one thing to measure: reading prompt tokens, or writing gen tokens, behind depth tokens.
type benchTest struct{ prompt, gen, depth int }

func (t benchTest) String() string {
	name := fmt.Sprintf("pp%d", t.prompt)
	if t.gen > 0 {
		name = fmt.Sprintf("tg%d", t.gen)
	}
	if t.depth > 0 {
		name += fmt.Sprintf("@d%d", t.depth)
	}
	return name
}

// size returns the positions that the test needs: writing starts with a token that is not timed.
func (t benchTest) size() int {
	if t.gen > 0 {
		return t.depth + t.gen + 1
	}
	return t.depth + t.prompt
}

// benchResult is the JSON form of a test.
type benchResult struct {
	Test    string    `json:"test"`
	TokS    float64   `json:"tok_s"` // median of Runs
	Runs    []float64 `json:"runs"`
	Threads int       `json:"threads"`
	KV      string    `json:"kv"`
	Kernels string    `json:"kernels"`
	Model   string    `json:"model"`
	// Of tests that write: bytes of weights and of K and V rows read per token on average, how many that is a second, how
	// many a plain read of the model by the same workers reaches (the median of one beside each run), and the share of it.
	TokenBytes int64   `json:"bytes_per_token,omitempty"`
	GBs        float64 `json:"gb_s,omitempty"`
	LimitGBs   float64 `json:"read_limit_gb_s,omitempty"`
	Share      float64 `json:"read_share,omitempty"`
	FromCache  bool    `json:"read_from_cache,omitempty"` // the model fits into the processor's last cache: no rate of memory
}

func (a *app) bench(c *cli.Context) (err error) {
	asJSON, err := wantsJSON(c)
	if err != nil {
		return err
	}
	if err := noArguments(c); err != nil {
		return err
	}
	kv, err := kvFormat(c)
	if err != nil {
		return err
	}
	batch, err := batchOf(c)
	if err != nil {
		return err
	}
	runs := c.Int("repetitions")
	if runs < 1 || runs > 1000 {
		return usagef("-r %d, expected 1 to 1000", runs)
	}
	tests, err := benchTests(c.IntSlice("n-prompt"), c.IntSlice("n-gen"), c.IntSlice("n-depth"))
	if err != nil {
		return err
	}
	ctx, stop := interruptible(c)
	defer stop()
	var m *engine.Model
	name := c.String("synthetic")
	if name != "" {
		m, err = a.openSynthetic(ctx, c, name)
	} else {
		m, err = a.openModel(ctx, c)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if name == "" {
		name = m.Name()
	}
	largest := 0
	for _, t := range tests {
		largest = max(largest, t.size())
	}
	need, err := contextBytes(m, m.Geometry(kv), largest, batch)
	if err != nil {
		return err
	}
	if err := checkMemory(fmt.Sprintf("a context of %d tokens", largest), need); err != nil {
		return err
	}
	t := newTable(a.out)
	if !asJSON {
		fmt.Fprintf(a.out, "%.256q, %d threads, %s kernels, %s KV cache\n", name, m.Threads(), m.Kernels(), kv)
		if inCache(m) {
			fmt.Fprintln(a.out, "the model fits into the processor's last cache: what is read does not come from memory")
		}
		t.row("TEST", "TOKENS/S", "SLOWEST", "FASTEST", "READ/TOKEN", "GB/S", "LIMIT", "SHARE")
	}
	for _, test := range tests {
		r, err := a.measure(ctx, m, kv, batch, runs, test)
		if err != nil {
			return fmt.Errorf("%s: %w", test, err)
		}
		r.Model = name
		if asJSON {
			err = a.printJSON(r, false)
		} else {
			t.row(r.cells()...)
		}
		if err != nil {
			return err
		}
	}
	return t.flush()
}

func (r *benchResult) cells() []any {
	cells := []any{r.Test, fmt.Sprintf("%.2f", r.TokS), fmt.Sprintf("%.2f", slices.Min(r.Runs)), fmt.Sprintf("%.2f", slices.Max(r.Runs))}
	if r.TokenBytes == 0 {
		return append(cells, "-", "-", "-", "-")
	}
	return append(cells, bytesText(r.TokenBytes), fmt.Sprintf("%.1f", r.GBs), fmt.Sprintf("%.1f", r.LimitGBs), fmt.Sprintf("%.0f %%", 100*r.Share))
}

// inCache reports whether the processor can hold the model in a cache, as far as the system says.
func inCache(m *engine.Model) bool { return m.Size() <= cpu.LastCache() }

// benchTests combines the lists of the flags: every prompt, then every generation, at every depth.
func benchTests(prompts, gens, depths []int) ([]benchTest, error) {
	var tests []benchTest
	for _, list := range []struct {
		flag string
		ns   []int
	}{{"-p", prompts}, {"-n", gens}, {"-d", depths}} {
		for _, n := range list.ns {
			if n < 0 || n > maxContext {
				return nil, usagef("%s %d, expected 0 to %d", list.flag, n, maxContext)
			}
		}
	}
	for _, d := range depths {
		for _, n := range prompts {
			if n > 0 {
				tests = append(tests, benchTest{prompt: n, depth: d})
			}
		}
		for _, n := range gens {
			if n > 0 {
				tests = append(tests, benchTest{gen: n, depth: d})
			}
		}
	}
	if len(tests) == 0 {
		return nil, usagef("nothing to measure: -p and -n are both 0")
	}
	return tests, nil
}

// measure runs one test, once to warm up and then runs times.
func (a *app) measure(ctx context.Context, m *engine.Model, kv quant.KVFormat, batch, runs int, test benchTest) (_ *benchResult, err error) {
	g := m.Geometry(kv)
	ns, err := kvcache.NewRAM(g)
	if err != nil {
		return nil, err
	}
	s := m.NewContext(ns, g, test.size(), batch)
	defer func() { err = errors.Join(err, s.Close(), ns.Close()) }()
	bar := a.progress(test.String())
	defer bar.end()

	random := rand.New(rand.NewPCG(1, 2)) // the same ids every time
	ids := make([]int32, test.depth+max(test.prompt, 1))
	for i := range ids {
		ids[i] = int32(random.IntN(m.Config.NVocab))
	}
	if err := s.Extend(ctx, ids[:test.depth], func(done int) { bar.set(int64(done), int64(test.depth)) }); err != nil {
		return nil, err
	}
	r := &benchResult{Test: test.String(), Threads: m.Threads(), KV: kv.String(), Kernels: m.Kernels()}
	var limits []float64
	for i := range runs + 1 {
		if err := s.Truncate(test.depth); err != nil {
			return nil, err
		}
		var took time.Duration
		if test.gen > 0 {
			took, err = generate(ctx, s, ids[test.depth], test.gen)
		} else {
			start := time.Now()
			err = s.Extend(ctx, ids[test.depth:], nil)
			took = time.Since(start)
		}
		if err != nil {
			return nil, err
		}
		if i > 0 { // the first one warmed up
			r.Runs = append(r.Runs, float64(test.prompt+test.gen)/max(took.Seconds(), 1e-9))
			if test.gen > 0 {
				limit, err := m.ReadRate(readTime)
				if err != nil {
					return nil, err
				}
				limits = append(limits, limit)
			}
		}
		bar.set(int64(i), int64(runs+1))
	}
	r.TokS = median(r.Runs)
	if test.gen > 0 {
		seen := test.depth + 1 + (test.gen+1)/2 // positions that a token sees, on average
		r.TokenBytes = m.DecodeBytes() + engine.AttentionBytes(g, seen)
		r.GBs = float64(r.TokenBytes) * r.TokS / 1e9
		r.LimitGBs = median(limits) / 1e9
		r.Share = r.GBs / r.LimitGBs
		r.FromCache = inCache(m)
	}
	return r, nil
}

// readTime is how long the model is read beside each run: a few passes, of which the fastest counts.
const readTime = 30 * time.Millisecond

// generate reads the token first, untimed, and then times the writing of n tokens, each the most likely one behind the
// last.
func generate(ctx context.Context, s *engine.Context, first int32, n int) (time.Duration, error) {
	id := []int32{first}
	if err := s.Extend(ctx, id, nil); err != nil {
		return 0, err
	}
	start := time.Now()
	for range n {
		id[0] = int32(top(s.Logits()))
		if err := s.Extend(ctx, id, nil); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

func median(xs []float64) float64 {
	s := slices.Sorted(slices.Values(xs))
	n := len(s)
	if n%2 == 1 {
		return s[n/2]
	}
	return (s[n/2-1] + s[n/2]) / 2
}

// shapeAndType takes SHAPE:TYPE apart.
func shapeAndType(s string) (shape, typ string, err error) {
	shape, typ, ok := strings.Cut(s, ":")
	if !ok || shape == "" || typ == "" {
		return "", "", usagef("--synthetic %.128q, expected SHAPE:TYPE such as qwen2.5-0.5b:q4_0", s)
	}
	return shape, typ, nil
}
