package kvcache

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"time"
)

// Sizes and values of FORMAT.md, section 12: part of the format of archives.
const (
	archiveMagic       = "KVARCH1\n"
	archiveHead        = 64
	sectionHead        = 20
	maxArchiveText     = 16 << 20
	archiveBlockHead   = 40        // first_pos, n_tok, path hash
	noSlot             = 1<<32 - 1 // in place of a slot number in the seed of an archive's layer checksums
	tagRecord          = "RECD"
	tagText            = "TEXT"
	tagMeta            = "META"
	tagBlock           = "BLOC"
	tagDone            = "DONE"
	maxArchivePosition = 1<<31 - 1 - BlockTokens
)

// ErrArchive: a file that is no archive, is damaged, or does not fit together.
var ErrArchive = errors.New("unusable archive")

// ArchiveKind says what an archive is for.
type ArchiveKind uint8

// The kinds of archives.
const (
	SessionArchive ArchiveKind = 1 // a conversation
	PrefixPack     ArchiveKind = 2 // the rows of a prefix that many prompts have
)

func (k ArchiveKind) String() string {
	switch k {
	case SessionArchive:
		return "a session"
	case PrefixPack:
		return "a prefix pack"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Archive says what an archive holds.
type Archive struct {
	Kind    ArchiveKind
	Created time.Time // of the archive

	Session string // name; of a session
	Model   string // name or path where it was made; of a session
	Turns   int
	Tokens  int // of the conversation, or of the prefix

	Text string // of a prefix pack, for people

	Fingerprint Fingerprint // zero when it holds no rows
	Inputs      []byte      // what that was made from, for people
	Geometry    Geometry    // of the rows
	KVTokens    int         // tokens at the start of the path whose rows it holds
	Bytes       int64       // size of the archive
}

// archiveWriter writes an archive front to back. Its errors are those of the writer.
type archiveWriter struct {
	w        io.Writer
	sum      hash.Hash
	sections uint32
	bytes    int64
}

// newArchiveWriter writes the head.
func newArchiveWriter(w io.Writer, kind ArchiveKind, created time.Time) (*archiveWriter, error) {
	le := binary.LittleEndian
	b := make([]byte, archiveHead)
	copy(b, archiveMagic)
	le.PutUint16(b[8:], formatMajor)
	le.PutUint16(b[10:], formatMinor)
	le.PutUint32(b[12:], endianMark)
	b[16] = byte(kind)
	le.PutUint64(b[24:], uint64(created.UnixNano()))
	le.PutUint32(b[archiveHead-4:], crc32.Checksum(b[:archiveHead-4], castagnoli))
	a := &archiveWriter{w: w, sum: sha256.New()}
	return a, a.write(b)
}

func (a *archiveWriter) write(b []byte) error {
	n, err := a.w.Write(b)
	a.bytes += int64(n)
	a.sum.Write(b)
	return err
}

// section writes one section, whose payload is the parts.
func (a *archiveWriter) section(tag string, parts ...[]byte) error {
	le := binary.LittleEndian
	var head [sectionHead]byte
	copy(head[:], tag)
	le.PutUint32(head[4:], a.sections)
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	le.PutUint64(head[8:], uint64(n))
	crc := crc32.Checksum(head[:sectionHead-4], castagnoli)
	le.PutUint32(head[sectionHead-4:], crc)
	if err := a.write(head[:]); err != nil {
		return err
	}
	for _, p := range parts {
		crc = crc32.Update(crc, castagnoli, p)
		if err := a.write(p); err != nil {
			return err
		}
	}
	a.sections++
	return a.write(le.AppendUint32(nil, crc))
}

// done writes the last section: the hash of all bytes before it.
func (a *archiveWriter) done() error { return a.section(tagDone, a.sum.Sum(nil)) }

// archiveReader reads the sections of an archive one after the other. All its errors that are not the reader's own wrap
// ErrArchive and name the section. It allocates nothing for a number that it read.
type archiveReader struct {
	r        io.Reader
	sum      hash.Hash // of all before the section
	tag      string
	sections uint32 // so far; the open one is the last of them
	left     uint64 // bytes of the section's payload not read yet
	crc      uint32
	bytes    int64
}

// newArchiveReader reads the head.
func newArchiveReader(r io.Reader) (a *archiveReader, kind ArchiveKind, created time.Time, err error) {
	le := binary.LittleEndian
	a = &archiveReader{r: r, sum: sha256.New()}
	b := make([]byte, archiveHead)
	if err := a.fill(b); err != nil {
		return nil, 0, created, err
	}
	if string(b[:8]) != archiveMagic {
		return nil, 0, created, a.errorf("magic %q, want %q", b[:8], archiveMagic)
	}
	if got, want := le.Uint32(b[archiveHead-4:]), crc32.Checksum(b[:archiveHead-4], castagnoli); got != want {
		return nil, 0, created, a.errorf("checksum %08x, want %08x", got, want)
	}
	if major := le.Uint16(b[8:]); major != formatMajor {
		return nil, 0, created, a.errorf("major version %d, want %d", major, formatMajor)
	}
	if mark := le.Uint32(b[12:]); mark != endianMark {
		return nil, 0, created, a.errorf("endian mark %#x, want %#x", mark, endianMark)
	}
	if kind = ArchiveKind(b[16]); kind != SessionArchive && kind != PrefixPack {
		return nil, 0, created, a.errorf("%v, want %d or %d", kind, SessionArchive, PrefixPack)
	}
	a.sum.Write(b)
	return a, kind, time.Unix(0, int64(le.Uint64(b[24:]))), nil
}

// errorf names the section that is open.
func (a *archiveReader) errorf(format string, args ...any) error {
	where := "head"
	if a.sections > 0 {
		where = fmt.Sprintf("section %d (%q)", a.sections-1, a.tag)
	}
	return fmt.Errorf("%w: %s: %w", ErrArchive, where, fmt.Errorf(format, args...))
}

// fill reads exactly len(b) bytes.
func (a *archiveReader) fill(b []byte) error {
	n, err := io.ReadFull(a.r, b)
	a.bytes += int64(n)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return a.errorf("the archive ends after %d bytes, %d more expected", a.bytes, len(b)-n)
	}
	return err
}

// next opens the next section and returns its tag; the one before must have been read to its end.
func (a *archiveReader) next() (string, error) {
	le := binary.LittleEndian
	var head [sectionHead]byte
	n := a.sections
	a.tag, a.sections = "?", n+1
	if err := a.fill(head[:]); err != nil {
		return "", err
	}
	a.crc = crc32.Checksum(head[:sectionHead-4], castagnoli)
	if got := le.Uint32(head[sectionHead-4:]); got != a.crc {
		return "", a.errorf("checksum of its head %08x, want %08x", got, a.crc)
	}
	a.tag = string(head[:4])
	if got := le.Uint32(head[4:]); got != n {
		return "", a.errorf("number %d, want %d", got, n)
	}
	a.left = le.Uint64(head[8:])
	if a.tag != tagDone {
		a.sum.Write(head[:])
	}
	return a.tag, nil
}

// read reads the next len(b) bytes of the section.
func (a *archiveReader) read(b []byte) error {
	if uint64(len(b)) > a.left {
		return a.errorf("%d bytes are left of it, %d expected", a.left, len(b))
	}
	if err := a.fill(b); err != nil {
		return err
	}
	a.left -= uint64(len(b))
	a.crc = crc32.Update(a.crc, castagnoli, b)
	if a.tag != tagDone {
		a.sum.Write(b)
	}
	return nil
}

// all appends the section's payload, of at most limit bytes, to dst, and ends the section.
func (a *archiveReader) all(dst []byte, limit int) ([]byte, error) {
	if a.left > uint64(limit) {
		return dst, a.errorf("%d bytes, want at most %d", a.left, limit)
	}
	var piece [32 << 10]byte
	for a.left > 0 {
		p := piece[:min(uint64(len(piece)), a.left)]
		if err := a.read(p); err != nil {
			return dst, err
		}
		dst = append(dst, p...)
	}
	return dst, a.end()
}

// end checks that the section was read whole, and its checksum.
func (a *archiveReader) end() error {
	if a.left > 0 {
		return a.errorf("%d bytes more than expected", a.left)
	}
	var b [4]byte
	if err := a.fill(b[:]); err != nil {
		return err
	}
	if got := binary.LittleEndian.Uint32(b[:]); got != a.crc {
		return a.errorf("checksum %08x, want %08x", got, a.crc)
	}
	if a.tag != tagDone {
		a.sum.Write(b[:])
	}
	return nil
}

// done checks the last section, which is open, and that nothing follows.
func (a *archiveReader) done() error {
	var sum [sha256.Size]byte
	if err := a.read(sum[:]); err != nil {
		return err
	}
	if err := a.end(); err != nil {
		return err
	}
	if want := a.sum.Sum(nil); string(sum[:]) != string(want) {
		return a.errorf("sha256 of the archive %x, want %x", sum, want)
	}
	var b [1]byte
	if n, err := io.ReadFull(a.r, b[:]); n > 0 {
		return a.errorf("more bytes behind its end")
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
