package kvcache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode"
	"unicode/utf8"

	"kvasir/platform/vfs"
)

// Conversation is what a journal says.
type Conversation struct {
	Name     string
	Created  time.Time
	Model    ModelRecord // the last one; zero if there is none
	Parent   *Fork       // where it was forked from, or nil
	Turns    []Turn
	Gaps     []Gap // damage that was stepped over
	Damaged  bool  // a gap among or behind the turns, or a turn whose digest is wrong
	Sound    int   // how many turns stand before the first damage; all if there is none
	FileSize int64 // bytes of the journal

	id        fileID
	seq       uint64 // of the last valid record
	end       int64  // where the next record goes
	unit      int64  // end of the last record with which a sync was due
	doubt     int64  // and of the one before: what follows may be in memory alone, if that sync failed
	tail      bool   // there is something other than zeros behind end
	unread    bool   // the search for records behind end was given up: nobody knows what stands there
	cut       bool   // the records end in a turn that a gap has cut
	open      bool   // TOKENS that follow belong to the last turn
	forgotten []forgotten
}

// forgotten is what an EDIT took back: the rows of these tokens may still be stored.
type forgotten struct {
	keep  int // turns before
	turns [][]int32
}

// Turn is one message.
type Turn struct {
	Role      string // "assistant" for a generated one
	Text      string
	IDs       []int32 // as they stand in the context
	Generated bool
	Complete  bool   // ended by the model or by the program, not by a crash; always true for turns not generated
	Damaged   bool   // part of it is lost or does not match its digest
	Finish    string // why generation ended
	At        time.Time
	Sampler   []byte // of a generated turn: the last state of the sampler recorded in it; nil if there is none
}

// Fork says where a conversation came from.
type Fork struct {
	Session string
	Turns   int // how many of its turns were taken over and are still there
	id      fileID
}

// ModelRecord says which model a conversation is held with.
type ModelRecord struct {
	Fingerprint Fingerprint
	Name        string // name or path
	Settings    []byte // the caller's
}

// Gap is a range of the journal that holds no valid record though it should, or in which the search for one was given up.
type Gap struct {
	Off, Bytes      int64
	AfterSeq, ToSeq uint64 // the valid records around it; ToSeq is 0 where the search was given up
}

// IDs returns the token ids of all turns, one after the other.
func (c *Conversation) IDs() []int32 {
	n := 0
	for _, t := range c.Turns {
		n += len(t.IDs)
	}
	ids := make([]int32, 0, n)
	for _, t := range c.Turns {
		ids = append(ids, t.IDs...)
	}
	return ids
}

// window reads a file piece by piece: memory is bounded by the largest record, not by the file.
type window struct {
	file vfs.File
	size int64
	off  int64
	buf  []byte
}

// at returns the n bytes at off, or fewer at the end of the file; valid until the next call.
func (w *window) at(off int64, n int) ([]byte, error) {
	n = int(min(int64(n), w.size-off))
	if n <= 0 {
		return nil, nil
	}
	if off < w.off || off+int64(n) > w.off+int64(len(w.buf)) {
		want := int(min(max(int64(n), journalExtent), w.size-off))
		if cap(w.buf) < want {
			w.buf = make([]byte, want)
		}
		w.buf, w.off = w.buf[:want], off
		got, err := w.file.ReadAt(w.buf, off)
		if err != nil && !errors.Is(err, io.EOF) {
			w.buf = w.buf[:0]
			return nil, err
		}
		if got < want { // who writes it has cut zeros off meanwhile
			w.buf, w.size, n = w.buf[:got], off+int64(got), min(n, got)
		}
	}
	return w.buf[off-w.off:][:n], nil
}

// readConversation reads a journal by the rules J1 to J6. It fails only when the file cannot be read, or is none.
func readConversation(file vfs.File) (*Conversation, error) {
	size, err := file.Size()
	if err != nil {
		return nil, err
	}
	if size > maxJournalBytes {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", ErrJournal, size, maxJournalBytes)
	}
	w := &window{file: file, size: size}
	c := &Conversation{FileSize: size, end: recordsOff, doubt: recordsOff, unit: recordsOff}
	if c.id, err = readJournalHead(w); err != nil {
		return nil, err
	}
	fuel := 64 * size // bytes that the search for records may checksum (rule J2)
	r := &replay{c: c, open: noTurn}
	defer r.finish()
	for off := int64(recordsOff); ; {
		kind, body, next, err := w.record(off, &c.id, c.seq, c.seq+1, nil)
		if err != nil {
			return nil, err
		}
		if kind == 0 {
			from := off
			if c.tail, err = w.nonZero(from); err != nil || !c.tail {
				return c, err
			}
			if off, err = w.findRecord(from, &c.id, c.seq, &fuel); err != nil {
				return nil, err
			}
			if off < 0 && fuel < 0 {
				c.unread = true
				c.Gaps = append(c.Gaps, Gap{from, size - from, c.seq, 0})
				r.cut()
				return c, nil
			}
			if off < 0 {
				return c, nil
			}
			c.tail = false
			seq, err := w.seqAt(off)
			if err != nil {
				return nil, err
			}
			c.Gaps = append(c.Gaps, Gap{from, off - from, c.seq, seq})
			c.seq = seq - 1
			r.cut()
			continue
		}
		c.seq++
		r.apply(kind, &payload{b: body})
		off = next
		c.end = off
		if endsUnit(kind) {
			c.doubt, c.unit = c.unit, c.end
		}
	}
}

