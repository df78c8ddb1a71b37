package kvcache

import (
	"path/filepath"

	"kvasir/platform/vfs"
)

const ballastBytes = 1 << 20

// makeBallast reserves the space that lets a journal be written on a full disk, if there is space now, also in a file that a process
// left which died here. Not having it is no error.
func (s *Sessions) makeBallast() {
	path := filepath.Join(s.home, "ballast")
	if info, err := s.fs.Stat(path); err == nil && allocated(info) >= ballastBytes {
		return
	}
	f, err := s.fs.OpenFile(path, vfs.Write|vfs.Create)
	if err != nil {
		return
	}
	if f.Fallocate(0, ballastBytes) != nil {
		_ = s.fs.Remove(path)
	}
	_ = f.Close()
}

// dropBallast frees the space, and reports whether there was any to free.
func (s *Sessions) dropBallast() bool {
	return s.fs.Remove(filepath.Join(s.home, "ballast")) == nil
}
