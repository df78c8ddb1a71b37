package kvcache

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"kvasir/platform/vfs"
)

// Scrubbed says what became of the rows of a session that was removed.
type Scrubbed struct {
	Blocks int   // overwritten
	Bytes  int64 // of their slots
	Kept   int   // blocks that another session or a running sequence uses, that are pinned, or that have others behind them which stay
	Why    error // why rows stay that should not: the journal did not say all, or the store is not ours to write; nil if none do
}

// RemoveRows deletes a session as Remove does, and before that the rows that it alone uses, also those of turns that it had
// forgotten: they leave the store, and their slots are overwritten. Blocks that another session, a pin or a block of somebody else's
// needs stay. If the store is used by another process, or cannot be written, the session is removed all the same, and Why says so; its
// pin goes with the next Collect.
// After any other error the session is there as before but for its pin, and the removal can be repeated; or, as with Remove, only its text
// could not be overwritten.
func (s *Sessions) RemoveRows(name string, store *Store) (Scrubbed, error) {
	return s.removeWith(name, store, false)
}

// RemoveUnpinned deletes a session as Remove does, and its pin: its rows stay until they are evicted.
func (s *Sessions) RemoveUnpinned(name string, store *Store) (Scrubbed, error) {
	return s.removeWith(name, store, true)
}

func (s *Sessions) removeWith(name string, store *Store, keep bool) (Scrubbed, error) {
	var done Scrubbed
	f, err := s.openToRemove(name)
	if err != nil {
		return done, err
	}
	if done, err = s.scrub(f, name, store, keep); err == nil {
		err = s.erase(f, s.path(name))
	}
	if err != nil {
		return done, errors.Join(fmt.Errorf("session %q: %w", name, err), f.Close())
	}
	return done, nil
}

// scrub removes the rows of the session whose locked journal is f.
func (s *Sessions) scrub(f vfs.File, name string, store *Store, keep bool) (done Scrubbed, err error) {
	if st := store.Status(); st.Mode != OnDisk {
		done.Why = st.Reason
		return done, nil
	}
	c, err := s.read(f, name)
	if errors.Is(err, ErrJournal) {
		done.Why = err
		return done, nil
	}
	if err != nil {
		return done, err
	}
	if len(c.Gaps) > 0 {
		done.Why = fmt.Errorf("%w: %d gaps hide which rows were behind them", ErrJournal, len(c.Gaps))
	}
	stored, err := store.Stored()
	if err != nil {
		return done, err
	}
	var spaces []*Namespace
	for _, st := range stored {
		if st.Err != nil || st.Fingerprint != c.Model.Fingerprint {
			continue
		}
		n, err := store.Namespace(st.Fingerprint, st.Inputs, st.Geometry)
		if err != nil {
			return done, err
		}
		if n.disk == nil {
			done.Why = store.Status().Reason
			continue
		}
		if err := n.Unpin(SessionPin(name)); err != nil && !errors.Is(err, ErrNoPin) && !errors.Is(err, ErrNotDurable) {
			return done, err
		}
		spaces = append(spaces, n)
	}
	if keep {
		return done, nil
	}
	used := map[*block]bool{}
	err = s.Scan(func(_ SessionInfo, other *Conversation) error {
		if other != nil && other.Name != c.Name && other.Model.Fingerprint == c.Model.Fingerprint {
			for _, n := range spaces {
				n.mu.Lock()
				n.along(other.IDs(), func(b *block) { used[b] = true })
				n.mu.Unlock()
			}
		}
		return nil
	})
	for _, n := range spaces {
		if err == nil {
			err = n.scrub(trailOf(c, rootHash(n.fp, n.lay.recipeHash, nil)), used, &done)
		}
	}
	return done, err
}

