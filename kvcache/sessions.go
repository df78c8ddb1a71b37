package kvcache

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kvasir/internal/failpoint"
	"kvasir/platform/vfs"
)

// Errors of Sessions. A session that another process or call has open gives vfs.ErrLocked.
var (
	ErrName      = errors.New("invalid session name")
	ErrExists    = errors.New("session exists")
	ErrNoSession = errors.New("no such session")
)

const (
	journalSuffix = ".kvj"
	ballastBytes  = 1 << 20
)

// SessionInfo is one line of a list of sessions.
type SessionInfo struct {
	Name     string // empty if the journal does not say
	File     string // name of the file in the sessions directory
	Created  time.Time
	Modified time.Time
	Bytes    int64
	Err      error // why the journal cannot be read; nil if it can
}

// path returns where the journal of a session is; the name only goes in through a hash.
func (s *Sessions) path(name string) string {
	h := sha256.Sum256([]byte("kvasir session 1\n" + name))
	return filepath.Join(s.dir(), hex.EncodeToString(h[:16])+journalSuffix)
}

// Create starts a new conversation. The error wraps ErrName, ErrExists, vfs.ErrNoSpace...
func (s *Sessions) Create(name string) (*Journal, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if err := s.fs.MkdirAll(s.dir()); err != nil {
		return nil, err
	}
	s.makeBallast()
	path := s.path(name)
	f, err := s.fs.OpenFile(path, vfs.Write|vfs.Create)
	if err != nil {
		return nil, err
	}
	// Whoever has the lock of a file without a record makes the session, also in a file that a process left which died here.
	if err := f.Lock(); err != nil || !neverBegun(f) {
		if err == nil || errors.Is(err, vfs.ErrLocked) {
			err = fmt.Errorf("%w: %q", ErrExists, name)
		}
		return nil, errors.Join(err, f.Close())
	}
	failpoint.Here("session: empty file")
	j := &Journal{sessions: s, file: f, digest: sha256.New(), end: recordsOff}
	if err := j.start(name); err != nil {
		err = errors.Join(fmt.Errorf("session %q: %w", name, err), s.fs.Remove(path))
		return nil, errors.Join(err, f.Close())
	}
	return j, nil
}

