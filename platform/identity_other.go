//go:build !unix

package platform

import "io/fs"

// FileID returns false: this system's file information has no device and inode numbers.
func FileID(fs.FileInfo) (dev, ino uint64, ok bool) { return 0, 0, false }
