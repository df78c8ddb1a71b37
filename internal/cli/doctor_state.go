package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"kvasir/engine"
	"kvasir/platform"
	"kvasir/platform/vfs"
)

// stateReport is what doctor finds of the directory of sessions and KV store.
type stateReport struct {
	Home       string `json:"home"`
	Exists     bool   `json:"exists"`
	Writable   bool   `json:"writable"`
	FileSystem string `json:"file_system"`
	FreeBytes  int64  `json:"free_bytes"`
	TotalBytes int64  `json:"total_bytes"`
	Fallocate  string `json:"fallocate"` // "yes", or what the system said; "" if not tried
	Flock      string `json:"flock"`
	Lock       string `json:"lock"` // who holds the store
}

// leastFree is below what the store's smallest segments take.
const leastFree = 64 << 20

func (d *diagnosis) checkState(home string) stateReport {
	s := stateReport{Home: home}
	if home == "" {
		d.wrong("no state directory: none of KVASIR_HOME, STATE_DIRECTORY, XDG_STATE_HOME and HOME names one", "set KVASIR_HOME; conversations are not kept without it")
		return s
	}
	if abs, err := filepath.Abs(home); err == nil {
		s.Home = abs
	}
	info, err := os.Stat(s.Home)
	if err == nil && !info.IsDir() {
		d.wrong(fmt.Sprintf("the state directory %.256q is no directory", s.Home), "remove the file, or set KVASIR_HOME to another place")
		return s
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		d.wrong(fmt.Sprintf("the state directory cannot be read: %v", quotePath(err)), "correct its owner or mode, or set KVASIR_HOME to another place")
		return s
	}
	s.Exists = err == nil
	dir := s.Home
	for parent := filepath.Dir(dir); !s.Exists && parent != dir; parent = filepath.Dir(dir) {
		dir = parent // what is not there yet is judged by where it would be made
		if _, err := os.Stat(dir); err == nil {
			break
		}
	}
	if s.Exists && info.Mode().Perm()&0o077 != 0 {
		d.note(fmt.Sprintf("other users may enter the state directory (mode %04o)", info.Mode().Perm()), fmt.Sprintf("chmod 700 %q", s.Home))
	}
	d.checkFileSystem(&s, dir)
	d.checkLock(&s)
	return s
}

// checkFileSystem tries what the store needs in dir, which exists.
func (d *diagnosis) checkFileSystem(s *stateReport, dir string) {
	s.FileSystem = platform.FileSystem(dir)
	if s.FileSystem == "tmpfs" || s.FileSystem == "ramfs" {
		d.note("the state directory is in memory ("+s.FileSystem+")", "conversations are lost when the machine restarts; set KVASIR_HOME to a disk")
	}
	space, err := platform.FreeSpace(dir)
	if err == nil {
		s.FreeBytes, s.TotalBytes = space.Free, space.Total
		if space.Free < leastFree {
			d.wrong(fmt.Sprintf("only %s are free for the state directory", bytesText(space.Free)), fmt.Sprintf("free at least %s, or set KVASIR_HOME to another disk", bytesText(leastFree)))
		}
	}
	if err := platform.Writable(dir); err != nil {
		d.wrong(fmt.Sprintf("%.256q cannot be written: %v", dir, err), "correct its owner or mode, or set KVASIR_HOME to another place; conversations are not kept otherwise")
		return
	}
	f, err := os.CreateTemp(dir, ".kvasir-doctor-*")
	if err != nil {
		d.wrong(fmt.Sprintf("no file can be made in the state directory: %v", quotePath(err)), "conversations are not kept until it can")
		return
	}
	defer func() {
		_ = f.Close() // of no interest: nothing was written
		_ = os.Remove(f.Name())
	}()
	s.Writable = true
	s.Fallocate, s.Flock = "yes", "yes"
	switch err := platform.Fallocate(f, 0, 4096); {
	case errors.Is(err, platform.ErrUnsupported):
		s.Fallocate = err.Error()
		d.note("the file system cannot reserve space ("+s.FileSystem+")", "the store writes zeros instead: new segments take longer")
	case err != nil:
		s.Fallocate = err.Error()
		d.wrong(fmt.Sprintf("space cannot be reserved in the state directory: %v", err), "free space or quota; the KV cache stays in memory otherwise")
	}
	if err := platform.LockExclusive(f); err != nil {
		s.Flock = err.Error()
		d.wrong(fmt.Sprintf("files cannot be locked in the state directory: %v", err), "use a file system with flock; the KV cache stays in memory otherwise")
	}
}

// storeLock says who has the store, without touching its lock, and whether anybody has.
func storeLock(home string) (text string, held bool, err error) {
	pid, err := platform.LockHolder(filepath.Join(home, "kv", "v1", "LOCK"))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "never taken", false, nil
	case err != nil:
		return "unknown: " + err.Error(), false, err
	case pid == 0:
		return "free", false, nil
	case pid < 0:
		return "held by a process that cannot be seen from here", true, nil
	}
	return fmt.Sprintf("held by process %d (%s)", pid, platform.ProcessName(pid)), true, nil
}

func (d *diagnosis) checkLock(s *stateReport) {
	var held bool
	if s.Lock, held, _ = storeLock(s.Home); held {
		d.note("the store is "+s.Lock, "a second process keeps its KV cache in memory while the first one runs")
	}
}

// recipeReport is a recipe file: which rows a model keeps in another format than int8.
type recipeReport struct {
	File  string `json:"file"`
	Model string `json:"model"`
	KV    string `json:"kv"` // "" if it cannot be used
}

// checkRecipes lists the recipe files under home.
func (d *diagnosis) checkRecipes(home string) {
	d.Recipes = []recipeReport{}
	if home == "" {
		return
	}
	all, err := engine.NewRecipes(vfs.OS(), home).List()
	if err != nil {
		d.note(fmt.Sprintf("the recipes of models cannot be read: %v", quotePath(err)), "correct the owner or mode of recipes in the state directory; KV rows are f16 until then")
	}
	for _, e := range all {
		r := recipeReport{File: filepath.Base(e.Path)}
		if e.Err != nil {
			d.note(fmt.Sprintf("the recipe %.256q cannot be used: %v", e.Path, e.Err), "remove it, or make it again with kvasir eval kv --fix; the KV rows of its model are f16 until then")
		} else {
			r.Model, r.KV = e.Recipe.Model, e.Recipe.String()
		}
		d.Recipes = append(d.Recipes, r)
	}
}

func (s stateReport) rows(t *table) {
	if s.Home == "" {
		t.row("state", "none")
		return
	}
	state := "not made yet"
	if s.Exists {
		state = "exists"
	}
	if !s.Writable {
		state += ", not writable"
	}
	t.row("state", fmt.Sprintf("%.256q, %s", s.Home, state))
	t.row("disk", fmt.Sprintf("%s, %s free of %s", s.FileSystem, bytesText(s.FreeBytes), bytesText(s.TotalBytes)))
	if s.Fallocate != "" {
		t.row("fallocate", s.Fallocate)
		t.row("flock", s.Flock)
	}
	t.row("store lock", s.Lock)
}
