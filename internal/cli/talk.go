package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"kvasir/engine"
	"kvasir/engine/sample"
	"kvasir/platform"
	"kvasir/quant"
)

// talkFlags are the flags of run and chat.
func talkFlags() []cli.Flag {
	d := sample.Defaults()
	return append(append(modelFlags(), cacheFlags()...),
		&cli.IntFlag{Name: "ctx", Aliases: []string{"c", "ctx-size"}, Usage: "`N` tokens of context (default: what the model was trained for)"},
		kvFlag(autoKV, ", or auto: what 'eval kv --fix' found for the model, int8 without that"),
		&cli.StringFlag{Name: "system", Aliases: []string{"sys", "system-prompt"}, Usage: "system message `TEXT` for a new conversation"},
		&cli.BoolFlag{Name: "raw", Usage: "no chat template: continue the text as it is"},
		&cli.IntFlag{Name: "n", Aliases: []string{"predict", "n-predict"}, Usage: "at most `N` tokens of an answer; -1: what fits (the default)", DefaultText: "what fits"},
		&cli.Float64Flag{Name: "temp", Value: float64(d.Temp), Usage: "temperature; 0 takes the likeliest token", DefaultText: short(d.Temp)},
		&cli.IntFlag{Name: "top-k", Value: int(d.TopK), Usage: "consider the `K` likeliest tokens; 0: all"},
		&cli.Float64Flag{Name: "top-p", Value: float64(d.TopP), Usage: "consider the likeliest tokens that make up `P`", DefaultText: short(d.TopP)},
		&cli.Float64Flag{Name: "min-p", Value: float64(d.MinP), Usage: "leave out tokens below `P` times the likeliest", DefaultText: short(d.MinP)},
		&cli.Float64Flag{Name: "repeat-penalty", Value: float64(d.RepeatPenalty), Usage: "divide the logits of recent tokens by `F`", DefaultText: short(d.RepeatPenalty)},
		&cli.Float64Flag{Name: "presence-penalty", Usage: "subtract `F` from the logits of recent tokens"},
		&cli.Float64Flag{Name: "frequency-penalty", Usage: "subtract `F` for each time a token was used recently"},
		&cli.IntFlag{Name: "repeat-last-n", Value: int(d.PenaltyLastN), Usage: "`N` tokens count as recent"},
		&cli.Int64Flag{Name: "seed", Aliases: []string{"s"}, Value: -1, Usage: "seed `S` of the random choice (default: another one each time)", DefaultText: "random"},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "say how much of a prompt was reused, and why no more"},
		&cli.StringFlag{Name: "logit-bias", Usage: "`ID=BIAS,...` added to the logits of token ids; also ID+BIAS, ID-BIAS"},
	)
}

func short(f float32) string { return fmt.Sprintf("%.4g", f) }

// sampling reads the sampling flags.
func sampling(c *cli.Context) (sample.Params, error) {
	p := sample.Params{
		Temp: float32(c.Float64("temp")), TopK: c.Int("top-k"), TopP: float32(c.Float64("top-p")), MinP: float32(c.Float64("min-p")),
		RepeatPenalty: float32(c.Float64("repeat-penalty")), PresencePenalty: float32(c.Float64("presence-penalty")),
		FrequencyPenalty: float32(c.Float64("frequency-penalty")), PenaltyLastN: c.Int("repeat-last-n"),
	}
	if s := c.Int64("seed"); s >= 0 {
		p.Seed = uint64(s)
	} else {
		p.Seed = uint64(time.Now().UnixNano())
	}
	for _, pair := range strings.Split(c.String("logit-bias"), ",") {
		if pair == "" {
			continue
		}
		id, bias, ok := logitBias(pair)
		if !ok {
			return p, usagef("--logit-bias %.64q, expected ID=BIAS, ID+BIAS or ID-BIAS", pair)
		}
		if p.LogitBias == nil {
			p.LogitBias = map[int32]float32{}
		}
		p.LogitBias[id] = bias
	}
	if err := p.Validate(); err != nil {
		return p, usagef("%v", err)
	}
	return p, nil
}

// logitBias reads ID=BIAS, or ID+BIAS and ID-BIAS as llama.cpp has it.
func logitBias(pair string) (id int32, bias float32, ok bool) {
	at := strings.IndexAny(pair, "=+-")
	if at < 0 {
		return 0, 0, false
	}
	n, err := strconv.ParseUint(pair[:at], 10, 31)
	b, err2 := strconv.ParseFloat(strings.TrimPrefix(pair[at:], "="), 32)
	return int32(n), float32(b), err == nil && err2 == nil && !math.IsNaN(b)
}

// talk is a conversation with what it stands on.
type talk struct {
	a       *app
	model   *engine.Model
	memory  *engine.Memory
	conv    *engine.Conversation
	resumed engine.Resumed
	opt     engine.ConversationOptions
	max     int
	start   time.Time // of the command
	ready   time.Time // model and memory open
}

// openTalk opens model and memory as the flags say; begin opens the conversation.
func (a *app) openTalk(ctx context.Context, c *cli.Context) (_ *talk, err error) {
	t := &talk{a: a, max: c.Int("n"), start: time.Now()}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.close())
		}
	}()
	params, err := sampling(c)
	if err != nil {
		return nil, err
	}
	format, err := kvFormatOrAuto(c)
	if err != nil {
		return nil, err
	}
	if t.max == -1 {
		t.max = 0
	}
	if t.max < 0 {
		return nil, usagef("-n %d, expected -1 or more", t.max)
	}
	size := c.Int("ctx")
	if size < 0 || size > maxContext {
		return nil, usagef("-c %d, expected 0 to %d", size, maxContext)
	}
	if t.model, err = a.openModel(ctx, c); err != nil {
		return nil, err
	}
	if err := a.openMemory(ctx, c, t, format); err != nil {
		return nil, err
	}
	if trained := t.model.Config.NCtx; trained > 0 && size > trained {
		fmt.Fprintf(a.err, "kvasir: -c %d is more than the %d tokens that the model was trained for: behind those its answers may be poor\n", size, trained)
	}
	t.opt = engine.ConversationOptions{Size: size, Raw: c.Bool("raw"), System: c.String("system"), Sample: params, Explain: c.Bool("verbose")}
	t.ready = time.Now()
	return t, nil
}

