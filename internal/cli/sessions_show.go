package cli

import (
	"bufio"
	"fmt"

	"github.com/urfave/cli/v2"

	"kvasir/engine"
	"kvasir/kvcache"
	"kvasir/platform/vfs"
)

// sessionJSON is the form of 'sessions show -o json'.
type sessionJSON struct {
	Name     string     `json:"name"`
	Model    string     `json:"model"`
	Tokens   int        `json:"tokens"`
	KVTokens int        `json:"kv_tokens"`
	Bytes    int64      `json:"bytes"`
	KVBytes  int64      `json:"kv_bytes"`
	Turns    []turnJSON `json:"turns"`
	Damaged  bool       `json:"damaged,omitempty"`

	ForkedFrom *forkJSON   `json:"forked_from,omitempty"`
	SharedWith []shareJSON `json:"shared_with,omitempty"`
}

// forkJSON says where a session comes from: the last turn that it has taken over and still has, 0 for none.
type forkJSON struct {
	Name string `json:"name"`
	Turn int    `json:"turn"`
}

// shareJSON is another session that uses the same rows.
type shareJSON struct {
	Name   string `json:"name"`
	Tokens int    `json:"tokens"`
	Bytes  int64  `json:"bytes"`
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
	s, past, err := a.session(c.Args().First())
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
	rows, err := s.Rows(past)
	if err != nil {
		return err
	}
	j.KVBytes = rows.Bytes
	for _, r := range rows.Shared {
		j.SharedWith = append(j.SharedWith, shareJSON{r.Session, r.Tokens, r.Bytes})
	}
	if p := past.Parent; p != nil {
		j.ForkedFrom = &forkJSON{p.Session, len(engine.JoinTurns(past.Turns[:min(p.Turns, len(past.Turns))]))}
	}
	if asJSON {
		return a.printJSON(j, false)
	}
	out := bufio.NewWriter(a.out)
	printSession(out, &j, past)
	return out.Flush()
}

// printSession writes a session for people; the first error is what out.Flush returns.
func printSession(out *bufio.Writer, j *sessionJSON, past *kvcache.Conversation) {
	fmt.Fprintf(out, "%s: %d turns, %d tokens (%d with stored rows), model %s\n", printable(j.Name), len(j.Turns), j.Tokens, j.KVTokens, printable(j.Model))
	fmt.Fprintf(out, "journal %s, KV cache %s\n", bytesText(j.Bytes), bytesText(j.KVBytes))
	if f := j.ForkedFrom; f != nil {
		fmt.Fprintf(out, "forked from %s at turn %d\n", printable(f.Name), f.Turn)
	}
	for _, r := range j.SharedWith {
		fmt.Fprintf(out, "shares the rows of %d tokens (%s) with %s\n", r.Tokens, bytesText(r.Bytes), printable(r.Name))
	}
	if past.Damaged {
		fmt.Fprintf(out, "damaged behind turn %d: %d gaps in the journal; what is left follows\n", len(engine.JoinTurns(past.Turns[:past.Sound])), len(past.Gaps))
	}
	for i, t := range j.Turns {
		end := ""
		if !t.Complete {
			end = " [cut off]"
		}
		fmt.Fprintf(out, "\n%d %s:\n%s%s\n", i+1, printable(t.Role), printableText(t.Text), end)
	}
}
