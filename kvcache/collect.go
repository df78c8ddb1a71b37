package kvcache

import (
	"errors"
	"path/filepath"
	"strings"

	"kvasir/platform/vfs"
)

// Collected says what Collect removed, or would remove.
type Collected struct {
	Evicted  Freed    // segments, to keep to the bounds, and those without a block
	Files    []string // others, below the home: what cannot be used, and what was left of making files
	Punched  int64    // bytes given back of blocks that stay: rows that no sliding window reaches
	Bytes    int64    // of all that
	Used     int64    // left
	MaxBytes int64    // the cap that was kept to
	Kept     []string // files of other versions, which are left alone
	Unpinned []string // labels of pins of sessions that are no more
}

// Collect brings the store of a home within its bounds: it evicts what was used longest ago, by segments, and removes segments
// without a block, files that can never be used again and what processes left that died in making one. Pins of sessions that are no
// more do not count: they go. Of a dry run nothing is changed, and it takes no lock. The error wraps vfs.ErrLocked if another process has the store, vfs.ErrReadOnly...
func Collect(fsys vfs.FS, home string, opt Options, dry bool) (*Collected, error) {
	s := newStore(fsys, home, opt)
	s.readOnly = dry
	if !dry {
		if err := s.acquire(); err != nil {
			return nil, err
		}
		if s.readOnly {
			return nil, errors.Join(vfs.ErrReadOnly, s.lock.Close())
		}
	}
	c := &Collected{}
	err := s.collect(c)
	if dry {
		for _, n := range s.all() {
			err = errors.Join(err, n.closeFiles())
		}
		return c, err
	}
	return c, errors.Join(err, s.Close())
}

func (s *Store) collect(c *Collected) error {
	if err := s.collectTmp(c); err != nil {
		return err
	}
	if err := s.prepare(); err != nil {
		return err
	}
	if err := s.collectUnusable(c); err != nil {
		return err
	}
	if err := s.collectPins(c); err != nil {
		return err
	}
	for {
		bytes, err := s.PunchWindows()
		if c.Punched += bytes; err != nil {
			return err
		}
		if bytes == 0 {
			break
		}
	}
	c.Bytes += c.Punched
	freed, err := s.shrink(s.opt.MaxBytes)
	c.Evicted = freed
	c.Bytes += freed.Bytes
	c.Used, c.MaxBytes = s.used, s.opt.MaxBytes
	return err
}

// collectPins removes the pins of sessions that were removed while another process had the store.
func (s *Store) collectPins(c *Collected) error {
	sessions := NewSessions(s.fs, s.home)
	for _, n := range s.all() {
		for _, p := range n.Pins() {
			name, ok := strings.CutPrefix(p.Label, SessionPin(""))
			if !ok {
				continue
			}
			if _, err := s.fs.Stat(sessions.path(name)); !isNotExist(err) {
				continue
			}
			c.Unpinned = append(c.Unpinned, p.Label)
			if s.readOnly {
				n.mu.Lock()
				n.detach(n.pins[p.Label])
				delete(n.pins, p.Label)
				n.mu.Unlock()
			} else if err := n.Unpin(p.Label); err != nil {
				return err
			}
		}
	}
	return nil
}

// collectTmp notes what prepare will sweep.
func (s *Store) collectTmp(c *Collected) error {
	names, err := s.fs.ReadDir(s.tmpDir())
	if err != nil {
		if isNotExist(err) {
			return nil
		}
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, "m-") {
			s.note(c, filepath.Join("tmp", name))
		}
	}
	return nil
}

// note adds a file to the list of those that go.
func (s *Store) note(c *Collected, name string) (bytes int64) {
	if info, err := s.fs.Stat(filepath.Join(s.home, name)); err == nil {
		bytes = allocated(info)
	}
	c.Files = append(c.Files, name)
	c.Bytes += bytes
	return bytes
}

// collectUnusable removes segments that rule R4 sets aside, and namespaces whose META is damaged or not there; not what another
// version may have made, nor what could not be read.
func (s *Store) collectUnusable(c *Collected) error {
	stored, err := s.Stored()
	if err != nil {
		return err
	}
	for _, st := range stored {
		dir := filepath.Join("kv", "v1", st.Dir)
		names, err := s.fs.ReadDir(filepath.Join(s.home, dir))
		if err != nil {
			continue // not a directory
		}
		var gone []string
		switch {
		case st.Err == nil:
			gone = s.unusableSegments(c, st, names)
		case useless(st.Err):
			for _, name := range names {
				if ours(name) {
					gone = append(gone, name)
				}
			}
		case errors.Is(st.Err, errVersion):
			c.Kept = append(c.Kept, dir)
		}
		if err := s.removeFiles(c, dir, gone); err != nil {
			return err
		}
		if !s.readOnly && len(gone) == len(names) && st.Err != nil {
			if err := s.fs.Remove(filepath.Join(s.home, dir)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) unusableSegments(c *Collected, st Stored, names []string) (gone []string) {
	d := &disk{store: s, dir: filepath.Join(s.kvDir(), st.Dir)}
	for _, name := range names {
		lay := st.lay.of(name)
		if lay == nil {
			continue
		}
		seg, err := d.openSegment(lay, st.Fingerprint, name)
		switch {
		case err == nil:
			_ = seg.close()
		case errors.Is(err, errVersion):
			c.Kept = append(c.Kept, filepath.Join("kv", "v1", st.Dir, name))
		case useless(err):
			gone = append(gone, name)
		}
	}
	return gone
}

// useless reports whether a file that gave this error can never be used, by any version.
func useless(err error) bool {
	return (errors.Is(err, errSegment) || isNotExist(err)) && !errors.Is(err, errVersion)
}

// ours reports whether a file of a namespace has a name that this version gives.
func ours(name string) bool {
	_, segment := segmentNumber(name)
	_, states := stateSegmentNumber(name)
	return segment || states || name == "META" || name == "lru" || name == "pins"
}

func (s *Store) removeFiles(c *Collected, dir string, names []string) error {
	for _, name := range names {
		bytes := s.note(c, filepath.Join(dir, name))
		if !s.readOnly {
			if err := s.fs.Remove(filepath.Join(s.home, dir, name)); err != nil {
				return err
			}
		}
		if filepath.Ext(name) == ".seg" {
			s.unclaim(bytes)
		}
	}
	if len(names) == 0 || s.readOnly {
		return nil
	}
	return s.fs.SyncDir(filepath.Join(s.home, dir))
}
