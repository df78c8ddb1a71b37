package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"kvasir/engine"
	"kvasir/engine/chat"
	"kvasir/engine/token"
	"kvasir/kvcache"
	"kvasir/platform/vfs"
	"kvasir/quant"
)

func (a *app) cacheBakeCommand() *cli.Command {
	return &cli.Command{
		Name: "bake", Usage: "compute a system message once, into a file for other machines",
		UsageText: "kvasir cache bake [-m MODEL] --system FILE [--tools FILE] -o PACK",
		Flags: append(modelFlags(),
			fileFlag("system", "the system message, a text `FILE`, - for standard input"),
			fileFlag("tools", "a JSON `FILE` with the list of tools, in the form of the OpenAI API"),
			kvFlag(autoKV, "; must be that of the other machine's runs"),
			&cli.StringFlag{Name: "o", Usage: "the `PACK` to write, - for standard output"},
			&cli.BoolFlag{Name: "f", Usage: "replace the file if there is one"},
		),
		Action: a.cacheBake,
	}
}

func (a *app) cacheAddCommand() *cli.Command {
	return &cli.Command{
		Name: "add", Usage: "take in what 'cache bake' made: prompts that begin with it need not read it any more",
		UsageText: "kvasir cache add [--no-pin] PACK...",
		Flags:     []cli.Flag{&cli.BoolFlag{Name: "no-pin", Usage: "let it be evicted like anything else"}},
		Action:    a.cacheAdd,
	}
}

// maxSystemBytes bounds a system message.
const maxSystemBytes = 4 << 20

func (a *app) cacheBake(c *cli.Context) (err error) {
	if err := noArguments(c); err != nil {
		return err
	}
	path, err := required(c, "system")
	if err != nil {
		return err
	}
	to := c.String("o")
	if to == "" {
		return usagef("-o PACK is missing")
	}
	if to == "-" && isTerminal(a.out) {
		return usagef("a pack is no text: give a file, or send standard output elsewhere")
	}
	if path == "-" && c.String("tools") == "-" {
		return usagef("--system and --tools cannot both be standard input")
	}
	text, err := a.readInput(path, maxSystemBytes)
	if err != nil {
		return err
	}
	var tools chat.Value
	if c.IsSet("tools") {
		if tools, err = a.readTools(c.String("tools")); err != nil {
			return err
		}
	}
	ctx, stop := interruptible(c)
	defer stop()
	t := &talk{a: a}
	defer func() { err = errors.Join(err, t.close()) }()
	format, err := kvFormatOrAuto(c)
	if err != nil {
		return err
	}
	if format == quant.KVF32 {
		return usagef("--kv f32 is not stored, expected int8, f16 or %s", autoKV)
	}
	if t.model, err = a.openModel(ctx, c); err != nil {
		return err
	}
	if err := a.openMemory(ctx, c, t, format); err != nil {
		return err
	}
	prefix, err := t.model.PromptPrefix(strings.TrimSuffix(string(text), "\n"), tools)
	if errors.Is(err, token.ErrTextTooLong) {
		err = &dataError{err}
	}
	if err != nil {
		return err
	}
	if prefix.Dated < len(prefix.IDs) {
		fmt.Fprintf(a.err, "kvasir: this model's template writes the date into the prompt: from token %d of %d on the pack serves today only\n",
			prefix.Dated, len(prefix.IDs))
	}
	p := a.progress("computing")
	defer p.end()
	var info *kvcache.Archive
	err = a.writeFile(to, fileOptions{mode: 0o644, keep: !c.Bool("f"), sync: true}, func(w io.Writer) (err error) {
		info, err = t.model.Bake(ctx, t.memory, prefix, writerUntil{ctx, w}, func(done, total int) { p.set(int64(done), int64(total)) })
		return err
	})
	p.end()
	if err != nil {
		return err
	}
	fmt.Fprintf(a.err, "%d tokens as %s, %s\n", info.Tokens, engine.FormatName(info.Geometry), bytesText(info.Bytes))
	return nil
}

// readTools reads a list of tools.
func (a *app) readTools(path string) (chat.Value, error) {
	b, err := a.readInput(path, chat.MaxInputBytes)
	if err != nil {
		return nil, err
	}
	tools, err := chat.ValueFromJSON(b)
	if err != nil {
		return nil, dataErrorf("%.128q: %w", path, err)
	}
	if _, ok := tools.(*chat.List); !ok {
		return nil, dataErrorf("%.128q: expected a JSON array of tools", path)
	}
	return tools, nil
}

func (a *app) cacheAdd(c *cli.Context) (err error) {
	if !c.Args().Present() {
		return usagef("cache add takes the PACKs to add")
	}
	ctx, stop := interruptible(c)
	defer stop()
	store, err := a.openStore(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if st := store.Status(); st.Mode != kvcache.OnDisk {
		if errors.Is(st.Reason, vfs.ErrLocked) {
			return fmt.Errorf("the kv cache is %w", engine.ErrInUse)
		}
		return st.Reason
	}
	for _, path := range c.Args().Slice() {
		r, err := a.openArchive(ctx, path)
		if err != nil {
			return err
		}
		in, err := store.AddPack(r, !c.Bool("no-pin"))
		if in != nil && err != nil {
			err = fmt.Errorf("stored, but it may be evicted: %w", err)
		}
		if err = errors.Join(err, r.Close()); err == nil && in.Stored < in.KVTokens {
			err = fmt.Errorf("%d tokens of %d were stored: %w", in.Stored, in.KVTokens, in.Reason)
		}
		if err != nil {
			return fmt.Errorf("%.256q: %w", path, err)
		}
		pinned := ""
		if in.Pin != "" {
			pinned = fmt.Sprintf(", pinned as %q", in.Pin)
		}
		fmt.Fprintf(a.err, "%.256q: %d tokens as %s%s\n", path, in.Stored, engine.FormatName(in.Geometry), pinned)
	}
	return nil
}
