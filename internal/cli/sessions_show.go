package cli

import (
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