func readJournalHead(w *window) (fileID, error) {
	var causes []error
	for _, off := range []int64{0, journalCopy} {
		b, err := w.at(off, journalHead)
		if err != nil {
			return fileID{}, err
		}
		if len(b) < journalHead {
			causes = append(causes, fmt.Errorf("%w: %d bytes", ErrJournal, w.size))
			break
		}
		id, err := decodeJournalHead(b)
		if err == nil {
			return id, nil
		}
		causes = append(causes, err)
	}
	if len(causes) == 2 {
		return fileID{}, fmt.Errorf("%w; of the copy: %w", causes[0], causes[1])
	}
	return fileID{}, causes[0]
}

// record returns the valid record at off whose seq is above last and at most upTo. kind 0: there is none. fuel, if not nil, pays for
// its checksum.
func (w *window) record(off int64, id *fileID, last, upTo uint64, fuel *int64) (kind uint8, body []byte, next int64, err error) {
	le := binary.LittleEndian
	b, err := w.at(off, recordHead)
	if err != nil || len(b) < recordHead {
		return 0, nil, 0, err
	}
	n, seq := le.Uint32(b), le.Uint64(b[8:])
	if n > maxRecordBytes || b[16] == 0 || seq <= last || seq > upTo {
		return 0, nil, 0, nil
	}
	whole := recordBytes(int(n))
	if int64(whole) > w.size-off {
		return 0, nil, 0, nil
	}
	if fuel != nil {
		if *fuel -= int64(whole); *fuel < 0 {
			return 0, nil, 0, nil
		}
	}
	if b, err = w.at(off, whole); err != nil || len(b) < whole {
		return 0, nil, 0, err
	}
	record := b[:recordHead+int(n)]
	if recordCRC(id, record) != le.Uint32(b[4:]) {
		return 0, nil, 0, nil
	}
	return b[16], record[recordHead:], off + int64(whole), nil
}

// findRecord returns the offset of the next valid record behind a gap that begins at from, or -1. Then fuel is negative if the search
// was given up.
func (w *window) findRecord(from int64, id *fileID, last uint64, fuel *int64) (int64, error) {
	for off := from; off+recordHead <= w.size && *fuel >= 0; off += 8 {
		b, err := w.at(off, recordHead)
		if err != nil {
			return -1, err
		}
		if len(b) < recordHead {
			break
		}
		if b[16] == 0 && binary.LittleEndian.Uint64(b[8:]) == 0 {
			continue
		}
		lost := uint64(off-from) / minRecordBytes // records that the gap has room for, at most
		kind, _, _, err := w.record(off, id, last, last+1+lost, fuel)
		if err != nil {
			return -1, err
		}
		if kind != 0 {
			return off, nil
		}
	}
	return -1, nil
}

func (w *window) seqAt(off int64) (uint64, error) {
	b, err := w.at(off, recordHead)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b[8:]), nil
}

// nonZero reports whether a byte from off on is not zero.
func (w *window) nonZero(off int64) (bool, error) {
	for off < w.size {
		b, err := w.at(off, journalExtent)
		if err != nil {
			return false, err
		}
		if !allZero(b) {
			return true, nil
		}
		off += int64(len(b))
	}
	return false, nil
}

// checkName accepts session names: 1 to 64 bytes of printable UTF-8.
func checkName(name string) error { return checkText(name, 64) }

// checkText refuses what is no printable text of 1 to most bytes.
func checkText(name string, most int) error {
	if len(name) < 1 || len(name) > most {
		return fmt.Errorf("%w: %.64q: %d bytes, want 1 to %d", ErrName, name, len(name), most)
	}
	if !utf8.ValidString(name) {
		return fmt.Errorf("%w: %q: no UTF-8", ErrName, name)
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("%w: %q: unprintable character %U", ErrName, name, r)
		}
	}
	return nil
}
