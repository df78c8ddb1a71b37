package platform

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MapReadOnly maps the first size bytes of f, shared and read-only. Bytes
// written to f by pwrite appear in the mapping at once. The mapping outlives f;
// release it with Unmap. Reading past the end of a file that was cut short
// after the call raises SIGBUS.
func MapReadOnly(f *os.File, size int64) ([]byte, error) {
	if size <= 0 || size > math.MaxInt {
		return nil, fmt.Errorf("map %d bytes: %w", size, unix.EINVAL)
	}
	var b []byte
	err := control(f, func(fd int) (err error) {
		b, err = unix.Mmap(fd, 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	return b, nil
}

// MapAnonymous returns size zeroed, page-aligned, writable bytes outside the Go
// heap. Release them with Unmap.
func MapAnonymous(size int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	return b, nil
}

// Unmap releases a slice returned by MapReadOnly or MapAnonymous: the whole of
// it. No slice of it may be used afterwards.
func Unmap(b []byte) error {
	if err := unix.Munmap(b); err != nil {
		return fmt.Errorf("munmap: %w", err)
	}
	return nil
}

// Discard gives the memory of b, part of a slice returned by MapAnonymous, back to the system: what b holds afterwards is
// arbitrary. Pages of which b has only a part stay.
func Discard(b []byte) error {
	page := os.Getpagesize()
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & (page - 1)
	if len(b)-skip < page {
		return nil
	}
	b = b[skip:]
	if err := unix.Madvise(b[:len(b)&^(page-1)], unix.MADV_DONTNEED); err != nil {
		return fmt.Errorf("madvise: %w", err)
	}
	return nil
}

// Fdatasync makes f's data, and the metadata needed to read it back, durable.
// After an error the state of the unsynced pages is unknown: do not retry on
// the same file.
func Fdatasync(f *os.File) error {
	return control(f, func(fd int) error { return retry(func() error { return unix.Fdatasync(fd) }) })
}

// SyncDir makes the entries of the directory at path durable.
func SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	err = control(d, func(fd int) error {
		err := retry(func() error { return unix.Fsync(fd) })
		if errors.Is(err, unix.EINVAL) {
			return nil // file systems without directory sync (some FUSE) say so this way
		}
		return err
	})
	return errors.Join(err, d.Close())
}

// Fallocate reserves disk space for [off, off+n) of f and extends the file to
// hold it; the range reads as zeros where nothing was written. ErrUnsupported
// where the file system cannot.
func Fallocate(f *os.File, off, n int64) error {
	return control(f, func(fd int) error {
		err := retry(func() error { return unix.Fallocate(fd, 0, off, n) })
		return unsupported(err)
	})
}

// PunchHole gives the blocks of [off, off+n) back to the file system; the range
// then reads as zeros, in existing mappings too.
func PunchHole(f *os.File, off, n int64) error {
	return control(f, func(fd int) error {
		err := retry(func() error {
			return unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
		})
		return unsupported(err)
	})
}

// LockExclusive takes the exclusive advisory lock (flock) of f without waiting;
// it is released when f is closed or the process dies. ErrLocked if it is held.
func LockExclusive(f *os.File) error {
	return control(f, func(fd int) error {
		err := retry(func() error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
		if errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("%w (%w)", ErrLocked, err)
		}
		return unsupported(err)
	})
}

// FreeSpace reports the file system that holds path.
func FreeSpace(path string) (Space, error) {
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Statfs(path, &st) }); err != nil {
		return Space{}, fmt.Errorf("statfs %s: %w", path, err)
	}
	unit := st.Frsize
	if unit <= 0 {
		unit = st.Bsize
	}
	return Space{Total: bytesOf(st.Blocks, int64(unit)), Free: bytesOf(st.Bavail, int64(unit))}, nil
}

// bytesOf multiplies without overflow: pseudo file systems report huge counts.
func bytesOf(blocks uint64, unit int64) int64 {
	if unit <= 0 {
		return 0
	}
	if blocks > uint64(math.MaxInt64/unit) {
		return math.MaxInt64
	}
	return int64(blocks) * unit
}

// FileStamp returns the stamp of an open file. It allocates nothing.
func FileStamp(f *os.File) (Stamp, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return Stamp{}, fmt.Errorf("fstat: %w", err)
	}
	runtime.KeepAlive(f)
	return Stamp{Bytes: st.Size, Allocated: st.Blocks * 512, Modified: st.Mtim.Nano()}, nil
}

// LinkCount returns the number of hard links of the file behind info.
func LinkCount(info os.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Nlink)
	}
	return 1
}

// AllocatedBytes returns how much of the disk the file behind info occupies: less than its size where it has holes.
func AllocatedBytes(info os.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return info.Size()
}

// OpenNoFollow is the flag set that keeps an open from following a symbolic
// link in the last path element and from blocking on a FIFO.
const OpenNoFollow = unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC

// IsNoSpace reports whether err says that the disk or the quota is full.
func IsNoSpace(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// IsNotDirectory reports whether err says that part of a path is no directory, so that nothing can be there.
func IsNotDirectory(err error) bool { return errors.Is(err, unix.ENOTDIR) }

// IsReadOnly reports whether err says that the file system is mounted read-only.
func IsReadOnly(err error) bool { return errors.Is(err, unix.EROFS) }

func control(f *os.File, fn func(fd int) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := c.Control(func(fd uintptr) { inner = fn(int(fd)) }); err != nil {
		return err
	}
	return inner
}

func retry(fn func() error) error {
	for {
		if err := fn(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func unsupported(err error) error {
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("%w (%w)", ErrUnsupported, err)
	}
	return err
}
