package kvcache

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"kvasir/internal/failpoint"
	"kvasir/platform/vfs"
)

// Errors of Sessions. A session that another process or call has open gives vfs.ErrLocked.
var (
	ErrName      = errors.New("invalid session name")
	ErrExists    = errors.New("session exists")
	ErrNoSession = errors.New("no such session")
)

const journalSuffix = ".kvj"

// path returns where the journal of a session is; the name only goes in through a hash.
func (s *Sessions) path(name string) string {
	h := sha256.Sum256([]byte("kvasir session 1\n" + name))
	return filepath.Join(s.dir(), hex.EncodeToString(h[:16])+journalSuffix)
}

// Create starts a new conversation. The error wraps ErrName, ErrExists, vfs.ErrNoSpace...
func (s *Sessions) Create(name string) (*Journal, error) {
	f, err := s.claim(name)
	if err != nil {
		return nil, err
	}
	failpoint.Here("session: empty file")
	j := &Journal{sessions: s, file: f, digest: sha256.New(), end: recordsOff}
	if err := j.start(name); err != nil {
		return nil, errors.Join(fmt.Errorf("session %q: %w", name, err), s.withdraw(s.path(name), f))
	}
	return j, nil
}

// claim returns the file of a session that is to be made, locked and without a record. Whoever has the lock of such a file
// makes the session, also in one that a process left which died here.
func (s *Sessions) claim(name string) (vfs.File, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if err := s.fs.MkdirAll(s.dir()); err != nil {
		return nil, err
	}
	s.makeBallast()
	f, err := s.lock(func() (vfs.File, error) { return s.fs.OpenFile(s.path(name), vfs.Write|vfs.Create) })
	if errors.Is(err, vfs.ErrLocked) {
		return nil, fmt.Errorf("%w: %q", ErrExists, name)
	}
	if err != nil {
		return nil, err
	}
	if !neverBegun(f) {
		return nil, errors.Join(fmt.Errorf("%w: %q", ErrExists, name), f.Close())
	}
	return f, nil
}

// lock returns a locked file. One that was removed or replaced before its lock could be had is opened anew.
func (s *Sessions) lock(open func() (vfs.File, error)) (vfs.File, error) {
	for range 100 {
		f, err := open()
		if err != nil {
			return nil, err
		}
		if err = f.Lock(); err == nil {
			return f, nil
		}
		if err = errors.Join(err, f.Close()); !isNotExist(err) {
			return nil, err
		}
	}
	return nil, vfs.ErrLocked // never the same file twice: somebody is quicker every time
}

// withdraw removes the locked journal of a session that could not be made, and closes it. Durably: were it to come back, the
// session would exist though its maker was told that it does not.
func (s *Sessions) withdraw(path string, f vfs.File) error {
	return errors.Join(s.fs.Remove(path), s.fs.SyncDir(s.dir()), f.Close())
}

// start writes a new journal that is locked, durably.
func (j *Journal) start(name string) error {
	if err := j.first(name); err != nil {
		return err
	}
	if err := j.Sync(); err != nil {
		return err
	}
	return errors.Join(j.sessions.fs.SyncDir(j.sessions.dir()), j.sessions.fs.SyncDir(j.sessions.home))
}

// first writes the file headers and the first record.
func (j *Journal) first(name string) error {
	if _, err := io.ReadFull(j.sessions.random, j.id[:]); err != nil {
		return err
	}
	created := j.sessions.now().UnixNano()
	if err := j.extend(journalExtent); err != nil {
		return err
	}
	var head [journalHead]byte
	encodeJournalHead(head[:], j.id, created)
	for _, off := range []int64{0, journalCopy} {
		if err := j.write(head[:], off); err != nil {
			return err
		}
	}
	failpoint.Here("session: without a record")
	return j.named(name, created)
}

// named appends the first record.
func (j *Journal) named(name string, created int64) error {
	le := binary.LittleEndian
	b := le.AppendUint64(j.begin(recSession), uint64(created))
	return j.append(append(le.AppendUint16(b, uint16(len(name))), name...))
}

