package kvcache

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"path/filepath"
	"time"

	"kvasir/internal/failpoint"
	"kvasir/platform/vfs"
)

// ErrRecord: what is to be written does not fit a record.
var ErrRecord = errors.New("does not fit a journal record")

var journalZeros [journalExtent]byte

// Journal is the open journal of one conversation. Not safe for concurrent use. Nothing is allocated per token once its buffer
// has grown. After an error other than ErrRecord or vfs.ErrNoSpace the file is not written any more: every call returns that error,
// and the journal has to be closed and opened again.
type Journal struct {
	sessions *Sessions
	file     vfs.File
	id       fileID
	seq      uint64
	end      int64 // of the records
	size     int64 // of the file: zeros up to here
	buf      []byte
	gather   bool // records wait in held to be written together
	held     []byte
	emit     func(kind uint8, payload []byte) error // gets the records in place of a file; nil: they go to the file
	open     bool                                   // a generated turn is open
	nTurns   int                                    // turns so far, the open one included
	nIDs     int                                    // ids in the open turn
	digest   hash.Hash                              // of the ids in the open turn
	failed   error
	stats    JournalStats
}

// JournalStats are counters since the journal was opened.
type JournalStats struct {
	RecordBytes uint64 // written: records
	ZeroBytes   uint64 // written: preallocated zeros
	Records     uint64
	Syncs       uint64
}

// Stats returns the counters.
func (j *Journal) Stats() JournalStats { return j.stats }

// Turns returns how many turns the journal has, the open one included.
func (j *Journal) Turns() int { return j.nTurns }

// Turn appends a turn that was not generated (role "user", "system", "tool"...), with the ids by which it stands in the context, and
// makes it durable: call it before the prefill. On an error the turn must be refused.
func (j *Journal) Turn(role, text string, ids []int32) error {
	if err := j.turn(j.sessions.now(), role, text, ids); err != nil {
		return err
	}
	return j.Sync()
}

// turn is Turn without the sync.
func (j *Journal) turn(at time.Time, role, text string, ids []int32) error {
	if len(role) > 255 {
		return fmt.Errorf("%w: role of %d bytes, want at most 255", ErrRecord, len(role))
	}
	if len(text)+4*len(ids) > maxRecordBytes-1024 {
		return fmt.Errorf("%w: turn of %d bytes and %d tokens", ErrRecord, len(text), len(ids))
	}
	le := binary.LittleEndian
	b := j.begin(recUser)
	b = le.AppendUint64(b, uint64(at.UnixNano()))
	b = append(append(b, byte(len(role))), role...)
	b = appendIDs(le.AppendUint32(b, uint32(len(ids))), ids)
	b = append(le.AppendUint32(b, uint32(len(text))), text...)
	if err := j.append(b); err != nil {
		return err
	}
	j.open = false
	j.nTurns++
	return nil
}

// Tokens appends generated tokens, the text they make and, if not empty, the state of the sampler after them. When it returns they
// survive the death of the process: only then may a client see them. The first call after a Turn or EndTurn opens a generated turn.
func (j *Journal) Tokens(ids []int32, text, state []byte) error {
	if len(ids) > 1<<16-1 || len(text) > 1<<16-1 || len(state) > 1<<16-1 {
		return fmt.Errorf("%w: %d tokens, %d bytes of text, %d of state; want at most 65535 each", ErrRecord, len(ids), len(text), len(state))
	}
	le := binary.LittleEndian
	b := j.begin(recTokens)
	b = appendIDs(le.AppendUint16(b, uint16(len(ids))), ids)
	at := len(b)
	b = append(le.AppendUint16(b, uint16(len(text))), text...)
	b = append(le.AppendUint16(b, uint16(len(state))), state...)
	if err := j.append(b); err != nil {
		return err
	}
	j.openTurn()
	j.nIDs += len(ids)
	j.digest.Write(j.buf[at-4*len(ids) : at])
	return nil
}

// EndTurn ends the generated turn and makes the journal durable: acknowledge the turn when it has returned nil.
func (j *Journal) EndTurn(finish string, state []byte) error {
	if err := j.endTurn(j.sessions.now(), finish, state); err != nil {
		return err
	}
	return j.Sync()
}

// endTurn is EndTurn without the sync.
func (j *Journal) endTurn(at time.Time, finish string, state []byte) error {
	if len(finish) > 255 || len(state) > 1<<16-1 {
		return fmt.Errorf("%w: finish reason of %d bytes, state of %d", ErrRecord, len(finish), len(state))
	}
	wasOpen := j.open
	j.openTurn()
	le := binary.LittleEndian
	b := j.begin(recTurnEnd)
	b = le.AppendUint64(b, uint64(at.UnixNano()))
	b = append(append(b, byte(len(finish))), finish...)
	b = le.AppendUint32(b, uint32(j.nIDs))
	b = j.digest.Sum(b)
	b = append(le.AppendUint16(b, uint16(len(state))), state...)
	if err := j.append(b); err != nil {
		if !wasOpen {
			j.open = false
			j.nTurns--
		}
		return err
	}
	j.open = false
	return nil
}

func (j *Journal) openTurn() {
	if !j.open {
		j.open = true
		j.nTurns++
		j.nIDs = 0
		j.digest.Reset()
	}
}

