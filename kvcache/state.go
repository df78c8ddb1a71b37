package kvcache

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"kvasir/platform"
)

// This file is about the state of recurrent layers. It is one value behind a whole path, so that it cannot be cut: to go on at n
// positions the rows of all n are needed, and a snapshot that was taken exactly there.

// state is one snapshot. It leaves the index with the block before it, or earlier. hash, ids, seq and crc never change; the rest is
// guarded by Namespace.mu.
type state struct {
	hash    Hash
	parent  *block  // the FULL block before it, or the root
	ids     []int32 // behind that: 0 to 63
	seq     uint64
	crc     uint32
	used    int64
	reading int // calls that read its slot
	dropped bool
	proven  bool // written or read by this process: of one that was only found, the header may be all that there is

	seg  *segment // nil: in memory only
	slot uint32
	ram  []byte
}

// pos returns the number of positions behind which it was taken.
func (s *state) pos() int { return s.parent.firstPos + len(s.parent.ids) + len(s.ids) }

// Bounds on the snapshots of a namespace that are not on disk; the one used last is kept whatever its size.
const (
	maxStatesInMemory     = 64
	maxStateBytesInMemory = 64 << 20
)

// PutState keeps a copy of data as the state behind the committed positions, so that Match and Truncate can come back to here. Where
// it cannot be stored it is kept in memory with a few others; that it is not kept at all is no error. The error wraps ErrClosed or
// ErrGeometry (the geometry has no state, or one of another size).
func (q *Sequence) PutState(data []byte) error {
	n := q.ns
	switch {
	case q.closed:
		return ErrClosed
	case n.lay.state == nil || len(data) != n.lay.state.payloadBytes:
		return fmt.Errorf("%w: state of %d bytes, want %d", ErrGeometry, len(data), n.lay.geometry.StateBytes)
	case len(q.ids) == 0:
		return nil // a path begins from nothing
	}
	b := len(q.ids) / BlockTokens
	n.putState(q.parent(b), q.ids[b*BlockTokens:], data)
	return nil
}

// State returns the snapshot to go on from, where the last Match, Truncate or loss of rows came back to one: read-only, valid until
// the next call that changes the sequence. Otherwise it returns nil: the state that the caller has holds, or, if Len is 0, none.
func (q *Sequence) State() []byte {
	if !q.restored {
		return nil
	}
	return q.state
}

// restore looks for the snapshot behind most positions, more than above and at most limit, at which the sequence could go on, and copies
// it to scratch: the sequence is not changed. It returns how many positions that are; above if there is none.
func (q *Sequence) restore(above, limit int) int {
	n := q.ns
	if !q.restored && q.state != nil { // nobody reads it
		q.state, q.scratch = nil, q.state
	}
	for b := limit / BlockTokens; b >= 0 && (b+1)*BlockTokens > above; b-- {
		for _, s := range n.statesBehind(q.parent(b), q.ids[b*BlockTokens:limit]) {
			at := b*BlockTokens + len(s.ids)
			if at <= above || q.usable(at) < at {
				continue
			}
			if q.scratch == nil {
				q.scratch = make([]byte, n.lay.state.payloadBytes)
			}
			if n.readState(s, q.scratch) {
				return at
			}
		}
	}
	return above
}

// goBack truncates the sequence to n positions, or to the nearest place before them to which it can go back, and restores the state there.
func (q *Sequence) goBack(n int) error {
	at := q.restore(0, n)
	ids := slices.Clone(q.ids[:n])
	if err := q.truncate(at); err != nil {
		var lost *LostError
		if errors.As(err, &lost) { // it has gone back further, to a state of its own
			lost.IDs = ids[len(q.ids):]
		}
		return err
	}
	q.adopt(at)
	if at < n {
		return &LostError{IDs: ids[at:], Cause: errNoState}
	}
	return nil
}

// adopt makes what restore has read the state of the sequence, which now ends at that position.
func (q *Sequence) adopt(at int) {
	if q.restored = at > 0; q.restored {
		q.state, q.scratch = q.scratch, nil
	}
}

// settle ends a Match: rows that go further than any state are of no use. own is where the sequence ended if that is still part of its
// path, else negative; there the caller's own state holds, unless restored.
func (q *Sequence) settle(own int, restored bool) error {
	at := q.restore(max(own, 0), len(q.ids))
	callers := at == max(own, 0) && own >= 0 && !restored && q.usable(own) == own
	if at == max(own, 0) && !callers {
		at = q.restore(0, at)
	}
	err := q.truncate(at)
	switch {
	case err == nil && !callers:
		q.adopt(at)
	case errors.Is(err, ErrNoMemory): // there is no state for where it ends
		err = errors.Join(err, q.truncate(0))
	case errors.Is(err, ErrLost): // it has gone back further, to a state of its own
		return nil
	}
	return err
}

