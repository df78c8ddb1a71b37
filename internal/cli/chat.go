package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/peterh/liner"
	"github.com/urfave/cli/v2"

	"kvasir/engine"
)

func (a *app) chatCommand() *cli.Command {
	return &cli.Command{
		Name:  "chat",
		Usage: "talk; the conversation is kept and goes on where it stopped",
		Flags: append(talkFlags(),
			&cli.StringFlag{Name: "session", Usage: "start the conversation `NAME`, or go on with it"},
			&cli.BoolFlag{Name: "continue", Usage: "go on with the latest conversation with this model"},
		),
		Action: a.chat,
	}
}

const chatHelp = `Ctrl-C ends an answer; at the prompt it leaves, as do Ctrl-D and /exit. Nothing is lost: the conversation is kept.
/continue   go on with an answer that was cut off (an empty line does, too)
/undo       forget the last message and its answer
/help       this text`

func (a *app) chat(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	session, again := c.String("session"), c.Bool("continue")
	if c.IsSet("session") && session == "" {
		return usagef("--session is empty, expected a NAME")
	}
	if again && session != "" {
		return usagef("--session and --continue exclude each other: --session goes on with its conversation anyway")
	}
	ctx, stop := interruptible(c) // until the conversation is open, an interrupt ends the program
	defer stop()
	t, err := a.openTalk(ctx, c)
	if err != nil {
		return err
	}
	if again {
		session, err = t.latest()
	}
	named := session != ""
	switch {
	case named:
	case a.cfg.Home == "":
		fmt.Fprintln(a.err, "kvasir: no home directory (set KVASIR_HOME): this conversation is not kept")
	default:
		session = "chat-" + time.Now().Format("20060102-150405.000")
	}
	if err == nil {
		err = t.begin(ctx, session)
	}
	if err != nil {
		return errors.Join(err, t.close())
	}
	stop()
	s := &chatLoop{a: a, t: t, session: session}
	err = s.run(c.Context)
	s.wait()
	turns := len(t.conv.Turns())
	err = errors.Join(err, t.close())
	switch {
	case session == "":
	case turns == 0 && t.resumed.Turns == 0 && !named:
		err = errors.Join(err, a.forget(session)) // nothing was said
	case turns > 0 && isTerminal(a.out):
		fmt.Fprintf(a.err, "kept as %s; go on with: %s\n", session, a.resumeHint(c, session))
	}
	return err
}

func (a *app) resumeHint(c *cli.Context, session string) string {
	hint := "kvasir chat"
	if m := c.String("model"); m != "" {
		hint += " -m " + m
	}
	if c.IsSet("session") {
		return hint + " --session " + session
	}
	return hint + " --continue"
}

func (a *app) forget(session string) error {
	s, err := a.sessions()
	if err != nil {
		return err
	}
	return s.Remove(session)
}

// latest returns the name of the session with this model that was used last.
func (t *talk) latest() (string, error) {
	if t.memory.Sessions == nil {
		return "", errors.New("no home directory: no sessions are kept (set KVASIR_HOME)")
	}
	lines, err := listSessions(t.memory.Sessions)
	if err != nil {
		return "", err
	}
	for _, l := range lines {
		if l.Error == "" && l.Turns > 0 && l.fingerprint == t.memory.Fingerprint() {
			return l.Name, nil
		}
	}
	return "", errors.New("no conversation with this model to continue; 'kvasir chat' starts one")
}

// chatLoop reads lines and prints answers.
type chatLoop struct {
	a       *app
	t       *talk
	session string
	flushed chan error // the store is busy with the last turn; nil if not
}

// run returns when the user leaves.
func (s *chatLoop) run(ctx context.Context) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, heeded(syscall.SIGINT, syscall.SIGHUP)...)
	defer signal.Stop(signals)
	s.greet()
	lines, closeInput := s.input()
	defer closeInput()
	for {
		line, err := s.await(lines, signals)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, liner.ErrPromptAborted):
			return nil
		case err != nil:
			return fmt.Errorf("input: %w", err)
		}
		text, again := strings.TrimSpace(line), false
		switch {
		case text == "/exit", text == "/quit":
			return nil
		case text == "/help":
			fmt.Fprintln(s.a.err, chatHelp)
			continue
		case text == "/undo":
			if err := s.undo(); err != nil {
				return err
			}
			continue
		case text == "/continue", text == "" && s.t.conv.CutOff():
			again = true
		case text == "":
			continue
		case strings.HasPrefix(text, "/") && !strings.ContainsAny(text, " \t"):
			fmt.Fprintf(s.a.err, "no command %s; /help lists them\n", printable(text))
			continue
		}
		leave, err := s.turn(ctx, text, again, signals)
		if leave || err != nil {
			return err
		}
	}
}

// await reads a line. A signal in the meantime (a service manager's, or an interrupt where no terminal turns it into a
// key) ends the input: what was said is kept already.
func (s *chatLoop) await(read func() (string, error), signals <-chan os.Signal) (string, error) {
	type input struct {
		line string
		err  error
	}
	got := make(chan input, 1)
	go func() {
		line, err := read()
		got <- input{line, err}
	}()
	select {
	case in := <-got:
		return in.line, in.err
	case <-signals:
		return "", io.EOF
	}
}

