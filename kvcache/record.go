package kvcache

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Sizes and values of FORMAT.md, section 8: part of the disk format.
const (
	journalMagic    = "KVJRNL1\n"
	journalHead     = 64   // bytes of the file header
	journalCopy     = 4096 // its second copy
	recordsOff      = 8192
	recordHead      = 17 // len, crc, seq, type
	minRecordBytes  = 24 // of the smallest record in the file
	journalExtent   = 64 << 10
	maxRecordBytes  = 16 << 20
	maxJournalBytes = 1 << 30
)

// The types of journal records.
const (
	recSession = 1
	recFork    = 2
	recUser    = 3
	recTokens  = 4
	recTurnEnd = 5
	recModel   = 6
	recEdit    = 7

	editRewind = 1 // forgets turns
	editAccept = 2 // likewise, and damage behind what is kept also if there are none
)

// endsUnit reports whether a record of this type is synced before the call that writes it returns.
func endsUnit(kind uint8) bool { return kind == recUser || kind == recTurnEnd || kind == recEdit }

// ErrJournal: a file that is not a usable journal.
var ErrJournal = errors.New("unusable journal")

type fileID [16]byte

func encodeJournalHead(b []byte, id fileID, created int64) {
	le := binary.LittleEndian
	clear(b[:journalHead])
	copy(b, journalMagic)
	le.PutUint16(b[8:], formatMajor)
	le.PutUint16(b[10:], formatMinor)
	le.PutUint32(b[12:], endianMark)
	copy(b[16:], id[:])
	le.PutUint64(b[32:], uint64(created))
	le.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
}

func decodeJournalHead(b []byte) (id fileID, err error) {
	le := binary.LittleEndian
	if string(b[:8]) != journalMagic {
		return id, fmt.Errorf("%w: magic %q", ErrJournal, b[:8])
	}
	if got, want := le.Uint32(b[60:]), crc32.Checksum(b[:60], castagnoli); got != want {
		return id, fmt.Errorf("%w: header checksum %08x, want %08x", ErrJournal, got, want)
	}
	if major := le.Uint16(b[8:]); major != formatMajor || le.Uint32(b[12:]) != endianMark {
		return id, fmt.Errorf("%w: major version %d, want %d", ErrJournal, major, formatMajor)
	}
	copy(id[:], b[16:])
	return id, nil
}

// recordBytes returns the bytes that a record with this payload takes in the file.
func recordBytes(payload int) int { return (recordHead + payload + 7) &^ 7 }

func recordCRC(id *fileID, record []byte) uint32 {
	crc := crc32.Checksum(id[:], castagnoli)
	crc = crc32.Update(crc, castagnoli, record[:4])
	return crc32.Update(crc, castagnoli, record[8:])
}

// beginRecord appends the head of a record to b; the payload is appended next, then sealRecord.
func beginRecord(b []byte, kind uint8, seq uint64) []byte {
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, seq)
	return append(b, kind)
}

// sealRecord fills in length and checksum of the record that is all of b, and pads it.
func sealRecord(b []byte, id *fileID) []byte {
	le := binary.LittleEndian
	le.PutUint32(b, uint32(len(b)-recordHead))
	le.PutUint32(b[4:], recordCRC(id, b))
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	return b
}

func appendIDs(b []byte, ids []int32) []byte {
	for _, id := range ids {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	return b
}

// payload is a cursor over the payload of a record. After any read past the end, bad is set and reads give zero values.
type payload struct {
	b   []byte
	bad bool
}

func (p *payload) take(n int) []byte {
	if p.bad || n < 0 || n > len(p.b) {
		p.bad = true
		return nil
	}
	out := p.b[:n]
	p.b = p.b[n:]
	return out
}

func (p *payload) u8() int {
	if b := p.take(1); b != nil {
		return int(b[0])
	}
	return 0
}

func (p *payload) u16() int {
	if b := p.take(2); b != nil {
		return int(binary.LittleEndian.Uint16(b))
	}
	return 0
}

// u32 returns a count; what does not fit an int32 is bad.
func (p *payload) u32() int {
	b := p.take(4)
	if b == nil {
		return 0
	}
	v := binary.LittleEndian.Uint32(b)
	if v > 1<<31-1 {
		p.bad = true
		return 0
	}
	return int(v)
}

func (p *payload) u64() uint64 {
	if b := p.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// ids appends n token ids to dst.
func (p *payload) ids(dst []int32, n int) []int32 {
	if n > len(p.b)/4 {
		p.bad = true
		return dst
	}
	b := p.take(4 * n)
	for i := 0; i+4 <= len(b); i += 4 {
		dst = append(dst, int32(binary.LittleEndian.Uint32(b[i:])))
	}
	return dst
}

// idsDigest returns H of ids as u32.
func idsDigest(ids []int32) Hash {
	h := sha256.New()
	var buf [4 * 64]byte
	for len(ids) > 0 {
		n := min(len(ids), 64)
		h.Write(appendIDs(buf[:0], ids[:n]))
		ids = ids[n:]
	}
	return Hash(h.Sum(nil))
}