// neverBegun reports whether a journal has no record yet, and never had: it is small, and behind the place of the first record,
// which may be torn, there are only zeros.
func neverBegun(f vfs.File) bool {
	const firstRecordBytes = 128 // the longest SESSION record has 91
	size, err := f.Size()
	if err != nil || size > journalExtent {
		return false
	}
	if c, err := readConversation(f); err != nil && !errors.Is(err, ErrJournal) || err == nil && c.seq > 0 {
		return false
	}
	text, err := (&window{file: f, size: size}).nonZero(recordsOff + firstRecordBytes)
	return err == nil && !text
}

// Open opens a session to go on with it, and returns what it holds so far. An incomplete last turn is still open: further Tokens
// belong to it. A journal in which the search for records was given up is not opened, since going on would overwrite what it did not
// find. The error wraps ErrName, ErrNoSession, ErrJournal, vfs.ErrLocked...
func (s *Sessions) Open(name string) (*Journal, *Conversation, error) {
	f, err := s.openLocked(name)
	if err != nil {
		return nil, nil, err
	}
	j, c, err := s.resume(f, name)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("session %q: %w", name, err), f.Close())
	}
	return j, c, nil
}

func (s *Sessions) openFile(name string, flag vfs.Flag) (vfs.File, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	f, err := s.fs.OpenFile(s.path(name), flag)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %q", ErrNoSession, name)
	}
	return f, err
}

// openLocked opens the file of a session to change it.
func (s *Sessions) openLocked(name string) (vfs.File, error) {
	f, err := s.lock(func() (vfs.File, error) { return s.openFile(name, vfs.Write) })
	if errors.Is(err, vfs.ErrLocked) {
		err = fmt.Errorf("session %q: %w", name, err)
	}
	return f, err
}

func (s *Sessions) resume(f vfs.File, name string) (*Journal, *Conversation, error) {
	c, err := s.read(f, name)
	if err != nil {
		return nil, nil, err
	}
	if c.unread { // clearTail would overwrite turns that may be good
		return nil, nil, fmt.Errorf("%w: records behind turn %d cannot be told from the damage there; what stands before can be forked", ErrJournal, c.Sound)
	}
	s.makeBallast()
	j := &Journal{sessions: s, file: f, id: c.id, seq: c.seq, end: c.end, size: c.FileSize, digest: sha256.New(), nTurns: len(c.Turns)}
	if c.tail {
		if err := j.clearTail(); err != nil {
			return nil, nil, err
		}
	}
	if err := j.renew(c.doubt); err != nil {
		return nil, nil, err
	}
	if c.cut { // a reader would drop the tokens that follow: begin afresh behind the turns that are left
		if err := j.settle(); err != nil {
			return nil, nil, err
		}
		return j, c, j.Sync()
	}
	if c.open {
		t := c.Turns[len(c.Turns)-1]
		j.open, j.nIDs = true, len(t.IDs)
		j.digest.Write(appendIDs(nil, t.IDs))
	}
	return j, c, nil
}

// readSession reads the journal in an open file. One without a record is none: the error wraps ErrNoSession if it never had any.
func readSession(f vfs.File) (*Conversation, error) {
	c, err := readConversation(f)
	if err == nil && c.end == recordsOff {
		err = fmt.Errorf("%w: no record", ErrJournal)
	}
	if err != nil {
		if neverBegun(f) {
			err = ErrNoSession
		}
		return nil, err
	}
	return c, nil
}

// read reads an open journal; a name that is lost is that of the file.
func (s *Sessions) read(f vfs.File, name string) (*Conversation, error) {
	c, err := readSession(f)
	if err != nil {
		return nil, err
	}
	if c.Name == "" {
		c.Name = name
	}
	if c.Name != name {
		return nil, fmt.Errorf("%w: it is the journal of %q", ErrJournal, c.Name)
	}
	return c, nil
}

// Read returns what a session holds, also while it is open elsewhere.
func (s *Sessions) Read(name string) (*Conversation, error) {
	f, err := s.openFile(name, vfs.Read)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c, err := s.read(f, name)
	if err != nil {
		return nil, fmt.Errorf("session %q: %w", name, err)
	}
	return c, nil
}
