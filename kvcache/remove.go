package kvcache

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"kvasir/platform/vfs"
)

// Remove deletes a session: its journal is overwritten with zeros first (flash memory may keep old copies all the same). Its KV blocks
// stay in the store until they are evicted. Whenever the process or the power dies, the session is there whole or not at all.
// The error wraps ErrName, ErrNoSession, vfs.ErrLocked... Where the text could not be overwritten the session is removed all the same, and
// the error names the file that is left of it, which the next removal or fork overwrites and removes.
func (s *Sessions) Remove(name string) error {
	f, err := s.openToRemove(name)
	if err != nil {
		return err
	}
	if err := s.erase(f, s.path(name)); err != nil {
		return errors.Join(fmt.Errorf("session %q: %w", name, err), f.Close())
	}
	return nil
}

// openToRemove opens the file of a session and locks it. One that never had a record is no session, and goes at once.
func (s *Sessions) openToRemove(name string) (vfs.File, error) {
	s.sweep()
	f, err := s.openLocked(name)
	if err == nil && neverBegun(f) {
		err = errors.Join(fmt.Errorf("%w: %q", ErrNoSession, name), s.fs.Remove(s.path(name)), f.Close())
	}
	return f, err
}

// erase removes the locked journal at path, and closes it, if it returns nil. It loses its name first, at once; then its text. An error
// behind that names what is left of it.
func (s *Sessions) erase(f vfs.File, path string) error {
	left, err := s.unfinished()
	if err != nil {
		return err
	}
	if err := s.fs.Rename(path, left); err != nil {
		return err
	}
	err = s.fs.SyncDir(s.dir())
	if err == nil {
		err = s.zero(f)
	}
	if err == nil {
		err = s.fs.Remove(left)
	}
	if err == nil {
		err = s.fs.SyncDir(s.dir())
	}
	if err != nil {
		return fmt.Errorf("it is no more, but what it held may be left in %s: %w", left, err)
	}
	return f.Close()
}

// zero overwrites a whole file, durably.
func (s *Sessions) zero(f vfs.File) error {
	size, err := f.Size()
	if err != nil {
		return err
	}
	return (&Journal{sessions: s, file: f, size: size}).clearTail()
}

const unfinishedSuffix = ".tmp"

// unfinished returns a name for a journal that is being made or removed: one that no other call uses.
func (s *Sessions) unfinished() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(s.random, b[:]); err != nil {
		return "", err
	}
	return filepath.Join(s.dir(), hex.EncodeToString(b[:])+unfinishedSuffix), nil
}

// sweep removes what processes left that died in making or removing a session (rule J8). What cannot be removed stays for the next one.
func (s *Sessions) sweep() {
	names, err := s.fs.ReadDir(s.dir())
	if err != nil {
		return
	}
	for _, name := range names {
		if !strings.HasSuffix(name, unfinishedSuffix) {
			continue
		}
		path := filepath.Join(s.dir(), name)
		f, err := s.fs.OpenFile(path, vfs.Write)
		if err != nil {
			continue
		}
		if f.Lock() == nil && s.zero(f) == nil {
			_ = s.fs.Remove(path)
		}
		_ = f.Close()
	}
}
