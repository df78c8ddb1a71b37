package kvcache

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"kvasir/platform"
	"kvasir/platform/vfs"
)

// Export writes the conversation of a session to w as an archive, with the rows that are stored of it unless noRows. It takes no
// lock, so that it also works while another process has the session or the store. In memory are the conversation, and of the rows
// one block. The error wraps ErrName, ErrNoSession, ErrDamaged..., or is that of w.
func (s *Sessions) Export(w io.Writer, name string, noRows bool) (*Archive, error) {
	c, err := s.Read(name)
	if err != nil {
		return nil, err
	}
	info, err := s.export(w, c, noRows)
	if err != nil {
		return nil, fmt.Errorf("session %q: %w", name, err)
	}
	return info, nil
}

func (s *Sessions) export(w io.Writer, c *Conversation, noRows bool) (*Archive, error) {
	if c.Damaged {
		return nil, fmt.Errorf("%w behind turn %d", ErrDamaged, c.Sound)
	}
	info := &Archive{Kind: SessionArchive, Created: s.now(), Session: c.Name, Model: c.Model.Name, Turns: len(c.Turns)}
	a, err := newArchiveWriter(w, info.Kind, info.Created)
	if err != nil {
		return nil, err
	}
	if err := s.writeJournal(a, c); err != nil {
		return nil, err
	}
	ids := c.IDs()
	info.Tokens = len(ids)
	if !noRows {
		if err := s.writeStored(a, info, c.Model.Fingerprint, ids); err != nil {
			return nil, err
		}
	}
	err = a.done()
	info.Bytes = a.bytes
	return info, err
}

// writeJournal writes the records of a conversation, as few as it fits in.
func (s *Sessions) writeJournal(a *archiveWriter, c *Conversation) error {
	j := &Journal{sessions: s, digest: sha256.New(), emit: func(kind uint8, payload []byte) error {
		return a.section(tagRecord, []byte{kind}, payload)
	}}
	if err := j.named(c.Name, c.Created.UnixNano()); err != nil {
		return err
	}
	if p := c.Parent; p != nil {
		if err := j.append(forkRecord(j.begin(recFork), &Conversation{Name: p.Session, id: p.id}, p.Turns)); err != nil {
			return err
		}
	}
	return j.copyTurns(c, len(c.Turns))
}

// writeStored writes what the store holds of a path, in the format that holds the most.
func (s *Sessions) writeStored(a *archiveWriter, info *Archive, fp Fingerprint, ids []int32) (err error) {
	all, err := StoredNamespaces(s.fs, s.home)
	if err != nil {
		return err
	}
	var best *storedRows
	defer func() {
		if best != nil {
			err = errors.Join(err, best.close())
		}
	}()
	var of *Stored
	for i := range all {
		if n := &all[i]; n.Err == nil && n.Fingerprint == fp {
			r, err := openStoredRows(s.fs, s.home, n, ids)
			if err == nil && r.tokens > 0 && (best == nil || r.tokens > best.tokens) {
				best, of = r, n
			}
		}
	}
	if best == nil {
		return nil
	}
	meta, err := vfs.ReadFile(s.fs, filepath.Join(best.dir, "META"), maxMetaBytes)
	if err != nil {
		return err
	}
	if info.KVTokens, err = a.writeBlocks(best.lay, fp, meta, ids, best); info.KVTokens > 0 {
		info.Fingerprint, info.Inputs, info.Geometry = fp, of.Inputs, of.Geometry
	}
	return err
}

// WritePack writes the rows of a sequence, all committed positions, to w as a prefix pack: an archive from which Store.AddPack
// gives them to another store. fp and inputs are what Store.Namespace takes for the model; text is the prefix for people. The
// sequence is not changed. The error wraps ErrClosed, ErrReserve (nothing is committed), ErrGeometry, ErrNoMemory or ErrLost (the
// next Reserve says more), or is that of w.
func (q *Sequence) WritePack(w io.Writer, fp Fingerprint, inputs []byte, text string) (*Archive, error) {
	return q.writePack(w, time.Now(), fp, inputs, text)
}

func (q *Sequence) writePack(w io.Writer, created time.Time, fp Fingerprint, inputs []byte, text string) (_ *Archive, err error) {
	lay := q.ns.lay
	switch {
	case q.closed:
		return nil, ErrClosed
	case q.Len() == 0:
		return nil, fmt.Errorf("%w: no position to write", ErrReserve)
	case !lay.storable:
		return nil, fmt.Errorf("%w: rows in a format that is not stored", ErrGeometry)
	case len(text) > maxArchiveText:
		return nil, fmt.Errorf("text of %d bytes, want at most %d", len(text), maxArchiveText)
	}
	info := &Archive{Kind: PrefixPack, Created: created, Text: text, Tokens: q.Len(), Fingerprint: fp, Inputs: inputs, Geometry: lay.geometry}
	source := &sequenceRows{q: q}
	if source.buf, err = lay.newBuffer(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, platform.Unmap(source.buf)) }()
	a, err := newArchiveWriter(w, info.Kind, info.Created)
	if err == nil {
		err = a.section(tagText, []byte(text))
	}
	if err == nil {
		info.KVTokens, err = a.writeBlocks(lay, fp, encodeMeta(lay, fp, inputs), q.ids, source)
	}
	if err == nil && info.KVTokens < info.Tokens {
		err = fmt.Errorf("%w: from position %d", ErrLost, info.KVTokens)
	}
	if err == nil {
		err = a.done()
	}
	info.Bytes = a.bytes
	return info, err
}