// greet says what was taken up, or how to leave.
func (s *chatLoop) greet() {
	t := s.t
	if r := t.resumed; r.Turns > 0 {
		fmt.Fprintf(s.a.err, "resumed %s: %d turns, %d tokens; %d reused, %d computed, %s\n",
			printable(s.session), r.Turns, r.Tokens, r.Reused, r.Computed, r.Took.Round(time.Millisecond/10))
		turns := t.conv.Turns()
		for _, turn := range turns[max(0, len(turns)-2):] {
			mark := "  "
			if turn.Role == "user" {
				mark = "> "
			}
			fmt.Fprintf(s.a.err, "%s%s\n", mark, printableText(turn.Text))
		}
		if t.conv.CutOff() {
			fmt.Fprintln(s.a.err, "(the answer was cut off: an empty line goes on with it)")
		}
		return
	}
	if isTerminal(s.a.in) {
		fmt.Fprintf(s.a.err, "%s, %s; /help for help, Ctrl-D to leave\n", s.t.model.Name(), s.t.model.Kernels())
	}
}

// turn makes one answer. An interrupt ends the answer; a second one, or a termination, leaves; one more kills.
func (s *chatLoop) turn(ctx context.Context, text string, again bool, signals <-chan os.Signal) (leave bool, err error) {
	s.wait()
	ctx, cancel := context.WithCancel(ctx)
	done, left := make(chan struct{}), make(chan bool, 1)
	go func() {
		n := 0
		for {
			select {
			case sig := <-signals:
				n++
				cancel()
				if sig != syscall.SIGINT || n > 1 {
					left <- true
					signal.Reset() // an answer that does not end, since nobody reads it, dies by the next one
					return
				}
			case <-done:
				return
			}
		}
	}()
	answer, err := s.a.answer(ctx, s.t, text, again)
	close(done)
	cancel()
	select {
	case leave = <-left:
	default:
	}
	if !isTerminal(s.a.out) {
		fmt.Fprintln(s.a.out)
	}
	switch {
	case errors.Is(err, context.Canceled):
		err = nil
		fmt.Fprintln(s.a.err, "(stopped before the answer; an empty line asks again)")
	case errors.Is(err, engine.ErrContextFull), errors.Is(err, engine.ErrNothingToContinue):
		fmt.Fprintln(s.a.err, "kvasir:", err)
		err = nil
	case err == nil && answer.Finish == engine.FinishContext:
		fmt.Fprintln(s.a.err, "(the context is full: this conversation cannot go on; start a new one)")
	}
	s.flush()
	return leave, err
}

// undo forgets the last exchange.
func (s *chatLoop) undo() error {
	s.wait()
	gone, err := s.t.conv.Undo()
	if errors.Is(err, engine.ErrNothingToUndo) {
		fmt.Fprintln(s.a.err, "kvasir:", err)
		return nil
	}
	if err == nil {
		fmt.Fprintf(s.a.err, "(forgotten: %s)\n", summary(gone[0].Text))
	}
	return err
}

// flush lets the store keep the unfinished block while the user reads and types.
func (s *chatLoop) flush() {
	s.flushed = make(chan error, 1)
	go func() { s.flushed <- s.t.conv.Flush() }()
}

func (s *chatLoop) wait() {
	if s.flushed != nil {
		<-s.flushed // a failure shows as the store's warning; the journal has the turn
		s.flushed = nil
	}
}

// input returns a function that reads the next line: with editing and history on a terminal, plainly otherwise.
func (s *chatLoop) input() (next func() (string, error), done func()) {
	if f, ok := s.a.in.(*os.File); !ok || f != os.Stdin || !isTerminal(f) || !isTerminal(s.a.out) {
		sc := bufio.NewScanner(s.a.in)
		sc.Buffer(nil, maxPromptBytes)
		return func() (string, error) {
			if sc.Scan() {
				return sc.Text(), nil
			}
			switch err := sc.Err(); {
			case errors.Is(err, bufio.ErrTooLong):
				return "", fmt.Errorf("a line has more than %d bytes", maxPromptBytes)
			case err != nil:
				return "", err
			}
			return "", io.EOF
		}, func() {}
	}
	l := liner.NewLiner()
	l.SetCtrlCAborts(true)
	for _, t := range s.t.conv.Turns() {
		if t.Role == "user" {
			l.AppendHistory(strings.ReplaceAll(t.Text, "\n", " "))
		}
	}
	return func() (string, error) {
		line, err := l.Prompt("> ")
		if errors.Is(err, io.EOF) {
			fmt.Fprintln(s.a.err) // Ctrl-D leaves the cursor behind the prompt
		}
		if err == nil && strings.TrimSpace(line) != "" {
			l.AppendHistory(line)
		}
		return line, err
	}, func() { _ = l.Close() }
}
