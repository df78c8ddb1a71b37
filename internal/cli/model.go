package cli

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"kvasir/engine"
	"kvasir/quant"
)

// The flags that commands share. Their names are llama.cpp's where it has them.
func modelFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "model", Aliases: []string{"m"}, Usage: "GGUF model `FILE` (default: $KVASIR_MODEL, else the built-in demo model)"},
		&cli.IntFlag{Name: "threads", Aliases: []string{"t"}, Usage: "`N` worker threads (default: one per fast core)"},
		&cli.BoolFlag{Name: "mlock", Usage: "keep the model in physical memory, as far as the system allows"},
		&cli.BoolFlag{Name: "no-mmap", Usage: "read the model into memory instead of mapping its file"},
	}
}

func kvFlag(value, more string) cli.Flag {
	return &cli.StringFlag{Name: "kv", Value: value, Usage: "format of the KV cache: int8 or f16" + more}
}

// openModel opens the model that -m, the environment or nothing names. A cancelled ctx ends reading or locking it.
func (a *app) openModel(ctx context.Context, c *cli.Context) (*engine.Model, error) {
	threads := c.Int("threads")
	if threads < 0 || threads > 1024 {
		return nil, usagef("-t %d, expected 1 to 1024", threads)
	}
	p := a.progress("loading model")
	defer p.end()
	opt := engine.Options{
		Threads: threads, Kernels: a.cfg.Kernels,
		Prefetch: true, Lock: c.Bool("mlock"), NoMap: c.Bool("no-mmap"),
		Warn: func(err error) { fmt.Fprintln(a.err, "kvasir:", err) },
		Progress: func(done, total int64) error {
			p.set(done, total)
			return ctx.Err()
		},
	}
	path := c.String("model")
	if path == "" {
		path = a.cfg.Model
	}
	return a.openNamed(path, opt)
}

// autoKV stands for the format that the model's recipe says, int8 without one.
const autoKV = "auto"

// kvFormatOrAuto is kvFormat, with 0 for auto.
func kvFormatOrAuto(c *cli.Context) (quant.KVFormat, error) {
	if c.String("kv") == autoKV {
		return 0, nil
	}
	return kvFormat(c)
}

func kvFormat(c *cli.Context) (quant.KVFormat, error) {
	f, err := quant.ParseKVFormat(c.String("kv"))
	if err != nil {
		return 0, usagef("--kv %q, expected int8, f16 or f32", c.String("kv"))
	}
	return f, nil
}

func terminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// progress shows how far a long step has come, on a terminal only and only if the step takes longer than a moment.
type progress struct {
	a     *app
	what  string
	start time.Time
	bar   *progressbar.ProgressBar
}

// progressDelay is how long a step runs before its bar appears.
const progressDelay = 400 * time.Millisecond

func (a *app) progress(what string) *progress { return &progress{a: a, what: what, start: time.Now()} }

// set says that done of total is reached.
func (p *progress) set(done, total int64) {
	if !isTerminal(p.a.err) || total <= 0 {
		return
	}
	if p.bar == nil {
		if done >= total || time.Since(p.start) < progressDelay {
			return
		}
		p.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(p.a.err), progressbar.OptionSetDescription(p.what),
			progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond))
	}
	_ = p.bar.Set64(done)
}

// adder returns a function that is told how much more of total is done.
func (p *progress) adder(total int) func(more int) {
	done := 0
	return func(more int) {
		done += more
		p.set(int64(done), int64(total))
	}
}

// end takes the bar away.
func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Finish()
		fmt.Fprint(p.a.err, "\r\033[K")
		p.bar = nil
	}
}
