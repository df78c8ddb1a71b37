package gguf

import (
	"encoding/binary"
	"fmt"
)

// cursor reads a file's metadata from front to back. It is the only code that indexes the file before the tensor
// directory is proved sound, and nothing is taken that is not there.
type cursor struct {
	b      []byte
	off    int
	capped bool // b is the file's first maxMetaBytes, not the whole file
}

func newCursor(file []byte) *cursor {
	if len(file) > maxMetaBytes {
		return &cursor{b: file[:maxMetaBytes], capped: true}
	}
	return &cursor{b: file}
}

func (c *cursor) remaining() uint64 { return uint64(len(c.b) - c.off) }

// fail returns an error at position off.
func (c *cursor) fail(off int, class Class, field place, format string, args ...any) error {
	return &Error{Class: class, Offset: int64(off), Field: field.String(), Msg: fmt.Sprintf(format, args...)}
}

// take returns the next n bytes of field.
func (c *cursor) take(n uint64, field place) ([]byte, error) {
	if n > c.remaining() {
		if c.capped {
			return nil, c.fail(c.off, ErrLimit, field, "metadata goes beyond its limit of %d bytes", maxMetaBytes)
		}
		return nil, c.fail(c.off, ErrTruncated, field, "needs %d bytes, the file ends after %d", n, c.remaining())
	}
	b := c.b[c.off : c.off+int(n)]
	c.off += int(n)
	return b, nil
}

func (c *cursor) u32(field place) (uint32, error) {
	b, err := c.take(4, field)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (c *cursor) u64(field place) (uint64, error) {
	b, err := c.take(8, field)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// checkCount refuses a count, read at position at, of things of at least minBytes each if it is above limit or above
// what the remaining bytes can hold.
func (c *cursor) checkCount(n uint64, at int, field place, limit, minBytes uint64) error {
	if n > limit {
		return c.fail(at, ErrLimit, field, "%d, at most %d allowed", n, limit)
	}
	if most := c.remaining() / minBytes; n > most {
		return c.fail(at, ErrLimit, field, "%d, but the %d bytes that follow hold at most %d", n, c.remaining(), most)
	}
	return nil
}

// str reads a length of at most limit and that many bytes; it returns where they start.
func (c *cursor) str(limit uint64, field place) (start int, b []byte, err error) {
	at := c.off
	n, err := c.u64(field)
	if err != nil {
		return 0, nil, err
	}
	if n > limit {
		return 0, nil, c.fail(at, ErrLimit, field, "string of %d bytes, at most %d allowed", n, limit)
	}
	start = c.off
	b, err = c.take(n, field)
	return start, b, err
}