// start writes the file headers and the first record of a new journal that is locked, durably.
func (j *Journal) start(name string) error {
	if _, err := rand.Read(j.id[:]); err != nil {
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
	le := binary.LittleEndian
	b := le.AppendUint64(j.begin(recSession), uint64(created))
	b = append(le.AppendUint16(b, uint16(len(name))), name...)
	if err := j.append(b); err != nil {
		return err
	}
	if err := j.Sync(); err != nil {
		return err
	}
	return errors.Join(j.sessions.fs.SyncDir(j.sessions.dir()), j.sessions.fs.SyncDir(j.sessions.home))
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
// belong to it. The error wraps ErrName, ErrNoSession, ErrJournal, vfs.ErrLocked...
func (s *Sessions) Open(name string) (*Journal, *Conversation, error) {
	f, err := s.openFile(name, vfs.Write)
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

func (s *Sessions) resume(f vfs.File, name string) (*Journal, *Conversation, error) {
	if err := f.Lock(); err != nil {
		return nil, nil, err
	}
	c, err := s.read(f, name)
	if err != nil {
		return nil, nil, err
	}
	s.makeBallast()
	j := &Journal{sessions: s, file: f, id: c.id, seq: c.seq, end: c.end, size: c.FileSize, digest: sha256.New(), nTurns: len(c.Turns)}
	if c.tail {
		if err := j.clearTail(); err != nil {
			return nil, nil, err
		}
	}
	if c.cut { // a reader would drop the tokens that follow: begin afresh behind the turns that are left
		return j, c, j.Rewind(len(c.Turns))
	}
	if n := len(c.Turns); n > 0 && c.Turns[n-1].Generated && !c.Turns[n-1].Complete && !c.Turns[n-1].Damaged {
		t := c.Turns[n-1]
		j.open, j.nIDs = true, len(t.IDs)
		j.digest.Write(appendIDs(nil, t.IDs))
	}
	return j, c, nil
}

// clearTail applies rule J3.
func (j *Journal) clearTail() error {
	for off := j.end; off < j.size; off += journalExtent {
		if err := j.write(journalZeros[:min(journalExtent, j.size-off)], off); err != nil {
			return err
		}
	}
	return j.Sync()
}

// read reads an open journal; a name that is lost is that of the file. One without a record is no session: the error wraps
// ErrNoSession if it never had any.
func (s *Sessions) read(f vfs.File, name string) (*Conversation, error) {
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

// List returns all sessions, the last modified one first. Of each file only the beginning is read.
func (s *Sessions) List() ([]SessionInfo, error) {
	names, err := s.fs.ReadDir(s.dir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []SessionInfo
	for _, file := range names {
		if strings.HasSuffix(file, journalSuffix) {
			out = append(out, s.info(file))
		}
	}
	slices.SortStableFunc(out, func(a, b SessionInfo) int { return b.Modified.Compare(a.Modified) })
	return out, nil
}

func (s *Sessions) info(file string) SessionInfo {
	info := SessionInfo{File: file}
	st, err := s.fs.Stat(filepath.Join(s.dir(), file))
	if err != nil {
		info.Err = err
		return info
	}
	info.Bytes, info.Modified = st.Bytes, st.Modified
	f, err := s.fs.OpenFile(filepath.Join(s.dir(), file), vfs.Read)
	if err != nil {
		info.Err = err
		return info
	}
	defer f.Close()
	w := &window{file: f, size: st.Bytes}
	id, err := readJournalHead(w)
	if err != nil {
		info.Err = err
		return info
	}
	kind, body, _, err := w.record(recordsOff, &id, 0, false, nil)
	if err == nil && kind == recSession {
		c := &Conversation{}
		(&replay{c: c, open: noTurn}).apply(kind, &payload{b: body})
		info.Name, info.Created = c.Name, c.Created
	}
	if err == nil && info.Name == "" {
		err = fmt.Errorf("%w: no session record", ErrJournal)
	}
	if err == nil && filepath.Base(s.path(info.Name)) != file {
		err = fmt.Errorf("%w: the journal of %q under another name", ErrJournal, info.Name)
		info.Name = ""
	}
	info.Err = err
	return info
}

// Remove deletes a session: its journal is overwritten with zeros first (flash memory may keep old copies all the same). Its KV blocks
// stay in the store until they are evicted. The error wraps ErrName, ErrNoSession, vfs.ErrLocked...
func (s *Sessions) Remove(name string) error {
	f, err := s.openFile(name, vfs.Write)
	if err != nil {
		return err
	}
	err = func() error {
		if err := f.Lock(); err != nil {
			return err
		}
		size, err := f.Size()
		if err != nil {
			return err
		}
		j := &Journal{sessions: s, file: f, size: size}
		if err := j.clearTail(); err != nil {
			return err
		}
		if err := s.fs.Remove(s.path(name)); err != nil {
			return err
		}
		return s.fs.SyncDir(s.dir())
	}()
	if err != nil {
		err = fmt.Errorf("session %q: %w", name, err)
	}
	return errors.Join(err, f.Close())
}

// makeBallast reserves the space that lets a journal be written on a full disk, if there is space now. Not having it is no error.
func (s *Sessions) makeBallast() {
	path := filepath.Join(s.home, "ballast")
	f, err := s.fs.OpenFile(path, vfs.Write|vfs.Create|vfs.Excl)
	if err != nil {
		return
	}
	if f.Fallocate(0, ballastBytes) != nil {
		_ = s.fs.Remove(path)
	}
	_ = f.Close()
}

// dropBallast frees the space, and reports whether there was any to free.
func (s *Sessions) dropBallast() bool {
	return s.fs.Remove(filepath.Join(s.home, "ballast")) == nil
}
