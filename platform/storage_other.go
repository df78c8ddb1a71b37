//go:build !linux

package platform

import (
	"fmt"
	"math"
	"os"
)

// The portable fallback: enough to run with the cache in memory. Mapping,
// reserving space and locking are reported as unsupported, never pretended.

// MapReadOnly is not supported on this system.
func MapReadOnly(f *os.File, size int64) ([]byte, error) {
	return nil, fmt.Errorf("mmap: %w", ErrUnsupported)
}

// MapAnonymous returns zeroed bytes of the Go heap.
func MapAnonymous(size int) ([]byte, error) { return make([]byte, size), nil }

// Unmap leaves b to the garbage collector.
func Unmap(b []byte) error { return nil }

// Discard keeps the memory on this system.
func Discard(b []byte) error { return nil }

// Fdatasync makes f durable by a full sync.
func Fdatasync(f *os.File) error { return f.Sync() }

// SyncDir makes the entries of the directory at path durable where the system can.
func SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	return nil
}

// Fallocate is not supported on this system.
func Fallocate(f *os.File, off, n int64) error { return fmt.Errorf("fallocate: %w", ErrUnsupported) }

// PunchHole is not supported on this system.
func PunchHole(f *os.File, off, n int64) error { return fmt.Errorf("punch hole: %w", ErrUnsupported) }

// LockExclusive is not supported on this system.
func LockExclusive(f *os.File) error { return fmt.Errorf("lock: %w", ErrUnsupported) }

// FreeSpace reports no limit: the system is not asked.
func FreeSpace(path string) (Space, error) {
	return Space{Total: math.MaxInt64, Free: math.MaxInt64}, nil
}

// FileStamp returns the stamp of an open file.
func FileStamp(f *os.File) (Stamp, error) {
	info, err := f.Stat()
	if err != nil {
		return Stamp{}, err
	}
	return Stamp{Bytes: info.Size(), Modified: info.ModTime().UnixNano()}, nil
}

// LinkCount is not known on this system; every file counts as having one link.
func LinkCount(info os.FileInfo) uint64 { return 1 }

// AllocatedBytes is not known on this system; every file counts as having no holes.
func AllocatedBytes(info os.FileInfo) int64 { return info.Size() }

// OpenNoFollow has no portable equivalent.
const OpenNoFollow = 0

// IsNoSpace cannot tell on this system.
func IsNoSpace(err error) bool { return false }

// IsNotDirectory cannot tell on this system.
func IsNotDirectory(err error) bool { return false }

// IsReadOnly cannot tell on this system.
func IsReadOnly(err error) bool { return false }
