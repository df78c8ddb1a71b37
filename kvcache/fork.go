package kvcache

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"kvasir/platform/vfs"
)

// ErrDamaged: turns that are to be taken over are damaged, or stand behind damage.
var ErrDamaged = fmt.Errorf("%w: damaged", ErrJournal)

// Fork makes a new session of the first turns of a conversation, as Read returned it; an answer that is still open stays so.
// The journal of the new session needs the old one no more, and its rows are found by their ids: nothing is written but that
// journal. Whenever the process or the power dies, the new session is there whole or not at all; after an error it is not there. The error wraps ErrName,
// ErrExists, ErrRecord (turns out of range), ErrDamaged, vfs.ErrNoSpace...
func (s *Sessions) Fork(from *Conversation, name string, turns int) error {
	if turns < 0 || turns > len(from.Turns) {
		return fmt.Errorf("session %q: %w: fork at turn %d of %d", from.Name, ErrRecord, turns, len(from.Turns))
	}
	if turns > from.Sound {
		return fmt.Errorf("session %q: %w behind turn %d", from.Name, ErrDamaged, from.Sound)
	}
	return s.compose(name, func(j *Journal) error {
		if err := j.append(forkRecord(j.begin(recFork), from, turns)); err != nil {
			return err
		}
		return j.copyTurns(from, turns)
	})
}

// copyTurns appends the model and the first turns of another journal, without a sync. An answer that is still open stays so.
func (j *Journal) copyTurns(from *Conversation, turns int) error {
	if m := &from.Model; m.Name != "" || m.Fingerprint != (Fingerprint{}) {
		if err := j.Model(*m); err != nil {
			return err
		}
	}
	for i := range from.Turns[:turns] {
		if err := j.copyTurn(&from.Turns[i]); err != nil {
			return err
		}
	}
	if stillOpen := from.open && turns == len(from.Turns); j.open && !stillOpen {
		return j.settle()
	}
	return nil
}

// forkRecord completes the record that says where a conversation comes from.
func forkRecord(b []byte, from *Conversation, turns int) []byte {
	b = append(append(b, byte(len(from.Name))), from.id[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(turns))
	return append(b, from.Name...)
}

// copyTurn appends a turn of another journal in as few records as it fits in, without a sync.
func (j *Journal) copyTurn(t *Turn) error {
	if !t.Generated {
		return j.turn(t.At, t.Role, t.Text, t.IDs)
	}
	if j.open { // the turn before never came to its end: this one is not its rest
		if err := j.settle(); err != nil {
			return err
		}
	}
	const most = math.MaxUint16
	for ids, text := t.IDs, []byte(t.Text); len(ids) > 0 || len(text) > 0 || !t.Complete && !j.open; {
		n, m := min(len(ids), most), min(len(text), most)
		var state []byte
		if n == len(ids) && m == len(text) && !t.Complete {
			state = t.Sampler
		}
		if err := j.Tokens(ids[:n], text[:m], state); err != nil {
			return err
		}
		ids, text = ids[n:], text[m:]
	}
	if !t.Complete {
		return nil
	}
	return j.endTurn(t.At, t.Finish, t.Sampler)
}

// compose makes a journal that is there whole or, whenever the process or the power dies, not at all: what write appends is
// synced under another name before it gets its own (rule J8). After an error it is not there; only where the directory could not be
// synced may a power cut bring it back.
func (s *Sessions) compose(name string, write func(*Journal) error) error {
	s.sweep()
	claim, err := s.claim(name)
	if err != nil {
		return err
	}
	path := s.path(name)
	var f vfs.File
	left, err := s.unfinished()
	if err == nil {
		f, err = s.fs.OpenFile(left, vfs.Write|vfs.Create|vfs.Excl)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("session %q: %w", name, err), s.withdraw(path, claim))
	}
	j := &Journal{sessions: s, file: f, digest: sha256.New(), end: recordsOff, gather: true}
	if err = f.Lock(); err == nil { // until it has its name: what nobody has locked is swept
		err = j.whole(name, write)
	}
	if err == nil {
		if err = s.fs.Rename(left, path); err == nil {
			left = path
			err = s.fs.SyncDir(s.dir())
		}
	}
	if err != nil {
		err = fmt.Errorf("session %q: %w", name, err)
		if left != path {
			err = errors.Join(err, s.fs.Remove(left))
		}
		err = errors.Join(err, s.fs.Remove(path), s.fs.SyncDir(s.dir()))
	}
	return errors.Join(err, j.Close(), claim.Close())
}

// whole writes a journal, durably.
func (j *Journal) whole(name string, write func(*Journal) error) error {
	if err := j.first(name); err != nil {
		return err
	}
	if err := write(j); err != nil {
		return err
	}
	if err := j.release(); err != nil {
		return err
	}
	return j.Sync()
}
