package kvcache

import (
	"errors"
	"path/filepath"
	"slices"
	"time"

	"kvasir/platform"
	"kvasir/platform/vfs"
)

// Survey is what the KV store of a home holds, and the bounds it keeps to.
type Survey struct {
	Namespaces []NamespaceSurvey
	UsedBytes  int64 // of all segment files, also of those that cannot be used
	MaxBytes   int64 // the cap
	MinFree    int64 // the free-space floor
	DailyBytes int64 // what may be written in a day; negative: no bound
	Written    Written
	Space      platform.Space
}

// NamespaceSurvey is what one namespace holds.
type NamespaceSurvey struct {
	Stored
	Segments  int
	Blocks    int
	States    int   // snapshots of recurrent states
	Tokens    int   // in these blocks
	Bytes     int64 // of its segment files
	LiveBytes int64 // of these, in slots that hold a block
	LastUse   time.Time
	Pins      []Pin
	Pinned    int64   // bytes of the cap that pinned blocks take
	SetAside  []error // why files are not used, one for each
}

// Look surveys the store of a home. It takes no lock, changes nothing and reads headers only, so that it can run beside the
// process that writes: payloads are not verified, and what is being written may be missed. Of opt it uses the bounds. A
// home without a store is an empty one.
func Look(fsys vfs.FS, home string, opt Options) (*Survey, error) {
	s, err := glance(fsys, home, opt)
	if err != nil {
		return nil, err
	}
	v := &Survey{UsedBytes: s.used, MaxBytes: s.opt.MaxBytes, MinFree: max(s.opt.MinFree, 0), DailyBytes: s.ledger.limit, Written: s.ledger.written()}
	if v.Space, err = s.space(); err != nil {
		return nil, err
	}
	stored, err := s.Stored()
	if err != nil {
		return nil, err
	}
	for _, st := range stored {
		v.Namespaces = append(v.Namespaces, s.survey(st))
	}
	return v, nil
}

// glance is a store that is only read, without its lock.
func glance(fsys vfs.FS, home string, opt Options) (*Store, error) {
	s := newStore(fsys, home, opt)
	s.readOnly = true
	return s, s.prepare()
}

func (s *Store) survey(st Stored) NamespaceSurvey {
	v := NamespaceSurvey{Stored: st}
	dir := filepath.Join(s.kvDir(), st.Dir)
	v.Bytes, v.LastUse = s.segmentFiles(dir)
	if st.Err != nil {
		return v
	}
	n, err := s.load(st.lay, st.Fingerprint, nil)
	if err != nil {
		v.Err = err
		return v
	}
	defer n.closeFiles()
	v.Segments, v.Blocks, v.SetAside = len(n.disk.segments)+len(n.disk.states), len(n.blocks), n.disk.setAside
	for _, b := range n.blocks {
		v.Tokens += len(b.ids)
		v.LiveBytes += int64(n.lay.slotBytes - b.seg.holes[b.slot].n)
	}
	v.Pins = n.Pins()
	n.mu.Lock()
	defer n.mu.Unlock()
	v.Pinned = n.pinnedBytes()
	if back := n.lastUse(); !back.IsZero() {
		v.LastUse = back
	}
	if v.States = len(n.states); v.States > 0 {
		v.LiveBytes += int64(v.States) * int64(n.lay.state.slotBytes)
	}
	return v
}

// lastUse returns when any block was used last. Needs n.mu.
func (n *Namespace) lastUse() (at time.Time) {
	var last int64
	for _, b := range n.blocks {
		last = max(last, b.used)
	}
	if last > 0 {
		at = time.UnixMilli(last)
	}
	return at
}

// segmentFiles returns what the segment files in a directory occupy, and when the last of them was written.
func (s *Store) segmentFiles(dir string) (bytes int64, modified time.Time) {
	names, err := s.fs.ReadDir(dir)
	if err != nil {
		return 0, modified // not a directory, or not ours to read: nothing of it is counted or used
	}
	for _, name := range names {
		if info, err := s.fs.Stat(filepath.Join(dir, name)); err == nil && filepath.Ext(name) == ".seg" {
			bytes += allocated(info)
			if info.Modified.After(modified) {
				modified = info.Modified
			}
		}
	}
	return bytes, modified
}

// space returns what the file system of the home says of itself, or of where the home would be made.
func (s *Store) space() (platform.Space, error) {
	dir := s.home
	for {
		space, err := s.fs.Free(dir)
		parent := filepath.Dir(dir)
		if !isNotExist(err) || parent == dir {
			return space, err
		}
		dir = parent
	}
}

// closeFiles gives up the files of a namespace that nothing uses.
func (n *Namespace) closeFiles() error {
	if n.disk == nil {
		return nil
	}
	var errs []error
	for _, seg := range slices.Concat(n.disk.segments, n.disk.states) {
		errs = append(errs, seg.close())
	}
	n.disk.segments, n.disk.states = nil, nil
	return errors.Join(errs...)
}