// begin starts or takes up the conversation; session "" keeps nothing but shares prefixes.
func (t *talk) begin(ctx context.Context, session string) (err error) {
	if session == "" {
		t.conv, err = t.model.NewConversation(t.memory, t.opt)
		t.tellSystem()
		return err
	}
	p := t.a.progress("resuming")
	t.conv, t.resumed, err = t.model.OpenSession(ctx, t.memory, session, t.opt, func(done, total int) { p.set(int64(done), int64(total)) })
	p.end()
	if r := t.resumed; err == nil {
		t.a.explain("conversation", r.Tokens, r.Reused, r.Computed, r.Reuse)
	}
	if err == nil {
		t.tellSystem()
	}
	return err
}

// tellSystem says of a system message that it is of no effect.
func (t *talk) tellSystem() {
	switch turns := t.resumed.Turns; {
	case t.opt.System == "":
	case t.opt.Raw || t.model.Template == nil:
		fmt.Fprintln(t.a.err, "kvasir: --system is not used: without a chat template there is no place for it")
	case turns > 0 && (t.conv.Turns()[0].Role != "system" || t.conv.Turns()[0].Text != t.opt.System):
		fmt.Fprintln(t.a.err, "kvasir: --system is not used: the conversation has begun without it")
	}
}

func (a *app) openMemory(ctx context.Context, c *cli.Context, t *talk, format quant.KVFormat) error {
	bounds, err := a.storeOptions(c)
	if err != nil {
		return err
	}
	p := a.progress("reading model")
	t.memory, err = engine.OpenMemory(ctx, t.model, engine.MemoryOptions{Home: a.cfg.Home, Format: format, Store: bounds,
		Warn:     func(err error) { fmt.Fprintln(a.err, "kvasir:", err) },
		Progress: p.set})
	p.end()
	return err
}

// close releases everything in order; it may be called on a talk that was opened in part.
func (t *talk) close() error {
	var errs []error
	if t.conv != nil {
		errs = append(errs, t.conv.Close())
	}
	if t.memory != nil {
		errs = append(errs, t.memory.Close())
	}
	if t.model != nil {
		errs = append(errs, t.model.Close())
	}
	return errors.Join(errs...)
}

// stats is the form of --stats.
type stats struct {
	PromptTokens    int     `json:"prompt_tokens"`
	ReusedTokens    int     `json:"reused_tokens"`
	ComputedTokens  int     `json:"computed_tokens"`
	GeneratedTokens int     `json:"generated_tokens"`
	StartMS         float64 `json:"start_ms"`
	FirstTokenMS    float64 `json:"first_token_ms"`
	PromptTokS      float64 `json:"prompt_tok_s"`
	GenTokS         float64 `json:"gen_tok_s"`
	KV              string  `json:"kv"`
	Kernels         string  `json:"kernels"`
	Threads         int     `json:"threads"`
	Finish          string  `json:"finish"`

	Reuse *engine.Reuse `json:"reuse,omitempty"` // with -v
}

// stats joins what taking the conversation up and answering took.
func (t *talk) stats(a engine.Answer) stats {
	began := processStart(t.start)
	s := stats{
		PromptTokens: a.PromptTokens, ReusedTokens: a.ReusedTokens, ComputedTokens: a.ComputedTokens,
		GeneratedTokens: a.GeneratedTokens, StartMS: ms(t.ready.Sub(began)), KV: t.memory.Format(),
		Kernels: t.model.Kernels(), Threads: t.model.Threads(), Finish: a.Finish, Reuse: a.Reuse,
	}
	// What opening the session computed was due for this prompt, too.
	s.ReusedTokens -= t.resumed.Computed
	s.ComputedTokens += t.resumed.Computed
	if !a.FirstToken.IsZero() {
		s.FirstTokenMS = ms(a.FirstToken.Sub(began))
	}
	if d := a.Prefill + t.resumed.Took; s.ComputedTokens > 0 && d > 0 {
		s.PromptTokS = float64(s.ComputedTokens) / d.Seconds()
	}
	if a.GeneratedTokens > 1 && a.Generate > 0 {
		s.GenTokS = float64(a.GeneratedTokens-1) / a.Generate.Seconds()
	}
	return s
}

func ms(d time.Duration) float64 { return math.Round(d.Seconds()*1e6) / 1e3 }

// writeStats writes the object to the file, or to stderr for "-".
func (a *app) writeStats(to string, s stats) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	b = append(b, '\n')
	if to == "-" {
		_, err = a.err.Write(b)
		return err
	}
	return a.writeOutput(to, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// printer writes an answer's text to stdout as it comes; to a terminal without what could command it.
func (a *app) printer(written *bool) func(string) error {
	onTerminal := isTerminal(a.out)
	return func(s string) error {
		if onTerminal {
			s = printableText(s)
		}
		*written = true
		_, err := io.WriteString(a.out, s)
		return err
	}
}

// processStart returns when the kernel started this process, to within its clock tick; fallback where it does not say.
func processStart(fallback time.Time) time.Time {
	if at, ok := platform.ProcessStart(); ok && at.Before(fallback) {
		return at
	}
	return fallback
}
