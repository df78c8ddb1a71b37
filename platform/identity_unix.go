//go:build unix

package platform

import (
	"io/fs"
	"syscall"
)

// FileID returns the device and inode numbers behind fi, which os.Stat or a file's Stat has made; ok is false if fi
// carries none. Together they name a file as long as it exists.
func FileID(fi fs.FileInfo) (dev, ino uint64, ok bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return uint64(st.Dev), uint64(st.Ino), true
}
