package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// ReadFile reads a whole file of at most limit bytes.
func ReadFile(fsys FS, path string, limit int64) ([]byte, error) {
	f, err := fsys.OpenFile(path, Read)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("%d bytes, want at most %d", size, limit)
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil {
		return nil, err
	}
	return b, nil
}

// WriteNew makes the file at path, whose contents are b and durable; the entry in its directory is not yet. What is there is
// removed: a name that an earlier process used for what it did not finish.
func WriteNew(fsys FS, path string, b []byte) error {
	if err := fsys.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := fsys.OpenFile(path, Write|Create|Excl)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Fdatasync()
	}
	return errors.Join(err, f.Close())
}

// ReplaceFile makes b the contents of the file at path, durably: a reader, or a crash, sees the old file or the new one.
// tmp is where the new one is made by WriteNew, on the same file system.
func ReplaceFile(fsys FS, tmp, path string, b []byte) error {
	if err := WriteNew(fsys, tmp, b); err != nil {
		return err
	}
	if err := fsys.Rename(tmp, path); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(path))
}
