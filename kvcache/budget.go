package kvcache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"sync"
	"time"

	"kvasir/platform/vfs"
)

// Sizes and values of FORMAT.md, section 13: the file written.
const (
	writtenMagic = "KVWRIT1\n"
	writtenBytes = 64
	// writtenAhead is how much is charged before it is written, so that a process that is killed has not written more than is charged.
	writtenAhead = 4 << 20
	daySeconds   = 24 * 60 * 60
)

// defaultDailyBytes is twice the largest default cap. Flash of the cheap kind bears some hundred times its capacity: at this rate a
// card of 32 GB lasts for years, and no conversation of one person comes near it (Qwen2.5-0.5B: 2.7 million tokens a day), but a
// program that asks without end does, on a model of 58 KB a token within hours.
const defaultDailyBytes = 16 << 30

// ErrBudget: what may be written to disk in a day is spent.
var ErrBudget = errors.New("daily write budget is spent")

// Written counts what the store of a home wrote to its disk: rows and all that belongs to them, not the journals.
type Written struct {
	Day   time.Time // the UTC day that Today is of
	Today int64     // bytes; after a kill a few MiB more than was written
	Total int64     // bytes since the home was made
}

// ledger keeps Written over restarts, and the budget.
type ledger struct {
	fs    vfs.FS
	path  string
	limit int64 // bytes of a day; negative: none
	now   func() time.Time

	mu      sync.Mutex
	file    vfs.File // nil until the first charge
	day     int64    // since 1970
	today   int64
	total   int64
	charged int64 // of the day, as the file says: not below today
}

func (l *ledger) written() Written {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn()
	return Written{time.Unix(l.day*daySeconds, 0).UTC(), l.today, l.total}
}

// turn begins a new day. A clock that goes back begins one too: a board that starts without the time must not stand still.
func (l *ledger) turn() {
	if day := l.now().Unix() / daySeconds; day != l.day {
		l.day, l.today, l.charged = day, 0, 0
	}
}

// charge counts n bytes that are about to be written, or says that they may not.
func (l *ledger) charge(n int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn()
	if l.limit >= 0 && l.today+n > l.limit {
		return fmt.Errorf("%w: %d of %d bytes, until 0:00 UTC", ErrBudget, l.today, l.limit)
	}
	l.add(n)
	return nil
}

// count counts n bytes that belong to others that were charged, or takes back a charge.
func (l *ledger) count(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn()
	l.add(n)
}

// add needs l.mu.
func (l *ledger) add(n int64) {
	l.today, l.total = max(l.today+n, 0), max(l.total+n, 0)
	if l.today > l.charged {
		l.save(writtenAhead)
	}
}

// settle writes what was counted to the file.
func (l *ledger) settle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.charged != l.today {
		l.save(0)
	}
}

// save writes the file in place, without a sync: it is one sector. What fails is tried again at the next charge. Needs l.mu.
func (l *ledger) save(ahead int64) {
	if l.file == nil {
		f, err := l.fs.OpenFile(l.path, vfs.Write|vfs.Create)
		if err != nil {
			return
		}
		l.file = f
	}
	if _, err := l.file.WriteAt(encodeWritten(l.day, l.today+ahead, l.total+ahead), 0); err == nil {
		l.charged = l.today + ahead
	}
}

// load reads the file; what is not one begins at nothing.
func (l *ledger) load() {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, err := vfs.ReadFile(l.fs, l.path, writtenBytes)
	if err != nil {
		return
	}
	if day, today, total, err := decodeWritten(b); err == nil {
		l.day, l.today, l.charged, l.total = day, today, today, total
	}
}

func (l *ledger) close() error {
	l.settle()
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

func encodeWritten(day, today, total int64) []byte {
	le := binary.LittleEndian
	b := make([]byte, writtenBytes)
	copy(b, writtenMagic)
	le.PutUint16(b[8:], formatMajor)
	le.PutUint16(b[10:], formatMinor)
	le.PutUint64(b[16:], uint64(day))
	le.PutUint64(b[24:], uint64(today))
	le.PutUint64(b[32:], uint64(total))
	le.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
	return b
}

var errWritten = errors.New("unusable count of bytes written")

func decodeWritten(b []byte) (day, today, total int64, err error) {
	le := binary.LittleEndian
	if len(b) != writtenBytes || string(b[:8]) != writtenMagic {
		return 0, 0, 0, fmt.Errorf("%w: no magic in %d bytes", errWritten, len(b))
	}
	if got, want := le.Uint32(b[60:]), crc32.Checksum(b[:60], castagnoli); got != want {
		return 0, 0, 0, fmt.Errorf("%w: checksum %08x, want %08x", errWritten, got, want)
	}
	if major := le.Uint16(b[8:]); major != formatMajor {
		return 0, 0, 0, fmt.Errorf("%w: major version %d, want %d", errWritten, major, formatMajor)
	}
	day, today, total = int64(le.Uint64(b[16:])), int64(le.Uint64(b[24:])), int64(le.Uint64(b[32:]))
	const most = 1 << 62
	if day < 0 || day > most/daySeconds || today < 0 || today > most || total < 0 || total > most {
		return 0, 0, 0, fmt.Errorf("%w: day %d, %d bytes of %d", errWritten, day, today, total)
	}
	return day, today, total, nil
}

// charge counts n bytes of a block before they are written. The error wraps ErrBudget; it is warned of once a day.
func (s *Store) charge(n int) error {
	err := s.ledger.charge(int64(n))
	if err != nil {
		s.degrade(OnDisk, fmt.Sprintf("budget of day %d", s.opt.Now().Unix()/daySeconds), err)
	}
	return err
}

// wrote counts what was written beside blocks.
func (s *Store) wrote(n int) {
	s.stats.headerBytes.Add(uint64(n))
	s.ledger.count(int64(n))
}

func (s *Store) newLedger() *ledger {
	limit := s.opt.DailyBytes
	if limit == 0 {
		limit = defaultDailyBytes
	}
	return &ledger{fs: s.fs, path: filepath.Join(s.kvDir(), "written"), limit: limit, now: s.opt.Now}
}
