package platform

import "errors"

// Sentinels that the storage primitives wrap; the errno stays in the chain.
var (
	// ErrLocked: another open file description holds the lock.
	ErrLocked = errors.New("locked by another process")
	// ErrUnsupported: this system or file system lacks the operation.
	ErrUnsupported = errors.New("operation not supported here")
)

// Stamp is what of a file's metadata changes when its content does. Two equal stamps of one file say that nobody changed it
// in between, as far as the clock of the file system tells (some milliseconds).
type Stamp struct {
	Bytes     int64 // size
	Allocated int64 // bytes on the disk; 0 where the system does not say
	Modified  int64 // time of the last change of the content, in nanoseconds
}

// Space is what a file system reports about itself, in bytes.
type Space struct {
	Total int64 // size of the file system
	Free  int64 // available to an unprivileged writer
}
