package gguf

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"time"

	"kvasir/platform"
)

// Identity is what a file system says of a file: enough to know it again without reading it, not to trust it.
type Identity struct {
	Dev, Ino uint64 // 0 where the system has no such numbers, and for OpenBytes
	Size     int64
	ModTime  time.Time // zero for OpenBytes
}

// Identity returns the identity that the file had when it was opened.
func (m *Model) Identity() Identity {
	id := Identity{Size: m.Size}
	if m.info != nil {
		id.ModTime = m.info.ModTime()
		id.Dev, id.Ino, _ = platform.FileID(m.info)
	}
	return id
}

// digestChunk is how much Digest reads between two looks at its context.
const digestChunk = 1 << 20

// Digest returns the SHA-256 of the file's contents. A mapped file is read through its descriptor, so that it
// never faults. progress, if not nil, is called after every mebibyte. A cancelled context ends it with the context's
// error; a file that has become shorter is ErrTruncated.
func (m *Model) Digest(ctx context.Context, progress func(done, total int64)) ([sha256.Size]byte, error) {
	var sum [sha256.Size]byte
	var r io.Reader
	if m.mapped != nil {
		r = io.NewSectionReader(m.file, 0, m.Size)
	} else {
		r = bytes.NewReader(m.data)
	}
	h, buf, done := sha256.New(), make([]byte, digestChunk), int64(0)
	for done < m.Size {
		if err := ctx.Err(); err != nil {
			return sum, err
		}
		n, err := io.ReadFull(r, buf[:min(m.Size-done, digestChunk)])
		h.Write(buf[:n])
		done += int64(n)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return sum, fmt.Errorf("digest of %q: %w", m.Name, &Error{Class: ErrTruncated, Offset: done,
				Msg: sprintf("the file had %d bytes when it was opened", m.Size)})
		}
		if err != nil {
			return sum, fmt.Errorf("digest of %q: %w", m.Name, err)
		}
		if progress != nil {
			progress(done, m.Size)
		}
	}
	h.Sum(sum[:0])
	return sum, nil
}
