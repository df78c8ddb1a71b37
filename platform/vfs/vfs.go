// Package vfs is the seam between the durable store and the disk: a small file
// interface, its implementation on the operating system (OS), and, for tests, one
// in memory that records every call (package memfs). Crash and fault tests put
// their own FS here; nothing above it touches a file in another way.
package vfs

import (
	"errors"
	"time"

	"kvasir/platform"
)

// Errors that callers branch on. Also used: fs.ErrNotExist, fs.ErrExist,
// fs.ErrPermission of io/fs.
var (
	// ErrNoSpace: the disk, the quota or the limit of a test disk is full.
	ErrNoSpace = errors.New("no space left")
	// ErrReadOnly: the file system is mounted read-only.
	ErrReadOnly = errors.New("read-only file system")
	// ErrNotRegular: the path names something other than a regular file with
	// one hard link: a link, a directory, a device, a FIFO.
	ErrNotRegular = errors.New("not a regular file with a single link")
	// ErrLocked: another holder has the lock of the file.
	ErrLocked = platform.ErrLocked
	// ErrUnsupported: the file system lacks the operation.
	ErrUnsupported = platform.ErrUnsupported
)

// Flag says how OpenFile opens.
type Flag uint8

// The ways to open a file; Write implies reading too.
const (
	Read   Flag = 0
	Write  Flag = 1 << iota // read and write
	Create                  // make it (0600) when absent; with Write
	Excl                    // with Create: fail with fs.ErrExist when present
)

// Stamp tells two states of a file's content apart.
type Stamp = platform.Stamp

// Info describes a file.
type Info struct {
	Bytes     int64
	Allocated int64 // on the disk: less than Bytes where the file has holes; 0 where the file system does not say
	Modified  time.Time
}

// FS is the part of a file system that the store needs. Paths use the
// separator of the system. Methods are safe for concurrent use.
type FS interface {
	// OpenFile opens a regular file with one link, following no symbolic link
	// in the last path element (ErrNotRegular otherwise). New files have mode 0600.
	OpenFile(path string, flag Flag) (File, error)
	// MkdirAll makes path and its missing parents, mode 0700, durably.
	MkdirAll(path string) error
	// ReadDir lists the names in a directory, sorted.
	ReadDir(path string) ([]string, error)
	// Stat describes the file at path, without following a link.
	Stat(path string) (Info, error)
	// Rename moves a file over newPath; durable after SyncDir of the directory.
	Rename(oldPath, newPath string) error
	// Remove deletes a file or an empty directory.
	Remove(path string) error
	// SyncDir makes the entries of a directory durable.
	SyncDir(path string) error
	// Free reports the space of the file system that holds path.
	Free(path string) (platform.Space, error)
}

// File is an open file. ReadAt, WriteAt and Fdatasync are safe for concurrent
// use; the ranges of concurrent writes must not overlap.
type File interface {
	// ReadAt and WriteAt are as in package io; short counts come with an error.
	ReadAt(p []byte, off int64) (int, error)
	WriteAt(p []byte, off int64) (int, error)
	// Size returns the current length in bytes.
	Size() (int64, error)
	// Stamp returns what changes when anybody changes the content. It allocates nothing.
	Stamp() (Stamp, error)
	// Truncate sets the length.
	Truncate(size int64) error
	// Fallocate gives [off, off+n) real space, extending the file; bytes not
	// written before read as zeros. Where the file system has no such call it
	// writes the zeros behind the end of the file.
	Fallocate(off, n int64) error
	// Punch returns the space of a range; it reads as zeros afterwards.
	Punch(off, n int64) error
	// Fdatasync makes data and length durable. After an error, what is on the
	// disk is unknown, and asking again proves nothing.
	Fdatasync() error
	// Map returns a read-only view of the first size bytes that shows later
	// writes through WriteAt. Valid until Unmap, also after Close.
	Map(size int64) ([]byte, error)
	// Unmap releases a view returned by Map.
	Unmap(view []byte) error
	// Lock takes the exclusive lock of the file, or fails with ErrLocked at
	// once, or with fs.ErrNotExist when the path it was opened by names it no
	// more: whoever had the lock before has removed or replaced it. Close
	// releases it.
	Lock() error
	Close() error
}
