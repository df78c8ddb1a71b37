// Package cli is the command line: one file per verb. Text that a model generates, and tables that were asked for, go
// to stdout; all else goes to stderr.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"syscall"

	"github.com/urfave/cli/v2"

	"kvasir/engine"
	"kvasir/engine/chat"
	"kvasir/engine/par"
	"kvasir/engine/token"
	"kvasir/gguf"
	"kvasir/internal/config"
	"kvasir/kvcache"
)

// Exit codes, as the manual lists them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitBadData     = 3 // the model, or a file that a command reads, is unusable
	exitNoSpace     = 4 // out of disk space or memory
	exitInterrupted = 130
)

// demoName stands for the built-in model wherever a model is named.
const demoName = "demo"

// app is what the verbs share: the streams, the environment and the built-in model.
type app struct {
	in       io.Reader
	out, err io.Writer
	cfg      config.Config
	demo     []byte
}

// usageError is a mistake of the caller's: exit code 2.
type usageError struct{ msg string }

func (e *usageError) Error() string { return e.msg }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// Main runs the program and returns its exit code.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer, demo []byte) int {
	// A recursion that was missed dies at 64 MiB instead of taking the board's memory.
	debug.SetMaxStack(64 << 20)
	a := &app{in: stdin, out: stdout, err: stderr, cfg: config.Load(), demo: demo}
	c := &cli.App{
		Name:                   "kvasir",
		Usage:                  "run language models on small machines, with conversations that survive restarts",
		HideVersion:            true,
		Flags:                  []cli.Flag{cli.HelpFlag, &cli.BoolFlag{Name: "version", Usage: "as the command version"}},
		UseShortOptionHandling: true,
		Reader:                 stdin, Writer: stdout, ErrWriter: stderr,
		ExitErrHandler: func(*cli.Context, error) {}, // exit codes are ours
		OnUsageError:   func(_ *cli.Context, err error, _ bool) error { return usagef("%v", err) },
		CommandNotFound: func(_ *cli.Context, name string) {
			fmt.Fprintf(stderr, "kvasir: no command %q; 'kvasir help' lists them\n", name)
		},
		Commands: a.commands(),
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usagef("no command %q; 'kvasir help' lists them", c.Args().First())
			}
			if c.Bool("version") {
				return c.App.RunContext(c.Context, []string{c.App.Name, "version"})
			}
			return cli.ShowAppHelp(c)
		},
	}
	setUsageErrors(c.Commands)
	wordsAreArguments(c.Commands)
	err := c.RunContext(context.Background(), permute(args, c.Commands))
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "kvasir: interrupted")
	case err != nil:
		fmt.Fprintln(stderr, "kvasir:", err)
	}
	return exitCode(err)
}

// commands lists the verbs.
func (a *app) commands() []*cli.Command {
	return []*cli.Command{
		a.runCommand(), a.chatCommand(), a.sessionsCommand(), a.cacheCommand(), a.inspectCommand(), a.evalCommand(),
		a.benchCommand(), a.doctorCommand(), a.versionCommand(), a.helpCommand(),
	}
}

// setUsageErrors makes every command answer unknown flags with exit code 2 and without its whole help text.
func setUsageErrors(cs []*cli.Command) {
	for _, c := range cs {
		c.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return usagef("%v", err) }
		setUsageErrors(c.Subcommands)
	}
}

// exitCode is the one place where errors become exit codes.
func exitCode(err error) int {
	var (
		usage  *usageError
		broken *gguf.Error
		data   *dataError
		fault  *par.Fault // of a model file that changed under the program
	)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage), errors.Is(err, kvcache.ErrName) && !errors.Is(err, kvcache.ErrArchive):
		return exitUsage
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.ENOMEM):
		return exitNoSpace
	case errors.As(err, &broken), errors.As(err, &data), errors.As(err, &fault), errors.Is(err, gguf.ErrFault), errors.Is(err, kvcache.ErrArchive),
		errors.Is(err, engine.ErrNumeric), errors.Is(err, engine.ErrRecipe), errors.Is(err, token.ErrNoVocab), errors.Is(err, token.ErrBadVocab), errors.Is(err, token.ErrUnsupported), errors.Is(err, chat.ErrRuntime):
		return exitBadData
	}
	return exitFailed
}

// isTerminal reports whether w is a terminal: progress and colour belong only there.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && terminal(f)
}