// putState adds a snapshot to the index, if its path is there and it is not.
func (n *Namespace) putState(parent *block, ids []int32, data []byte) {
	h := stateHash(&parent.hash, ids)
	n.mu.Lock()
	node := n.node(parent)
	known := n.states[h]
	if known != nil {
		known.used = n.tick()
	}
	there := known != nil && (known.proven || known.ram != nil)
	stored := node != nil && node.takesStates()
	n.mu.Unlock()
	if there {
		_ = n.storeStateLate(known) // else it stays where it is
	}
	if node == nil || there || known != nil && n.proveState(known) {
		return
	}
	s := &state{hash: h, parent: node, ids: slices.Clone(ids)}
	if !stored || n.storeState(s, data) != nil {
		ram, err := platform.MapAnonymous(len(data))
		if err != nil {
			return
		}
		copy(ram, data)
		s.ram = ram
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if node = n.node(parent); node == nil || n.states[h] != nil {
		n.disownState(s)
		return
	}
	s.parent, s.used = node, n.tick()
	n.insertState(s)
	if s.ram != nil {
		n.limitStates()
	}
}

// storeStates stores the snapshots of the path that are in memory only, now that the blocks before them are stored.
func (q *Sequence) storeStates() {
	n := q.ns
	n.mu.Lock()
	any := false
	for _, s := range n.states {
		any = any || s.ram != nil
	}
	n.mu.Unlock()
	for b := 0; any && b*BlockTokens <= len(q.ids); b++ {
		for _, s := range slices.Backward(n.statesBehind(q.parent(b), q.ids[b*BlockTokens:])) {
			if n.storeStateLate(s) != nil {
				return
			}
		}
	}
}

// storeStateLate stores a snapshot of the index that is in memory only, if its block is stored. Otherwise it does nothing.
func (n *Namespace) storeStateLate(s *state) error {
	n.mu.Lock()
	if s.dropped || s.ram == nil || s.reading > 0 || !s.parent.takesStates() { // reading: another call is at it
		n.mu.Unlock()
		return nil
	}
	s.reading++ // keeps the memory
	s.used = n.tick()
	n.mu.Unlock()
	err := n.storeState(s, s.ram)
	n.mu.Lock()
	defer n.mu.Unlock()
	switch s.reading--; {
	case s.dropped && s.reading == 0:
		n.disownState(s)
	case err == nil:
		_ = platform.Unmap(s.ram) // fails only for a slice that is not a mapping of ours
		s.ram = nil
	}
	return err
}

// takesStates reports whether snapshots behind a block may be stored. Needs Namespace.mu.
func (b *block) takesStates() bool { return b.ids == nil || b.seg != nil && !b.dropped }

// disownState gives back what a snapshot occupies that is not in the index, and of which the next process is to find nothing. Needs n.mu.
func (n *Namespace) disownState(s *state) {
	if s.seg != nil {
		s.seg.disown(s.slot)
		s.seg = nil
	}
	n.freeState(s)
}

// tick returns the time of a use.
func (n *Namespace) tick() int64 {
	if n.disk != nil {
		return n.disk.store.tick()
	}
	n.nUses++
	return n.nUses
}

// insertState needs n.mu.
func (n *Namespace) insertState(s *state) {
	n.states[s.hash] = s
	s.parent.states = append(s.parent.states, s)
}

// limitStates drops snapshots that are in memory only, those used longest ago, until few enough are left. Needs n.mu.
func (n *Namespace) limitStates() {
	for {
		var oldest *state
		inMemory, bytesInMemory := 0, 0
		for _, s := range n.states {
			if s.ram == nil {
				continue
			}
			inMemory++
			bytesInMemory += len(s.ram)
			if oldest == nil || cmp.Or(cmp.Compare(s.used, oldest.used), cmp.Compare(s.pos(), oldest.pos()), bytes.Compare(s.hash[:], oldest.hash[:])) < 0 {
				oldest = s
			}
		}
		if inMemory <= maxStatesInMemory && bytesInMemory <= maxStateBytesInMemory || inMemory <= 1 {
			return
		}
		n.dropState(oldest)
	}
}

// dropState takes a snapshot out of the index. Needs n.mu.
func (n *Namespace) dropState(s *state) {
	if s.dropped {
		return
	}
	s.dropped = true
	delete(n.states, s.hash)
	if i := slices.Index(s.parent.states, s); i >= 0 {
		s.parent.states = slices.Delete(s.parent.states, i, i+1)
	}
	n.forgetRoot(s.parent)
	if s.reading == 0 {
		n.freeState(s)
	}
}

// freeState gives back what a snapshot that is not in the index occupies. Needs n.mu.
func (n *Namespace) freeState(s *state) {
	if s.seg != nil {
		s.seg.release(s.slot)
		s.seg = nil
	}
	if s.ram != nil {
		_ = platform.Unmap(s.ram) // fails only for a slice that is not a mapping of ours
		s.ram = nil
	}
}

// moveStates gives the snapshots behind a block to another one that takes its place. Needs n.mu.
func (n *Namespace) moveStates(from, to *block) {
	to.states, from.states = from.states, nil
	for _, s := range to.states {
		s.parent = to
	}
}

// statesBehind returns the snapshots behind parent whose path begins ids, the longest first.
func (n *Namespace) statesBehind(parent *block, ids []int32) []*state {
	n.mu.Lock()
	defer n.mu.Unlock()
	node := n.node(parent)
	if node == nil {
		return nil
	}
	var found []*state
	for _, s := range node.states {
		if len(s.ids) <= len(ids) && commonPrefix(s.ids, ids) == len(s.ids) {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b *state) int { return cmp.Compare(len(b.ids), len(a.ids)) })
	return found
}
