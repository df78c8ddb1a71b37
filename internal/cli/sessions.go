package cli

import (
	"fmt"
	"path/filepath"
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
		Usage: "list, show, branch, take back and remove conversations that were kept",
		Subcommands: []*cli.Command{
			{Name: "ls", Usage: "list them, the latest first", Flags: []cli.Flag{outputFlag()}, Action: a.sessionsList},
			{Name: "show", Usage: "print one", ArgsUsage: "NAME", Flags: []cli.Flag{outputFlag()}, Action: a.sessionsShow},
			a.sessionsForkCommand(),
			a.sessionsRewindCommand(),
			a.sessionsRemoveCommand(),
			a.sessionsPinCommand(), a.sessionsUnpinCommand(),
			a.sessionsExportCommand(), a.sessionsImportCommand(),
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usagef("no command %q; 'kvasir sessions -h' lists them", c.Args().First())
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

// session reads the session of that name.
func (a *app) session(name string) (*kvcache.Sessions, *kvcache.Conversation, error) {
	s, err := a.sessions()
	if err != nil {
		return nil, nil, err
	}
	past, err := s.Read(name)
	return s, past, err
}

// sessionLine is one session in a list.
type sessionLine struct {
	Name     string    `json:"name"`
	Model    string    `json:"model"`
	Turns    int       `json:"turns"`
	Tokens   int       `json:"tokens"`
	Bytes    int64     `json:"bytes"`
	Modified time.Time `json:"modified"`
	Damaged  bool      `json:"damaged,omitempty"`
	Error    string    `json:"error,omitempty"`

	fingerprint kvcache.Fingerprint
}

func (a *app) sessionsList(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
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
			w.row(printable(l.Name), "-", "-", "-", printable(l.Error))
			continue
		}
		model, used := "-", l.Modified.Format(time.DateTime)
		if l.Model != "" {
			model = printable(filepath.Base(l.Model))
		}
		if l.Damaged {
			used += ", damaged"
		}
		w.row(printable(l.Name), l.Turns, l.Tokens, model, used)
	}
	return w.flush()
}

// listSessions reads every journal, the latest first.
func listSessions(s *kvcache.Sessions) ([]sessionLine, error) {
	lines := []sessionLine{}
	err := s.Scan(func(i kvcache.SessionInfo, past *kvcache.Conversation) error {
		l := sessionLine{Name: i.Name, Bytes: i.Bytes, Modified: i.Modified}
		if l.Name == "" {
			l.Name = i.File
		}
		if i.Err != nil {
			l.Error = i.Err.Error()
		} else {
			l.Model, l.Turns, l.Tokens = past.Model.Name, len(engine.JoinTurns(past.Turns)), len(past.IDs())
			l.fingerprint, l.Damaged = past.Model.Fingerprint, past.Damaged
		}
		lines = append(lines, l)
		return nil
	})
	return lines, err
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
