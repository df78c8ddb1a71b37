package cli

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"kvasir/engine"
	"kvasir/platform/vfs"
)

func (a *app) sessionsForkCommand() *cli.Command {
	return &cli.Command{
		Name: "fork", Usage: "branch one: a new conversation that begins with its turns", ArgsUsage: "NAME NEW",
		Flags:  []cli.Flag{&cli.IntFlag{Name: "at", Usage: "take over the turns up to `TURN`, as show numbers them", DefaultText: "the last"}},
		Action: a.sessionsFork,
	}
}

func (a *app) sessionsRewindCommand() *cli.Command {
	return &cli.Command{
		Name: "rewind", Usage: "forget the later turns of one", ArgsUsage: "NAME",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "to", Usage: "keep the turns up to `TURN`, as show numbers them; 0 keeps none"},
			&cli.IntFlag{Name: "last", Usage: "forget the last `N` turns"},
		},
		Action: a.sessionsRewind,
	}
}

func (a *app) sessionsFork(c *cli.Context) error {
	if c.Args().Len() != 2 {
		return usagef("sessions fork takes the NAME of a session and that of the NEW one")
	}
	s, past, err := a.session(c.Args().First())
	if err != nil {
		return err
	}
	turns := engine.JoinTurns(past.Turns)
	at := len(turns)
	if c.IsSet("at") {
		if at = c.Int("at"); at < 1 || at > len(turns) {
			return usagef("--at %d: session %q has turns 1 to %d", at, past.Name, len(turns))
		}
	}
	return s.Fork(past, c.Args().Get(1), stored(turns, at))
}

// stored returns how many turns of the journal make up the first n turns.
func stored(turns []engine.Turn, n int) int {
	if n == 0 {
		return 0
	}
	return turns[n-1].Stored
}

func (a *app) sessionsRewind(c *cli.Context) error {
	if c.Args().Len() != 1 || c.IsSet("to") == c.IsSet("last") {
		return usagef("sessions rewind takes one NAME, and --to TURN or --last N")
	}
	s, err := a.sessions()
	if err != nil {
		return err
	}
	name := c.Args().First()
	j, past, err := s.Open(name)
	if err != nil {
		return inUse(name, err)
	}
	turns := engine.JoinTurns(past.Turns)
	keep := c.Int("to")
	if c.IsSet("last") {
		keep = len(turns) - c.Int("last")
	}
	sound, accepts := len(turns), false // what stands before the damage, and whether that is to be forgotten
	for past.Damaged && sound > 0 && turns[sound-1].Stored > past.Sound {
		sound--
	}
	switch {
	case c.IsSet("last") && c.Int("last") < 1, keep < 0, keep > len(turns):
		err = usagef("session %q has %d turns: expected --to 0 to %d, or --last 1 to %d", name, len(turns), len(turns), len(turns))
	default:
		if accepts = past.Damaged && keep <= sound; accepts || keep < len(turns) {
			err = j.Rewind(stored(turns, keep))
		}
	}
	if err = errors.Join(err, j.Close()); err != nil {
		return err
	}
	out := bufio.NewWriter(a.out)
	for i, t := range turns[keep:] {
		fmt.Fprintf(out, "forgotten: %d %s: %s\n", keep+i+1, printable(t.Role), summary(t.Text))
	}
	switch {
	case accepts:
		fmt.Fprintf(out, "forgotten: damage behind turn %d: %d gaps in the journal\n", sound, len(past.Gaps))
	case keep == len(turns):
		fmt.Fprintln(a.err, "nothing to forget")
	}
	if past.Damaged && !accepts {
		fmt.Fprintf(a.err, "session %q stays damaged behind turn %d\n", name, sound)
	}
	return out.Flush()
}

// summary returns the beginning of a text as one line that a terminal can show.
func summary(text string) string {
	line := strings.Join(strings.Fields(printableText(text)), " ")
	if r := []rune(line); len(r) > 60 {
		return string(r[:57]) + "..."
	}
	return line
}

// inUse names the session that another process has open.
func inUse(name string, err error) error {
	if errors.Is(err, vfs.ErrLocked) {
		return fmt.Errorf("session %q: %w", name, engine.ErrInUse)
	}
	return err
}
