package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"kvasir/internal/failpoint"
	"kvasir/platform"
)

// OS returns the file system of the operating system.
func OS() FS { return osFS{} }

type osFS struct{}

type osFile struct{ f *os.File }

func (osFS) OpenFile(path string, flag Flag) (File, error) {
	for range 10 {
		// A file that has lost its name while it was opened was removed, or replaced: then there is another one.
		if f, err := openFile(path, flag); !errors.Is(err, errNameless) {
			return f, err
		}
	}
	return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
}

var errNameless = errors.New("the file has no name any more")

func openFile(path string, flag Flag) (File, error) {
	mode := os.O_RDONLY
	if flag&Write != 0 {
		mode = os.O_RDWR
	}
	if flag&Create != 0 {
		mode |= os.O_CREATE
	}
	if flag&Excl != 0 {
		mode |= os.O_EXCL
	}
	// The kind of file is checked before the open as well: opening a device
	// can have effects of its own.
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open %s: %w: mode %v", path, ErrNotRegular, info.Mode())
	}
	if flag&Create != 0 {
		failpoint.Here("vfs: a new file")
	}
	f, err := os.OpenFile(path, mode|platform.OpenNoFollow, 0o600)
	if err != nil {
		return nil, classify(err)
	}
	info, err := f.Stat()
	if err == nil && platform.LinkCount(info) == 0 {
		err = errNameless
	}
	if err == nil && (!info.Mode().IsRegular() || platform.LinkCount(info) != 1) {
		err = fmt.Errorf("open %s: %w: mode %v, %d links", path, ErrNotRegular, info.Mode(), platform.LinkCount(info))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &osFile{f}, nil
}

func (osFS) MkdirAll(path string) error {
	path = filepath.Clean(path)
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	if parent := filepath.Dir(path); parent != path {
		if err := (osFS{}).MkdirAll(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return classify(err)
	}
	if info, err := os.Stat(path); err != nil {
		return classify(err)
	} else if !info.IsDir() {
		return fmt.Errorf("mkdir %s: not a directory", path)
	}
	return classify(platform.SyncDir(filepath.Dir(path)))
}

func (osFS) ReadDir(path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, classify(err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func (osFS) Stat(path string) (Info, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return Info{}, err
	}
	return Info{Bytes: info.Size(), Allocated: platform.AllocatedBytes(info), Modified: info.ModTime()}, nil
}

func (osFS) Rename(oldPath, newPath string) error {
	failpoint.Here("vfs: a rename")
	return classify(os.Rename(oldPath, newPath))
}

func (osFS) Remove(path string) error {
	failpoint.Here("vfs: a removal")
	return classify(os.Remove(path))
}

func (osFS) SyncDir(path string) error {
	failpoint.Here("vfs: a sync of a directory")
	return classify(platform.SyncDir(path))
}

func (osFS) Free(path string) (platform.Space, error) {
	return platform.FreeSpace(path)
}

func (f *osFile) ReadAt(p []byte, off int64) (int, error) { return f.f.ReadAt(p, off) }

func (f *osFile) WriteAt(p []byte, off int64) (int, error) {
	failpoint.Torn("vfs: a write", p, func(half []byte) { _, _ = f.f.WriteAt(half, off) })
	n, err := f.f.WriteAt(p, off)
	return n, classify(err)
}

func (f *osFile) Size() (int64, error) {
	info, err := f.f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f *osFile) Stamp() (Stamp, error)     { return platform.FileStamp(f.f) }
func (f *osFile) Truncate(size int64) error { return classify(f.f.Truncate(size)) }
func (f *osFile) Close() error              { return f.f.Close() }
func (f *osFile) Unmap(view []byte) error   { return platform.Unmap(view) }

func (f *osFile) Lock() error {
	if err := platform.LockExclusive(f.f); err != nil {
		return err
	}
	mine, err := f.f.Stat()
	if err != nil {
		return err
	}
	if named, err := os.Lstat(f.f.Name()); err != nil {
		return classify(err)
	} else if !os.SameFile(mine, named) {
		return &fs.PathError{Op: "lock", Path: f.f.Name(), Err: fs.ErrNotExist}
	}
	return nil
}

func (f *osFile) Fdatasync() error {
	failpoint.Here("vfs: a sync")
	return classify(platform.Fdatasync(f.f))
}

func (f *osFile) Punch(off, n int64) error {
	failpoint.Here("vfs: a hole")
	return classify(platform.PunchHole(f.f, off, n))
}

func (f *osFile) Map(size int64) ([]byte, error) {
	have, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > have {
		return nil, fmt.Errorf("map %d bytes of %s: the file has %d", size, f.f.Name(), have)
	}
	return platform.MapReadOnly(f.f, size)
}

// Fallocate falls back to writing zeros from the end of the file on, which is
// the only part that can lack space on file systems without the call.
func (f *osFile) Fallocate(off, n int64) error {
	failpoint.Here("vfs: an allocation")
	err := platform.Fallocate(f.f, off, n)
	if !errors.Is(err, ErrUnsupported) {
		return classify(err)
	}
	size, err := f.Size()
	if err != nil {
		return err
	}
	zeros := make([]byte, 1<<20)
	for at := max(off, size); at < off+n; {
		w, err := f.WriteAt(zeros[:min(int64(len(zeros)), off+n-at)], at)
		if err != nil {
			return err
		}
		at += int64(w)
	}
	return nil
}

// classify puts the sentinel of this package on top of the system's error.
func classify(err error) error {
	switch {
	case err == nil:
		return nil
	case platform.IsNoSpace(err):
		return fmt.Errorf("%w (%w)", ErrNoSpace, err)
	case platform.IsReadOnly(err):
		return fmt.Errorf("%w (%w)", ErrReadOnly, err)
	}
	return err
}
