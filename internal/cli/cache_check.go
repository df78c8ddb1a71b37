package cli

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"kvasir/kvcache"
	"kvasir/platform/vfs"
)

func (a *app) cacheCheckCommand() *cli.Command {
	return &cli.Command{
		Name: "check", Usage: "verify every byte of the cache and of the sessions, and change nothing",
		UsageText: "kvasir cache check [-o table|json]",
		Flags:     []cli.Flag{outputFlag()},
		Action:    a.cacheCheck,
	}
}

// checkJSON is the form of 'cache check -o json'.
type checkJSON struct {
	Home     string        `json:"home"`
	Files    int           `json:"files"`
	Bytes    int64         `json:"bytes"`
	Blocks   int           `json:"blocks"`
	States   int           `json:"states"` // snapshots of recurrent states
	Sessions int           `json:"sessions"`
	Clean    bool          `json:"clean"`
	Findings []findingJSON `json:"findings"`
}

// findingJSON is something that was found in a file.
type findingJSON struct {
	File   string `json:"file"`
	Lost   string `json:"lost"` // what is not used because of it; "" for a note
	Why    string `json:"why"`
	Damage bool   `json:"damage"`
}

func (a *app) cacheCheck(c *cli.Context) error {
	home, asJSON, err := a.homeTable(c)
	if err != nil {
		return err
	}
	ctx, stop := interruptible(c)
	defer stop()
	_, held, _ := storeLock(home)
	p := a.progress("checking")
	checked, err := kvcache.Check(vfs.OS(), home, kvcache.CheckOptions{Busy: held, Progress: func(done, total int64) error {
		p.set(done, total)
		return ctx.Err()
	}})
	p.end()
	if err != nil {
		return err
	}
	j := checkJSON{home, checked.Files, checked.Bytes, checked.Blocks, checked.States, checked.Sessions, checked.Damaged() == 0, []findingJSON{}}
	for _, f := range checked.Findings {
		j.Findings = append(j.Findings, findingJSON{f.File, f.Lost, f.Why.Error(), f.Damage})
	}
	if asJSON {
		err = a.printJSON(j, false)
	} else {
		err = a.printCheck(&j)
	}
	if err == nil && !j.Clean {
		err = dataErrorf("%s", damageText(checked))
	}
	return err
}

// damageText says what the damage that was found means.
func damageText(c *kvcache.Checked) string {
	talks := 0
	for _, f := range c.Findings {
		if f.Damage && filepath.Dir(f.File) == "sessions" {
			talks++
		}
	}
	var texts []string
	if n := c.Damaged() - talks; n > 0 {
		texts = append(texts, fmt.Sprintf("%d in the KV cache: what is named is not used, and will be computed again", n))
	}
	if talks > 0 {
		texts = append(texts, fmt.Sprintf("%d in conversations: what is named is lost; 'kvasir sessions show NAME' prints what is left", talks))
	}
	return fmt.Sprintf("%d findings of damage; %s", c.Damaged(), strings.Join(texts, "; "))
}

func (a *app) printCheck(j *checkJSON) error {
	if len(j.Findings) > 0 {
		w := newTable(a.out)
		w.row("FILE", "NOT USED", "WHY")
		for _, f := range j.Findings {
			lost := f.Lost
			if lost == "" {
				lost = "-"
			}
			w.row(printable(f.File), printable(lost), printable(f.Why))
		}
		if err := w.flush(); err != nil {
			return err
		}
		fmt.Fprintln(a.out)
	}
	_, err := fmt.Fprintf(a.out, "%d files, %s: %d blocks, %d sessions\n", j.Files, bytesText(j.Bytes), j.Blocks, j.Sessions)
	return err
}
