package gguf

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"kvasir/platform"
)

// Identity is what a file system says of a file: enough to know it again without reading it, not to trust it.
type Identity struct {
	Dev, Ino uint64 // 0 where the system has no such numbers, and for OpenBytes
	Size     int64
	ModTime  time.Time // zero for OpenBytes
	Changed  time.Time // of contents or attributes, which no program can set; zero where the system does not say, and for OpenBytes
}

// Identity returns the identity that the file had when it was opened.
func (m *Model) Identity() Identity {
	id := Identity{Size: m.Size}
	if m.info != nil {
		id.ModTime, id.Changed = m.info.ModTime(), platform.ChangeTime(m.info)
		id.Dev, id.Ino, _ = platform.FileID(m.info)
	}
	return id
}

// Pages that Sample reads.
const (
	samplePages = 16
	samplePage  = 4096
)

// Sample returns a CRC-32C of some pages of the file, the first and the last among them, read through its descriptor. It tells files
// apart that a file system does not (images that were made with the same times and numbers) without reading them whole.
func (m *Model) Sample() (uint32, error) {
	sum, buf := uint32(0), make([]byte, samplePage)
	for i := range int64(samplePages) {
		off := max(m.Size-samplePage, 0) * i / (samplePages - 1)
		n, err := m.reader().ReadAt(buf[:min(samplePage, m.Size-off)], off)
		if err != nil && err != io.EOF {
			return 0, fmt.Errorf("%q: %w", m.Name, err)
		}
		sum = crc32.Update(sum, castagnoli, buf[:n])
	}
	return sum, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// reader reads the file without a fault where it has become shorter.
func (m *Model) reader() io.ReaderAt {
	if m.mapped != nil {
		return m.file
	}
	return bytes.NewReader(m.data)
}

// digestChunk is how much Digest reads between two looks at its context.
const digestChunk = 1 << 20

// Digest returns the SHA-256 of the file's contents. A mapped file is read through its descriptor, so that it
// never faults. progress, if not nil, is called after every mebibyte. A cancelled context ends it with the context's
// error; a file that has become shorter is ErrTruncated.
func (m *Model) Digest(ctx context.Context, progress func(done, total int64)) ([sha256.Size]byte, error) {
	var sum [sha256.Size]byte
	r := io.NewSectionReader(m.reader(), 0, m.Size)
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
