//go:build linux

package vfs

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func open(t *testing.T, path string, flag Flag) File {
	t.Helper()
	f, err := OS().OpenFile(path, flag)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestOnlyRegularFilesWithOneLink(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	open(t, file, Write|Create|Excl)
	for name, create := range map[string]func(path string) error{
		"symlink":          func(p string) error { return os.Symlink(file, p) },
		"dangling symlink": func(p string) error { return os.Symlink(p+"-nothing", p) },
		"fifo":             func(p string) error { return syscall.Mkfifo(p, 0o600) },
		"directory":        func(p string) error { return os.Mkdir(p, 0o700) },
	} {
		p := filepath.Join(dir, name)
		if err := create(p); err != nil {
			t.Fatal(err)
		}
		for _, flag := range []Flag{Read, Write, Write | Create} {
			done := within(func() error { _, err := OS().OpenFile(p, flag); return err })
			select {
			case err := <-done:
				if !errors.Is(err, ErrNotRegular) {
					t.Errorf("%s, flag %d: %v", name, flag, err)
				}
			case <-time.After(5 * time.Second):
				t.Fatalf("%s, flag %d: open hangs", name, flag)
			}
		}
	}
	if err := os.Link(file, filepath.Join(dir, "second")); err != nil {
		t.Skip("no hard links here: ", err)
	}
	if _, err := OS().OpenFile(file, Read); !errors.Is(err, ErrNotRegular) {
		t.Errorf("two links: %v", err)
	}
}

func within(fn func() error) chan error {
	done := make(chan error, 1)
	go func() { done <- fn() }()
	return done
}

func TestFileModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	if err := OS().MkdirAll(dir); err != nil {
		t.Fatal(err)
	}
	open(t, filepath.Join(dir, "f"), Write|Create)
	for path, want := range map[string]fs.FileMode{dir: 0o700, filepath.Dir(dir): 0o700, filepath.Join(dir, "f"): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got&^want != 0 {
			t.Errorf("%s has mode %o, want %o", path, got, want)
		}
	}
	if err := OS().MkdirAll(filepath.Join(dir, "f", "x")); err == nil {
		t.Error("a directory below a file")
	}
}

func TestMappingShowsLaterWrites(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "f"), Write|Create)
	if err := f.Fallocate(0, 1<<20); err != nil {
		t.Fatal(err)
	}
	if size, err := f.Size(); size != 1<<20 || err != nil {
		t.Fatalf("size %d, %v", size, err)
	}
	view, err := f.Map(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("kv"), 5000)
	if _, err := f.WriteAt(want, 70_000); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(view[70_000:][:len(want)], want) {
		t.Error("the mapping does not show what was written")
	}
	if err := f.Fdatasync(); err != nil {
		t.Error(err)
	}
	behind := f.Punch(1<<20, 4096) // a probe: it says whether holes can be made, and makes none
	if size, err := f.Size(); size != 1<<20 || err != nil {
		t.Errorf("size %d after a hole behind the end, %v", size, err)
	}
	err = f.Punch(0, 1<<20)
	if (behind == nil) != (err == nil) {
		t.Errorf("punching behind the end: %v, inside: %v", behind, err)
	}
	if errors.Is(err, ErrUnsupported) {
		t.Log("no hole punching on this file system")
	} else if err != nil {
		t.Error(err)
	} else if !bytes.Equal(view, make([]byte, 1<<20)) {
		t.Error("a punched range is not zero")
	}
	if err := f.Unmap(view); err != nil {
		t.Error(err)
	}
	if _, err := f.Map(1<<20 + 1); err == nil {
		t.Error("a mapping beyond the end of the file")
	}
}

func TestLockExcludes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	a, b := open(t, path, Write|Create), open(t, path, Read)
	if err := a.Lock(); err != nil {
		t.Fatal(err)
	}
	if err := b.Lock(); !errors.Is(err, ErrLocked) {
		t.Errorf("second lock: %v", err)
	}
	a.Close()
	if err := b.Lock(); err != nil {
		t.Errorf("after the first holder closed: %v", err)
	}
}

func TestErrorsThatCallersBranchOn(t *testing.T) {
	dir := t.TempDir()
	if _, err := OS().OpenFile(filepath.Join(dir, "none"), Read); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	open(t, filepath.Join(dir, "f"), Write|Create)
	if _, err := OS().OpenFile(filepath.Join(dir, "f"), Write|Create|Excl); !errors.Is(err, fs.ErrExist) {
		t.Errorf("present: %v", err)
	}
	if !errors.Is(classify(&fs.PathError{Err: syscall.ENOSPC}), ErrNoSpace) || !errors.Is(classify(syscall.EDQUOT), ErrNoSpace) {
		t.Error("ENOSPC is not ErrNoSpace")
	}
	if err := classify(syscall.EROFS); !errors.Is(err, ErrReadOnly) || !errors.Is(err, syscall.EROFS) {
		t.Errorf("EROFS: %v", err)
	}
	if space, err := OS().Free(dir); err != nil || space.Total <= 0 || space.Free < 0 || space.Free > space.Total {
		t.Errorf("free %+v, %v", space, err)
	}
}
