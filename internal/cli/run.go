package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"kvasir/engine"
)

// maxPromptBytes bounds a prompt that is read from stdin.
const maxPromptBytes = 64 << 20

func (a *app) runCommand() *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "one answer on stdout",
		ArgsUsage: "[PROMPT | < stdin]",
		Flags: append(talkFlags(),
			&cli.StringFlag{Name: "prompt", Aliases: []string{"p"}, Usage: "the prompt, instead of the argument"},
			&cli.StringFlag{Name: "session", Usage: "keep the conversation as `NAME`, or go on with it"},
			&cli.BoolFlag{Name: "continue", Usage: "go on with an answer that was cut off (with --session, without a prompt)"},
			&cli.StringFlag{Name: "stats", Usage: "write figures as JSON to `FILE` at the end (- for stderr)"},
		),
		Action: a.run,
	}
}

func (a *app) run(c *cli.Context) error {
	session, again := c.String("session"), c.Bool("continue")
	if c.IsSet("session") && session == "" {
		return usagef("--session is empty, expected a NAME")
	}
	prompt, err := a.prompt(c, again) // a signal meanwhile ends the process: nothing is open yet
	if err != nil {
		return err
	}
	ctx, stop := interruptible(c)
	defer stop()
	if again && session == "" {
		return usagef("--continue needs --session")
	}
	if again { // or opening it would make it
		if _, _, err := a.session(session); err != nil {
			return err
		}
	}
	t, err := a.openTalk(ctx, c)
	if err != nil {
		return err
	}
	if err := t.begin(ctx, session); err != nil {
		return errors.Join(err, t.close())
	}
	answer, err := a.answer(ctx, t, prompt, again)
	if err == nil && c.IsSet("stats") {
		err = a.writeStats(c.String("stats"), t.stats(answer))
	}
	if err == nil && answer.Finish == engine.FinishContext {
		fmt.Fprintln(a.err, "kvasir: the context is full, and the answer was cut off there (-c makes it larger)")
	}
	if err == nil && answer.Finish == engine.FinishInterrupted {
		err = context.Canceled
	}
	return errors.Join(err, t.close())
}

func (a *app) answer(ctx context.Context, t *talk, prompt string, again bool) (answer engine.Answer, err error) {
	p := a.progress("reading prompt")
	progress := func(done, total int) { p.set(int64(done), int64(total)) }
	written := false
	out := a.printer(&written)
	print := func(s string) error {
		p.end()
		return out(s)
	}
	if again {
		answer, err = t.conv.Continue(ctx, t.max, progress, print)
	} else {
		answer, err = t.conv.Say(ctx, prompt, t.max, progress, print)
	}
	p.end()
	if written && isTerminal(a.out) {
		fmt.Fprintln(a.out)
	}
	a.explain("prompt", answer.PromptTokens, answer.ReusedTokens, answer.ComputedTokens, answer.Reuse)
	return answer, err
}

// prompt takes the prompt from -p, the arguments or stdin.
func (a *app) prompt(c *cli.Context, again bool) (string, error) {
	args := strings.Join(c.Args().Slice(), " ")
	switch {
	case c.IsSet("prompt") && args != "":
		return "", usagef("a prompt as -p and as an argument: give one")
	case again && (c.IsSet("prompt") || args != ""):
		return "", usagef("--continue goes on with the last answer, without a prompt")
	case again:
		return "", nil
	case c.IsSet("prompt"):
		args = c.String("prompt")
	case args == "" && isTerminal(a.in):
		return "", usagef("no prompt; 'kvasir chat' starts a conversation")
	case args == "":
		b, err := io.ReadAll(io.LimitReader(a.in, maxPromptBytes+1))
		if err != nil {
			return "", fmt.Errorf("prompt from stdin: %w", err)
		}
		if len(b) > maxPromptBytes {
			return "", usagef("the prompt on stdin is longer than %d bytes", maxPromptBytes)
		}
		args = strings.TrimSuffix(string(b), "\n")
	}
	if args == "" {
		return "", usagef("the prompt is empty")
	}
	return args, nil
}
