package cli

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/urfave/cli/v2"

	"kvasir/internal/config"
	"kvasir/kvcache"
	"kvasir/platform/vfs"
)

func (a *app) cacheGCCommand() *cli.Command {
	return &cli.Command{
		Name: "gc", Usage: "remove what was used longest ago, down to the bounds, and what can never be used again",
		UsageText: "kvasir cache gc [--max BYTES] [--dry-run] [-o table|json]",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "max", Usage: "leave at most `BYTES`, as in 512M or 8G (default: what the cache may take)"},
			&cli.BoolFlag{Name: "dry-run", Usage: "only say what would go"},
			outputFlag(),
		},
		Action: a.cacheGC,
	}
}

// gcJSON is the form of 'cache gc -o json'.
type gcJSON struct {
	DryRun     bool     `json:"dry_run"`
	Segments   int      `json:"segments"`
	Blocks     int      `json:"blocks"`
	Files      []string `json:"files"`
	Punched    int64    `json:"punched_bytes"` // of these freed, rows that no sliding window reaches
	FreedBytes int64    `json:"freed_bytes"`
	UsedBytes  int64    `json:"used_bytes"`
	MaxBytes   int64    `json:"max_bytes"`
	LeftAlone  []string `json:"left_alone"`
	Unpinned   []string `json:"unpinned"` // pins of sessions that are no more
}

func (a *app) cacheGC(c *cli.Context) error {
	home, asJSON, err := a.homeTable(c)
	if err != nil {
		return err
	}
	opt, err := a.storeOptions(c)
	if err != nil {
		return err
	}
	if c.IsSet("max") {
		if opt.MaxBytes, err = config.ParseBytes(c.String("max")); err != nil {
			return usagef("--max %.64q: %v, expected a number of bytes as in 512M or 8G", c.String("max"), err)
		}
		if opt.MaxBytes == 0 {
			opt.MaxBytes = -1 // the store's word for nothing
		}
	}
	dry := c.Bool("dry-run")
	freed := &kvcache.Collected{}
	if stored, err := kvcache.StoredNamespaces(vfs.OS(), home); err != nil {
		return err
	} else if len(stored) > 0 { // or the directories would be made
		freed, err = kvcache.Collect(vfs.OS(), home, opt, dry)
		if err != nil {
			return gcError(home, err)
		}
	}
	j := gcJSON{dry, freed.Evicted.Segments, freed.Evicted.Blocks, freed.Files, freed.Punched, freed.Bytes, freed.Used, freed.MaxBytes, freed.Kept, freed.Unpinned}
	if asJSON {
		j.Files, j.LeftAlone, j.Unpinned = append([]string{}, j.Files...), append([]string{}, j.LeftAlone...), append([]string{}, j.Unpinned...)
		return a.printJSON(j, false)
	}
	return a.printGC(&j)
}

// gcError says why the cache cannot be changed.
func gcError(home string, err error) error {
	switch {
	case errors.Is(err, vfs.ErrLocked):
		lock, _, _ := storeLock(home)
		return fmt.Errorf("the cache is in use: %s; it keeps to its bounds by itself", lock)
	case errors.Is(err, vfs.ErrReadOnly), errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the cache cannot be written here: %w", err)
	}
	return err
}

func (a *app) printGC(j *gcJSON) error {
	would := ""
	if j.DryRun {
		would = "would be "
	}
	for _, f := range j.Files {
		fmt.Fprintf(a.out, "%sremoved: %s\n", would, printable(f))
	}
	for _, f := range j.LeftAlone {
		fmt.Fprintf(a.out, "left alone, of another version: %s\n", printable(f))
	}
	for _, label := range j.Unpinned {
		fmt.Fprintf(a.out, "%sunpinned: %s, which is no more\n", would, printable(label))
	}
	if j.Segments > 0 {
		fmt.Fprintf(a.out, "%sevicted: %d segments with %d blocks\n", would, j.Segments, j.Blocks)
	}
	if j.Punched > 0 {
		fmt.Fprintf(a.out, "given back of sliding windows: %s\n", bytesText(j.Punched))
	}
	_, err := fmt.Fprintf(a.out, "%s %sfreed, %s left of at most %s\n", bytesText(j.FreedBytes), would, bytesText(j.UsedBytes), bytesText(j.MaxBytes))
	return err
}