// Model notes which model the conversation is held with from here on; durable with the next sync.
func (j *Journal) Model(m ModelRecord) error {
	if len(m.Name) > 1<<16-1 || len(m.Settings) > 1<<20 {
		return fmt.Errorf("%w: model name of %d bytes, settings of %d", ErrRecord, len(m.Name), len(m.Settings))
	}
	le := binary.LittleEndian
	b := append(j.begin(recModel), m.Fingerprint[:]...)
	b = append(le.AppendUint16(b, uint16(len(m.Name))), m.Name...)
	b = append(le.AppendUint32(b, uint32(len(m.Settings))), m.Settings...)
	return j.append(b)
}

// Rewind forgets all turns but the first n, durably, and what damage stands behind these: with n = Turns() only that. They stay in
// the file.
func (j *Journal) Rewind(n int) error {
	if n < 0 || n > j.nTurns {
		return fmt.Errorf("%w: rewind to %d turns of %d", ErrRecord, n, j.nTurns)
	}
	op := byte(editRewind)
	if n == j.nTurns {
		op = editAccept
	}
	if err := j.edit(op, n); err != nil {
		return err
	}
	return j.Sync()
}

// settle closes the open turn, without a sync. It accepts no damage.
func (j *Journal) settle() error { return j.edit(editRewind, j.nTurns) }

func (j *Journal) edit(op byte, n int) error {
	b := binary.LittleEndian.AppendUint32(append(j.begin(recEdit), op), uint32(n))
	if err := j.append(b); err != nil {
		return err
	}
	j.open, j.nTurns = false, n
	return nil
}

// Sync makes everything appended so far survive a power cut.
func (j *Journal) Sync() error {
	if j.failed != nil {
		return j.failed
	}
	if !syncBeforeAck {
		return nil
	}
	failpoint.Here("journal: before a sync")
	err := j.file.Fdatasync()
	failpoint.Here("journal: after a sync")
	if err != nil {
		return j.fail(fmt.Errorf("journal sync: %w", err))
	}
	j.stats.Syncs++
	return nil
}

// Close closes the file without a sync. Further calls return ErrClosed.
func (j *Journal) Close() error {
	if j.file == nil {
		return ErrClosed
	}
	err := j.file.Close()
	j.file, j.failed = nil, ErrClosed
	return err
}

func (j *Journal) fail(err error) error {
	if failureIsFinal {
		j.failed = err
	}
	return err
}

func (j *Journal) begin(kind uint8) []byte { return beginRecord(j.buf[:0], kind, j.seq+1) }

// append writes the record b, which begin started, in one call.
func (j *Journal) append(b []byte) error {
	if j.failed != nil {
		return j.failed
	}
	if j.emit != nil {
		j.buf = b
		j.seq++
		return j.emit(b[16], b[recordHead:])
	}
	b = sealRecord(b, &j.id)
	j.buf = b
	if j.gather {
		j.held = append(j.held, b...)
		j.seq++
		j.stats.Records++
		if len(j.held) < journalExtent {
			return nil
		}
		return j.release()
	}
	if err := j.put(b); err != nil {
		return err
	}
	j.seq++
	j.stats.Records++
	return nil
}

// release writes the records that were held.
func (j *Journal) release() error {
	err := j.put(j.held)
	j.held = j.held[:0]
	return err
}

// put writes whole records behind those that are there.
func (j *Journal) put(b []byte) error {
	if need := j.end + int64(len(b)); need > j.size {
		if err := j.extend(need); err != nil {
			return err
		}
	}
	failpoint.Here("journal: before a record")
	if err := j.write(b, j.end); err != nil {
		return err
	}
	failpoint.Here("journal: after a record")
	j.end += int64(len(b))
	j.stats.RecordBytes += uint64(len(b))
	return nil
}

// extend writes zeros behind the end of the file until it has at least need bytes, in whole extents.
func (j *Journal) extend(need int64) error {
	size := (need + journalExtent - 1) / journalExtent * journalExtent
	if size > maxJournalBytes {
		return fmt.Errorf("%w: journal of %d bytes, want at most %d", ErrRecord, size, maxJournalBytes)
	}
	for j.size < size {
		piece := journalZeros[:min(journalExtent, size-j.size)]
		if err := j.write(piece, j.size); err != nil {
			return err
		}
		failpoint.Here("journal: extended")
		j.size += int64(len(piece))
		j.stats.ZeroBytes += uint64(len(piece))
	}
	return nil
}

// write writes at off; when there is no space it gives up the ballast and tries once more. Lack of space leaves the journal usable.
func (j *Journal) write(b []byte, off int64) error {
	_, err := j.file.WriteAt(b, off)
	if errors.Is(err, vfs.ErrNoSpace) && j.sessions.dropBallast() {
		_, err = j.file.WriteAt(b, off)
	}
	if err == nil {
		return nil
	}
	err = fmt.Errorf("journal write: %w", err)
	if errors.Is(err, vfs.ErrNoSpace) {
		return err
	}
	return j.fail(err)
}

// Sessions are the journals under one home directory. Safe for concurrent use; one Journal per conversation is open at a time,
// over all processes.
type Sessions struct {
	fs     vfs.FS
	home   string
	clock  func() time.Time
	random io.Reader // of file ids and names
}

// NewSessions returns the sessions under home. Directories are made by the first Create.
func NewSessions(fsys vfs.FS, home string) *Sessions {
	return &Sessions{fs: fsys, home: home, clock: time.Now, random: rand.Reader}
}

func (s *Sessions) now() time.Time { return s.clock() }
func (s *Sessions) dir() string    { return filepath.Join(s.home, "sessions") }
