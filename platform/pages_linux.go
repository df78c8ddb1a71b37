package platform

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Populate reads the pages that hold b from their file, where they are not in memory yet, and enters them in this
// process's page table. It returns when they are there; on kernels before 5.14, where only the reading can be asked for,
// at once. A file that was cut short or a failing disk is an error, never a fault.
func Populate(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	b = wholePages(b)
	err := retry(func() error { return unix.Madvise(b, unix.MADV_POPULATE_READ) })
	if errors.Is(err, unix.EINVAL) {
		err = unix.Madvise(b, unix.MADV_WILLNEED)
	}
	if err != nil {
		return fmt.Errorf("madvise: %w", err)
	}
	return nil
}

// HugePages asks for huge pages behind b, memory that has not been written or a mapped file that has not been read yet:
// advice that the system may not follow.
func HugePages(b []byte) {
	if len(b) > 0 {
		_ = unix.Madvise(wholePages(b), unix.MADV_HUGEPAGE)
	}
}

// LockPages brings the pages that hold b into physical memory and keeps them there until UnlockPages or until they are
// unmapped. RLIMIT_MEMLOCK bounds what a process may lock.
func LockPages(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if err := unix.Mlock(wholePages(b)); err != nil {
		return fmt.Errorf("mlock: %w", err)
	}
	return nil
}

// UnlockPages undoes LockPages.
func UnlockPages(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if err := unix.Munlock(wholePages(b)); err != nil {
		return fmt.Errorf("munlock: %w", err)
	}
	return nil
}

// wholePages extends b downwards to the start of its first page, which is mapped because b is.
func wholePages(b []byte) []byte {
	start := unsafe.Pointer(unsafe.SliceData(b))
	before := uintptr(start) & uintptr(os.Getpagesize()-1)
	return unsafe.Slice((*byte)(unsafe.Add(start, -int(before))), len(b)+int(before))
}
