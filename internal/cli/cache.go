package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"kvasir/engine"
	"kvasir/kvcache"
	"kvasir/platform/vfs"
)

func (a *app) cacheCommand() *cli.Command {
	subcommands := []*cli.Command{a.cacheStatsCommand(), a.cacheBakeCommand(), a.cacheAddCommand()}
	var names []string
	for _, c := range subcommands {
		names = append(names, c.Name)
	}
	return &cli.Command{
		Name:        "cache",
		Usage:       "show and look after what was computed of conversations",
		Subcommands: subcommands,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usagef("no command cache %.128q, expected %s", c.Args().First(), strings.Join(names, ", "))
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

// home returns the directory of sessions and KV store.
func (a *app) home() (string, error) {
	if a.cfg.Home == "" {
		return "", errors.New("no home directory (set KVASIR_HOME)")
	}
	return filepath.Abs(a.cfg.Home)
}

func (a *app) cacheStatsCommand() *cli.Command {
	return &cli.Command{
		Name: "stats", Usage: "show what is stored, and within which bounds",
		UsageText: "kvasir cache stats [-o table|json]",
		Flags:     []cli.Flag{outputFlag()},
		Action:    a.cacheStats,
	}
}

// cacheJSON is the form of 'cache stats -o json'.
type cacheJSON struct {
	Home       string          `json:"home"`
	Namespaces []namespaceJSON `json:"namespaces"`
	UsedBytes  int64           `json:"used_bytes"`
	MaxBytes   int64           `json:"max_bytes"`
	FreeBytes  int64           `json:"free_bytes"`
	MinFree    int64           `json:"min_free_bytes"`
	Lock       string          `json:"lock"`
}

// namespaceJSON is what is stored of one model in one KV format.
type namespaceJSON struct {
	Dir       string    `json:"dir"`
	Model     string    `json:"model"`
	KV        string    `json:"kv"`
	Segments  int       `json:"segments"`
	Blocks    int       `json:"blocks"`
	Tokens    int       `json:"tokens"`
	Bytes     int64     `json:"bytes"`
	LiveBytes int64     `json:"live_bytes"`
	LastUse   time.Time `json:"last_use"`
	Unusable  []string  `json:"unusable,omitempty"`
	Error     string    `json:"error,omitempty"`
}

func (a *app) cacheStats(c *cli.Context) error {
	asJSON, err := wantsJSON(c)
	if err != nil {
		return err
	}
	if err := noArguments(c); err != nil {
		return err
	}
	home, err := a.home()
	if err != nil {
		return err
	}
	v, err := kvcache.Look(vfs.OS(), home, kvcache.Options{})
	if err != nil {
		return err
	}
	j := cacheJSON{Home: home, Namespaces: []namespaceJSON{}, UsedBytes: v.UsedBytes, MaxBytes: v.MaxBytes, FreeBytes: v.Space.Free, MinFree: v.MinFree}
	j.Lock, _, _ = storeLock(home)
	for i := range v.Namespaces {
		j.Namespaces = append(j.Namespaces, namespaceLine(&v.Namespaces[i]))
	}
	if asJSON {
		return a.printJSON(j, false)
	}
	return a.printCache(&j)
}

func namespaceLine(n *kvcache.NamespaceSurvey) namespaceJSON {
	l := namespaceJSON{Dir: n.Dir, Model: modelName(n.Inputs), KV: cmp.Or(engine.FormatName(n.Geometry), "-"), Segments: n.Segments, Blocks: n.Blocks,
		Tokens: n.Tokens, Bytes: n.Bytes, LiveBytes: n.LiveBytes, LastUse: n.LastUse}
	for _, err := range n.SetAside {
		l.Unusable = append(l.Unusable, err.Error())
	}
	if n.Err != nil {
		l.Error = n.Err.Error()
	}
	return l
}

// printCache writes the tables for people.
func (a *app) printCache(j *cacheJSON) error {
	w := newTable(a.out)
	if len(j.Namespaces) > 0 {
		w.row("MODEL", "KV", "BLOCKS", "TOKENS", "ON DISK", "IN USE", "LAST USE")
	}
	for _, n := range j.Namespaces {
		if n.Error != "" {
			w.row(n.Dir, "-", "-", "-", bytesText(n.Bytes), "-", printable(n.Error))
			continue
		}
		w.row(printable(n.Model), n.KV, n.Blocks, n.Tokens, bytesText(n.Bytes), bytesText(n.LiveBytes), dateText(n.LastUse))
	}
	if err := w.flush(); err != nil {
		return err
	}
	for _, n := range j.Namespaces {
		for _, u := range n.Unusable {
			fmt.Fprintf(a.out, "not used: %s: %s\n", n.Dir, printable(u))
		}
	}
	if len(j.Namespaces) > 0 {
		fmt.Fprintln(a.out)
	}
	w = newTable(a.out)
	w.row("home", fmt.Sprintf("%.256q", j.Home))
	w.row("on disk", fmt.Sprintf("%s of at most %s", bytesText(j.UsedBytes), bytesText(j.MaxBytes)))
	w.row("disk free", fmt.Sprintf("%s, of which %s stay free", bytesText(j.FreeBytes), bytesText(j.MinFree)))
	w.row("store lock", j.Lock)
	return w.flush()
}

func dateText(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}

// modelName returns what META's inputs call a model, as far as they can be read.
func modelName(inputs []byte) string {
	var id struct {
		Name string `json:"name"`
		Arch string `json:"architecture"`
	}
	if json.Unmarshal(inputs, &id) != nil || id.Name == "" && id.Arch == "" {
		return "unknown"
	}
	if id.Name == "" {
		return id.Arch
	}
	return id.Name
}
