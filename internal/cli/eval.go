package cli

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"kvasir/engine"
	"kvasir/engine/chat"
	"kvasir/engine/token"
	"kvasir/kvcache"
	"kvasir/platform"
)

func (a *app) evalCommand() *cli.Command {
	return &cli.Command{
		Name: "eval", Usage: "compute figures and raw values, to compare with other programs",
		UsageText: "kvasir eval kv|logits|ppl|tokenize|template ...",
		Subcommands: []*cli.Command{
			a.evalKVCommand(), a.evalLogitsCommand(), a.evalPPLCommand(), a.evalTokenizeCommand(), a.evalTemplateCommand(),
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usagef("no command eval %.128q, expected kv, logits, ppl, tokenize or template", c.Args().First())
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

func fileFlag(name, usage string) cli.Flag { return &cli.StringFlag{Name: name, Usage: usage} }

// required returns the value of a flag that a command cannot do without.
func required(c *cli.Context, name string) (string, error) {
	v := c.String(name)
	if v == "" {
		return "", usagef("--%s is missing", name)
	}
	return v, nil
}

func (a *app) evalTokenizeCommand() *cli.Command {
	return &cli.Command{
		Name: "tokenize", Usage: "print the tokens of a text as a JSON array",
		UsageText: "kvasir eval tokenize [-m MODEL] --file TEXT [--special] [--bos]",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "model", Aliases: []string{"m"}, Usage: "GGUF `FILE` with a vocabulary; it need not hold a model"},
			fileFlag("file", "the text `FILE`, - for standard input"),
			&cli.BoolFlag{Name: "special", Usage: "recognise control tokens that the text spells out"},
			&cli.BoolFlag{Name: "bos", Usage: "put the token that begins a text before it"},
		},
		Action: a.evalTokenize,
	}
}

func (a *app) evalTokenize(c *cli.Context) (err error) {
	path, err := required(c, "file")
	if err != nil {
		return err
	}
	if err := noArguments(c); err != nil {
		return err
	}
	name := c.String("model")
	if name == "" {
		name = a.cfg.Model
	}
	f, err := a.openFile(name)
	if err != nil {
		return err
	}
	tok, err := engine.TokenizerOf(f.File)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("model %.256q: %w", f.Name, err)
	}
	text, err := a.readInput(path, token.MaxTextBytes)
	if err != nil {
		return err
	}
	ids, err := tok.Encode(string(text), token.Options{AddBOS: c.Bool("bos"), ParseSpecial: c.Bool("special")})
	if err != nil {
		return &dataError{err}
	}
	if ids == nil {
		ids = []int32{} // [], not null
	}
	return a.printJSON(ids, false)
}

func (a *app) evalTemplateCommand() *cli.Command {
	return &cli.Command{
		Name: "template", Usage: "render a chat template",
		UsageText: "kvasir eval template --template FILE --input FILE",
		Description: "The input is a JSON object of the template's variables: messages, tools, add_generation_prompt, bos_token and so on.\n" +
			"Where the template asks for the time, \"now\" of the input (ISO 8601) is it, else the present time.",
		Flags: []cli.Flag{
			fileFlag("template", "the Jinja template `FILE`"),
			fileFlag("input", "the variables, a JSON `FILE`, - for standard input"),
		},
		Action: a.evalTemplate,
	}
}

func (a *app) evalTemplate(c *cli.Context) error {
	path, err := required(c, "template")
	if err != nil {
		return err
	}
	input, err := required(c, "input")
	if err != nil {
		return err
	}
	if err := noArguments(c); err != nil {
		return err
	}
	src, err := a.readInput(path, chat.MaxSourceBytes)
	if err != nil {
		return err
	}
	data, err := a.readInput(input, chat.MaxInputBytes)
	if err != nil {
		return err
	}
	t, err := chat.Compile(string(src))
	if err != nil {
		return dataErrorf("%.256q: %w", path, err)
	}
	vars, err := chat.VarsFromJSON(data)
	if err != nil {
		return dataErrorf("%.256q: %w", input, err)
	}
	now, ok, err := chat.Now(vars)
	if err != nil {
		return dataErrorf("%.256q: %w", input, err)
	}
	if !ok {
		now = time.Now()
	}
	out, err := t.Render(vars, chat.Options{Now: now})
	if err != nil {
		return dataErrorf("%.256q: %w", path, err)
	}
	_, err = fmt.Fprint(a.out, out)
	return err
}

// checkMemory refuses work whose caches cannot fit in memory, before the system kills the process for it. need is the
// bytes of caches and passes; weights are not counted, since their pages can be given up.
func checkMemory(what string, need int64) error {
	if usable, known := platform.ReadMemory().Usable(); known && need > usable {
		return fmt.Errorf("%s takes %s of memory, %s can be had: %w", what, bytesText(need), bytesText(usable), syscall.ENOMEM)
	}
	return nil
}

// contextBytes returns the memory of a context of n positions.
func contextBytes(m *engine.Model, g kvcache.Geometry, n, batch int) (int64, error) {
	cache, err := engine.CacheBytes(g, n)
	return cache + m.PassBytes(batch), err
}
