package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"kvasir/engine"
	"kvasir/kvcache"
	"kvasir/platform/vfs"
)

func (a *app) sessionsCommand() *cli.Command {
	return &cli.Command{
		Name:  "sessions",
		Usage: "list, show and remove conversations that were kept",
		Subcommands: []*cli.Command{
			{Name: "ls", Usage: "list them, the latest first", Flags: []cli.Flag{outputFlag()}, Action: a.sessionsList},
			{Name: "show", Usage: "print one", ArgsUsage: "NAME", Flags: []cli.Flag{outputFlag()}, Action: a.sessionsShow},
			{Name: "rm", Usage: "remove one or more", ArgsUsage: "NAME...", Action: a.sessionsRemove},
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usagef("no command %q, expected ls, show or rm", c.Args().First())
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

func (a *app) sessions() (*kvcache.Sessions, error) {
	home, err := a.home()
	if err != nil {
		return nil, err
	}
	return kvcache.NewSessions(vfs.OS(), home), nil
}

// exists returns an error unless there is a session of that name.
func (a *app) exists(session string) error {
	s, err := a.sessions()
	if err == nil {
		_, err = s.Read(session)
	}
	return err
}

// sessionLine is one session in a list.
type sessionLine struct {
	Name     string    `json:"name"`
	Model    string    `json:"model"`
	Turns    int       `json:"turns"`
	Tokens   int       `json:"tokens"`
	Bytes    int64     `json:"bytes"`
	Modified time.Time `json:"modified"`
	Error    string    `json:"error,omitempty"`

	fingerprint kvcache.Fingerprint
}

func (a *app) sessionsList(c *cli.Context) error {
	asJSON, err := wantsJSON(c)
	if err != nil {
		return err
	}
	s, err := a.sessions()
	if err != nil {
		return err
	}
	lines, err := listSessions(s)
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(lines, false)
	}
	if len(lines) == 0 {
		fmt.Fprintln(a.err, "no sessions yet: 'kvasir chat --session NAME' starts one")
		return nil
	}
	w := newTable(a.out)
	w.row("NAME", "TURNS", "TOKENS", "MODEL", "LAST USE")
	for _, l := range lines {
		if l.Error != "" {
			w.row(printable(l.Name), "-", "-", "-", l.Error)
			continue
		}
		w.row(printable(l.Name), l.Turns, l.Tokens, printable(filepath.Base(l.Model)), l.Modified.Format(time.DateTime))
	}
	return w.flush()
}

// listSessions reads every journal, the latest first.
func listSessions(s *kvcache.Sessions) ([]sessionLine, error) {
	infos, err := s.List()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	lines := []sessionLine{}
	for _, i := range infos {
		l := sessionLine{Name: i.Name, Bytes: i.Bytes, Modified: i.Modified}
		if l.Name == "" {
			l.Name = i.File
		}
		err := i.Err
		if err == nil {
			var past *kvcache.Conversation
			if past, err = s.Read(i.Name); err == nil {
				l.Model, l.Turns, l.Tokens = past.Model.Name, len(engine.JoinTurns(past.Turns)), len(past.IDs())
				l.fingerprint = past.Model.Fingerprint
			}
		}
		if err != nil {
			l.Error = err.Error()
		}
		lines = append(lines, l)
	}
	slices.SortStableFunc(lines, func(x, y sessionLine) int { return y.Modified.Compare(x.Modified) })
	return lines, nil
}

// sessionJSON is the form of 'sessions show -o json'.
type sessionJSON struct {
	Name     string     `json:"name"`
	Model    string     `json:"model"`
	Tokens   int        `json:"tokens"`
	KVTokens int        `json:"kv_tokens"`
	Bytes    int64      `json:"bytes"`
	Turns    []turnJSON `json:"turns"`
	Damaged  bool       `json:"damaged,omitempty"`
}

type turnJSON struct {
	Role     string `json:"role"`
	Text     string `json:"text"`
	Tokens   int    `json:"tokens"`
	Complete bool   `json:"complete"`
}

func (a *app) sessionsShow(c *cli.Context) error {
	asJSON, err := wantsJSON(c)
	if err != nil {
		return err
	}
	if c.Args().Len() != 1 {
		return usagef("sessions show takes one NAME")
	}
	s, err := a.sessions()
	if err != nil {
		return err
	}
	past, err := s.Read(c.Args().First())
	if err != nil {
		return err
	}
	j := sessionJSON{Name: past.Name, Model: past.Model.Name, Bytes: past.FileSize, Turns: []turnJSON{}, Damaged: past.Damaged}
	for _, t := range engine.JoinTurns(past.Turns) {
		j.Turns = append(j.Turns, turnJSON{t.Role, t.Text, t.Tokens, !t.CutOff})
		j.Tokens += t.Tokens
	}
	if j.KVTokens, err = kvcache.StoredTokens(vfs.OS(), a.cfg.Home, past.Model.Fingerprint, past.IDs()); err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(j, false)
	}
	fmt.Fprintf(a.out, "%s: %d turns, %d tokens (%d with stored rows), model %s\n", printable(j.Name), len(j.Turns), j.Tokens, j.KVTokens, printable(j.Model))
	if past.Damaged {
		fmt.Fprintf(a.out, "damaged: %d gaps in the journal; what is left follows\n", len(past.Gaps))
	}
	for _, t := range j.Turns {
		end := ""
		if !t.Complete {
			end = " [cut off]"
		}
		fmt.Fprintf(a.out, "\n%s:\n%s%s\n", printable(t.Role), printableText(t.Text), end)
	}
	return nil
}

func (a *app) sessionsRemove(c *cli.Context) error {
	if !c.Args().Present() {
		return usagef("sessions rm takes the NAMEs of sessions")
	}
	s, err := a.sessions()
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range c.Args().Slice() {
		err := s.Remove(name)
		if errors.Is(err, vfs.ErrLocked) {
			err = fmt.Errorf("session %q: %w", name, engine.ErrInUse)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// printable makes text from a file safe for a terminal line.
func printable(s string) string {
	q := strconv.Quote(s)
	if q = q[1 : len(q)-1]; !strings.Contains(q, `\`) || q == s {
		return s
	}
	return q
}

// printableText leaves line breaks and tabs, and takes other control characters out.
func printableText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return -1
		}
		return r
	}, s)
}
