package kvcache

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kvasir/platform/vfs"
)

// SessionInfo is one line of a list of sessions.
type SessionInfo struct {
	Name     string // empty if the journal does not say
	File     string // name of the file in the sessions directory
	Modified time.Time
	Bytes    int64
	Err      error // why the journal cannot be read; nil if it can
}

// List returns all sessions, the last modified one first.
func (s *Sessions) List() ([]SessionInfo, error) {
	var all []SessionInfo
	err := s.Scan(func(info SessionInfo, _ *Conversation) error {
		all = append(all, info)
		return nil
	})
	return all, err
}

// Scan calls visit with every session and what it holds (nil where Err is set), the last modified one first, also while
// some are open elsewhere. Each journal is read once, and one at a time is in memory. An error of visit ends it.
func (s *Sessions) Scan(visit func(SessionInfo, *Conversation) error) error {
	names, err := s.fs.ReadDir(s.dir())
	if err != nil {
		if isNotExist(err) {
			return nil
		}
		return err
	}
	var files []SessionInfo
	for _, file := range names {
		if !strings.HasSuffix(file, journalSuffix) {
			continue
		}
		info := SessionInfo{File: file}
		st, err := s.fs.Stat(filepath.Join(s.dir(), file))
		info.Bytes, info.Modified, info.Err = st.Bytes, st.Modified, err
		files = append(files, info)
	}
	slices.SortStableFunc(files, func(a, b SessionInfo) int { return b.Modified.Compare(a.Modified) })
	for _, info := range files {
		var c *Conversation
		if info.Err == nil {
			c, info.Err = s.readFile(info.File)
		}
		if isNotExist(info.Err) || info.Err == ErrNoSession {
			continue // removed in the meantime, or never made
		}
		if c != nil {
			info.Name = c.Name
		}
		if err := visit(info, c); err != nil {
			return err
		}
	}
	return nil
}

// readFile reads the journal in a file of the sessions directory, whose name must be that of the session in it.
func (s *Sessions) readFile(file string) (*Conversation, error) {
	f, err := s.fs.OpenFile(filepath.Join(s.dir(), file), vfs.Read)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c, err := readSession(f)
	switch {
	case err != nil:
		return nil, err
	case c.Name == "":
		return nil, fmt.Errorf("%w: no session record", ErrJournal)
	case filepath.Base(s.path(c.Name)) != file:
		return nil, fmt.Errorf("%w: the journal of %q under another name", ErrJournal, c.Name)
	}
	return c, nil
}
