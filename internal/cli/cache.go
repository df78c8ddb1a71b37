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
	"kvasir/internal/config"
	"kvasir/kvcache"
	"kvasir/platform/vfs"
)

func (a *app) cacheCommand() *cli.Command {
	subcommands := []*cli.Command{a.cacheStatsCommand(), a.cacheCheckCommand(), a.cacheGCCommand(), a.cacheUnpinCommand(), a.cacheBakeCommand(), a.cacheAddCommand()}
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

// homeTable is what commands begin with that take -o alone and show something of the home directory.
func (a *app) homeTable(c *cli.Context) (home string, asJSON bool, err error) {
	if asJSON, err = wantsJSON(c); err == nil {
		err = noArguments(c)
	}
	if err == nil {
		home, err = a.home()
	}
	return home, asJSON, err
}

// cacheFlags bound the KV cache, above the environment.
func cacheFlags() []cli.Flag {
	var fs []cli.Flag
	for _, f := range config.CacheFlags() {
		fs = append(fs, &cli.StringFlag{Name: f.Name, Usage: f.Usage})
	}
	return fs
}

// storeOptions returns the bounds of the KV store as the environment and the flags of a command say, if it has them.
func (a *app) storeOptions(c *cli.Context) (kvcache.Options, error) {
	b := a.cfg.Cache
	if a.cfg.Problem != nil {
		return kvcache.Options{}, usagef("%v", a.cfg.Problem)
	}
	for _, f := range config.CacheFlags() {
		if c.IsSet(f.Name) {
			if err := b.SetFlag(f.Name, c.String(f.Name)); err != nil {
				return kvcache.Options{}, usagef("%v", err)
			}
		}
	}
	return kvcache.Options{MaxBytes: b.MaxBytes, MinFree: b.MinFree, DailyBytes: b.DailyBytes}, nil
}

// openStore opens the KV store of the home directory. What keeps it from the disk shows in its Status.
func (a *app) openStore(c *cli.Context) (*kvcache.Store, error) {
	home, err := a.home()
	if err != nil {
		return nil, err
	}
	bounds, err := a.storeOptions(c)
	if err != nil {
		return nil, err
	}
	return kvcache.Open(vfs.OS(), home, bounds)
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
	DailyBytes int64           `json:"daily_bytes"` // -1: no bound
	Today      int64           `json:"written_today_bytes"`
	Total      int64           `json:"written_total_bytes"`
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
	Pins      []pinJSON `json:"pins"`
	Pinned    int64     `json:"pinned_bytes"`
	LastUse   time.Time `json:"last_use"`
	Unusable  []string  `json:"unusable,omitempty"`
	Error     string    `json:"error,omitempty"`
}

// pinJSON is a path that is not evicted.
type pinJSON struct {
	Label  string `json:"label"`
	Tokens int    `json:"tokens"`
	Stored int    `json:"stored_tokens"`
}

func (a *app) cacheStats(c *cli.Context) error {
	home, asJSON, err := a.homeTable(c)
	if err != nil {
		return err
	}
	bounds, err := a.storeOptions(c)
	if err != nil {
		return err
	}
	v, err := kvcache.Look(vfs.OS(), home, bounds)
	if err != nil {
		return err
	}
	j := cacheJSON{Home: home, Namespaces: []namespaceJSON{}, UsedBytes: v.UsedBytes, MaxBytes: v.MaxBytes, FreeBytes: v.Space.Free, MinFree: v.MinFree,
		DailyBytes: max(v.DailyBytes, -1), Today: v.Written.Today, Total: v.Written.Total}
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
		Tokens: n.Tokens, Bytes: n.Bytes, LiveBytes: n.LiveBytes, Pins: []pinJSON{}, Pinned: n.Pinned, LastUse: n.LastUse}
	for _, p := range n.Pins {
		l.Pins = append(l.Pins, pinJSON(p))
	}
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
		w.row("MODEL", "KV", "BLOCKS", "TOKENS", "ON DISK", "IN USE", "PINNED", "LAST USE")
	}
	for _, n := range j.Namespaces {
		if n.Error != "" {
			w.row(n.Dir, "-", "-", "-", bytesText(n.Bytes), "-", "-", printable(n.Error))
			continue
		}
		w.row(printable(n.Model), n.KV, n.Blocks, n.Tokens, bytesText(n.Bytes), bytesText(n.LiveBytes), bytesText(n.Pinned), dateText(n.LastUse))
	}
	if err := w.flush(); err != nil {
		return err
	}
	for _, n := range j.Namespaces {
		for _, p := range n.Pins {
			fmt.Fprintf(a.out, "pinned: %s: %d tokens, %d of them stored\n", printable(p.Label), p.Tokens, p.Stored)
		}
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
	today := bytesText(j.Today)
	if j.DailyBytes >= 0 {
		today += " of at most " + bytesText(j.DailyBytes)
	}
	w.row("written", fmt.Sprintf("%s today (UTC), %s in all", today, bytesText(j.Total)))
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