// scrub takes the blocks of a trail out of the index, but for those that others need, and overwrites their slots and what free slots
// still hold of the trail: the tails that a longer block has replaced, and what was evicted.
func (n *Namespace) scrub(gone trail, used map[*block]bool, done *Scrubbed) error {
	victims, states, kept := n.takeOut(gone, used)
	stale, err := n.takeFree(gone)
	wiped := make([]place, 0, len(victims)+len(states)+len(stale))
	for _, b := range victims {
		wiped = append(wiped, place{b.seg, b.slot})
	}
	for _, s := range states {
		wiped = append(wiped, place{s.seg, s.slot})
	}
	wiped = append(wiped, stale...)
	// Payloads before headers, and synced: whatever happens, what a header still names can be removed again.
	for _, wipe := range []func(place) error{n.wipePayload, n.wipeHeader} {
		for i := 0; i < len(wiped) && err == nil; i++ {
			err = wipe(wiped[i])
		}
		if err == nil {
			err = n.syncAll(wiped)
		}
	}
	done.Kept += kept
	if err == nil {
		done.Blocks += len(victims)
		done.Bytes += int64(len(victims)) * int64(n.lay.slotBytes)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, b := range victims {
		n.unpin(b) // now its slot may be taken
	}
	for _, s := range states {
		if s.reading--; s.reading == 0 {
			n.freeState(s)
		}
	}
	for _, p := range stale {
		p.seg.release(p.slot)
	}
	return err
}

// place is a slot of a segment.
type place struct {
	seg  *segment
	slot uint32
}

// takeOut drops the blocks of a trail that nobody needs, the deepest first, and the snapshots behind them and inside blocks of the trail, unless
// a block that stays has their tokens; it returns them pinned.
func (n *Namespace) takeOut(gone trail, used map[*block]bool) (victims []*block, states []*state, kept int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []*block
	for _, b := range n.blocks {
		if b.seg != nil && gone.has(&b.parent.hash, b.ids) {
			all = append(all, b)
		}
	}
	slices.SortFunc(all, func(a, b *block) int {
		if a.firstPos != b.firstPos {
			return b.firstPos - a.firstPos
		}
		return cmp.Compare(a.seq, b.seq)
	})
	for _, b := range all {
		if used[b] || b.refs > 0 || b.kept > 0 || len(b.children) > 0 {
			kept++
			continue
		}
		n.pin(b)
		if old := b.replaces; old != nil { // the same rows, kept until b is durable
			b.replaces = nil
			n.pin(old)
			n.unhold(old)
			victims = append(victims, old)
		}
		states = append(states, n.takeStates(b.states)...)
		n.drop(b)
		victims = append(victims, b)
	}
	var inside []*state
	for _, s := range n.states {
		if len(s.ids) > 0 && gone.has(&s.parent.hash, s.ids) && !s.covered() {
			inside = append(inside, s)
		}
	}
	slices.SortFunc(inside, func(a, b *state) int { return cmp.Compare(a.seq, b.seq) })
	return victims, append(states, n.takeStates(inside)...), kept
}

// covered reports whether the tokens of a snapshot begin a block of the index. Needs Namespace.mu.
func (s *state) covered() bool {
	return slices.ContainsFunc(s.parent.children, func(c *block) bool { return commonPrefix(c.ids, s.ids) == len(s.ids) })
}

// takeStates drops snapshots and returns those on disk, so that their slots are not taken yet. Needs n.mu.
func (n *Namespace) takeStates(all []*state) (taken []*state) {
	for _, s := range slices.Clone(all) {
		if s.seg != nil {
			s.reading++
			taken = append(taken, s)
		}
		n.dropState(s)
	}
	return taken
}

// takeFree takes the free slots whose headers are those of blocks of the trail, or of nothing that could be told: torn ones, also by an
// earlier removal.
func (n *Namespace) takeFree(gone trail) ([]place, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var taken []place
	header := make([]byte, headerBytes)
	for _, seg := range slices.Concat(n.disk.segments, n.disk.states) {
		lay := n.lay
		if _, states := stateSegmentNumber(seg.name); states {
			lay = lay.state
		}
		for _, free := range []*[]uint32{&seg.free, &seg.hollow} {
			var left []uint32
			for i, slot := range *free {
				if _, err := seg.file.ReadAt(header, headerTableOff+int64(slot)*headerBytes); err != nil {
					*free = append(left, (*free)[i:]...)
					return taken, fmt.Errorf("segment %s: %w", seg.name, err)
				}
				h, err := decodeSlotHeader(header, lay, seg.uuid, slot)
				if err == nil && gone.has(&h.parent, h.ids) || err != nil && !allZero(header) {
					taken = append(taken, place{seg, slot})
				} else {
					left = append(left, slot)
				}
			}
			*free = left
		}
	}
	return taken, nil
}

func allZero(b []byte) bool {
	for ; len(b) > journalExtent; b = b[journalExtent:] {
		if !bytes.Equal(b[:journalExtent], journalZeros[:]) {
			return false
		}
	}
	return bytes.Equal(b, journalZeros[:len(b)])
}

func (n *Namespace) wipeHeader(p place) error {
	return p.wipe(func() error {
		_, err := p.seg.file.WriteAt(make([]byte, headerBytes), headerTableOff+int64(p.slot)*headerBytes)
		return err
	})
}

// wipePayload gives the space of a slot up and takes it again: then it reads as zeros. What has a hole becomes one as a whole.
func (n *Namespace) wipePayload(p place) error {
	n.mu.Lock()
	hole := p.seg.holes[p.slot]
	n.mu.Unlock()
	if hole.n > 0 {
		return n.hollowOut(p.seg, p.slot, hole)
	}
	return p.wipe(func() error {
		off, size := p.seg.slotOff(p.slot), int64(p.seg.slotBytes)
		err := p.seg.file.Punch(off, size)
		if errors.Is(err, vfs.ErrUnsupported) {
			_, err = p.seg.file.WriteAt(make([]byte, size), off)
		} else if err == nil {
			_ = p.seg.file.Fallocate(off, size) // without it a later block may find no space: then it stays in memory
		}
		return err
	})
}

func (p place) wipe(write func() error) error {
	if err := p.seg.punch(write); err != nil {
		return fmt.Errorf("segment %s: overwrite slot %d: %w", p.seg.name, p.slot, err)
	}
	return nil
}

// syncAll makes what was done to these slots durable.
func (n *Namespace) syncAll(places []place) error {
	n.mu.Lock()
	for _, p := range places {
		p.seg.dirty = true
	}
	n.mu.Unlock()
	return n.sync()
}
