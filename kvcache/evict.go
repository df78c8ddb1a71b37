package kvcache

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"kvasir/internal/failpoint"
)

// tick returns the time of a use in Unix milliseconds; it never goes back, whatever the clock does.
func (s *Store) tick() int64 {
	now := s.opt.Now().UnixMilli()
	for {
		last := s.lastUse.Load()
		if now <= last {
			return last
		}
		if s.lastUse.CompareAndSwap(last, now) {
			return now
		}
	}
}

// idle puts a stored block that nobody holds to the front of the list, unless it is pinned. Needs n.mu.
func (n *Namespace) idle(b *block) {
	b.used = n.disk.store.tick()
	if b.kept == 0 {
		n.lru.push(b)
	}
}

// makeRoom evicts what was used least recently so that n may find a slot, which it did not for that cause, and reports whether it did:
// a leaf of n, whose slot is free at once, or, unless n has not even tried for space, a segment of another namespace
// or of n's snapshots.
func (s *Store) makeRoom(n *Namespace, cause error) bool {
	s.evictMu.Lock()
	defer s.evictMu.Unlock()
	own, have := n.oldest()
	if cause != errFullNow && s.removeOlder(n.lay, n, own, have, cause) {
		n.disk.full.Store(false)
		return true
	}
	return n.evict()
}

// makeStateRoom is makeRoom for a snapshot of n: what may go is another snapshot of n, or a whole segment, of its own rows too. Rows
// without a snapshot behind them are of no use after a restart, so that rows that came first do not keep the first snapshot out.
func (s *Store) makeStateRoom(n *Namespace, cause error) bool {
	s.evictMu.Lock()
	defer s.evictMu.Unlock()
	own, have := n.oldestState()
	return s.removeOlder(n.lay.state, nil, own, have, cause) || n.evictState()
}

// removeOlder removes the segment, of any but the rows of one namespace, that was used longest ago, if there is nothing of the caller's own that was
// used before it, if a segment of this layout then has room, and if what was removed before has helped. It reports whether it did.
// Needs evictMu.
func (s *Store) removeOlder(lay *layout, but *Namespace, own int64, have bool, cause error) bool {
	room, ok := s.mayRemove(lay, cause)
	if !ok || !s.couldHold(lay) {
		return false
	}
	v := s.oldestSegment(but)
	if v.seg == nil || have && v.used >= own {
		return false
	}
	err := v.ns.removeSegment(v.seg)
	if err != nil && !errors.Is(err, errSegmentUsed) {
		v.ns.disk.fail(err)
	}
	if err == nil {
		s.noteRemoved(v.bytes, room)
	}
	return err == nil
}

// oldest returns when the least recently used leaf that may be evicted was used.
func (n *Namespace) oldest() (used int64, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lru.back == nil {
		return 0, false
	}
	return n.lru.back.used, true
}

// evict drops the least recently used leaf that nobody holds.
func (n *Namespace) evict() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for b := n.lru.back; b != nil; b = b.prev {
		leaf := b
		for len(leaf.children) > 0 { // see touch
			leaf = leaf.children[0]
		}
		if leaf.refs == 0 && leaf.kept == 0 {
			n.stats.evicted.Add(1)
			n.losses.left(leaf, Evicted)
			n.drop(leaf)
			return true
		}
	}
	return false
}

// couldHold reports whether a block of this layout would have room if everything else went: otherwise nothing needs to go.
func (s *Store) couldHold(lay *layout) bool {
	space, err := s.space()
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return newSegmentSlots(lay, min(s.opt.MaxBytes, space.Free-max(s.opt.MinFree, 0)+s.used)) > 0
}

// candidate is a segment that could go.
type candidate struct {
	ns   *Namespace
	seg  *segment
	used int64 // the last use of any of its blocks

	empty bool
	bytes int64 // what its file occupies
}

// oldestSegment returns the segment whose blocks, or snapshots, were all used longest ago: all that must go with them was used no later,
// since a block counts as used when one below it is. Of one namespace, for whose rows the room is, only segments of snapshots may go.
func (s *Store) oldestSegment(but *Namespace) candidate {
	var best candidate
	for _, n := range s.all() {
		if n.disk == nil || n.disk.broken.Load() {
			continue
		}
		if c := n.oldestSegment(n == but); c.seg != nil && (best.seg == nil || c.used < best.used) {
			best = c
		}
	}
	return best
}

// oldestSegment is that of one namespace. forRows: only segments of snapshots, and none with one whose path a sequence holds, which needs it to
// be taken up again; behind no block at all it saves less than a block, so that does not count.
func (n *Namespace) oldestSegment(forRows bool) candidate {
	n.mu.Lock()
	defer n.mu.Unlock()
	best := candidate{ns: n}
	older := func(used int64, seg *segment) bool {
		return best.seg == nil || used < best.used || used == best.used && seg.name < best.seg.name
	}
	if !forRows {
		for seg, u := range n.segmentUses() {
			if u.free(seg) && older(u.used, seg) {
				best.seg, best.used, best.empty = seg, u.used, len(u.blocks) == 0
				best.bytes = seg.occupied(n.lay)
			}
		}
	}
	for _, seg := range n.disk.states {
		used, held, free := n.stateSegmentUse(seg)
		if free && older(used, seg) && !(forRows && n.holdsPathOf(seg)) {
			best.seg, best.used, best.empty, best.bytes = seg, used, held == 0, segmentBytes(n.lay.state, seg.slotCount)
		}
	}
	return best
}

// holdsPathOf reports whether a sequence holds the block before a snapshot of a segment. Needs n.mu.
func (n *Namespace) holdsPathOf(seg *segment) bool {
	for _, s := range n.states {
		if s.seg == seg && s.parent.ids != nil && s.parent.refs > 0 {
			return true
		}
	}
	return false
}

// segmentUse is what the index says of the slots of a segment.
type segmentUse struct {
	blocks []*block
	used   int64
	held   bool // by a sequence, or pinned
}

// free reports whether a segment may be removed: nobody holds a block of it, none is being written, no sync of it failed.
func (u *segmentUse) free(seg *segment) bool {
	return !u.held && !seg.failed && len(u.blocks)+len(seg.free)+len(seg.hollow) == seg.slotCount
}

// segmentUses looks through the index. Needs n.mu.
func (n *Namespace) segmentUses() map[*segment]*segmentUse {
	uses := make(map[*segment]*segmentUse, len(n.disk.segments))
	for _, seg := range n.disk.segments {
		uses[seg] = &segmentUse{}
	}
	for _, b := range n.blocks {
		if u := uses[b.seg]; u != nil {
			u.blocks = append(u.blocks, b)
			u.used = max(u.used, b.used)
			u.held = u.held || b.refs > 0 || b.kept > 0 || b.holds > 0
		}
	}
	return uses
}

var errSegmentUsed = errors.New("segment in use")

// removeSegment evicts every block of a segment, and all below them, and removes its file. No mapping of it is in use then: a
// sequence holds the blocks that it reads. The removal is durable when it returns, so that room which is then filled is never
// taken twice. The error wraps errSegmentUsed if a block of it came into use.
func (n *Namespace) removeSegment(seg *segment) error {
	d := n.disk
	d.syncMu.Lock() // or its file could be closed under a sync
	defer d.syncMu.Unlock()
	if _, states := stateSegmentNumber(seg.name); states {
		return n.removeStateSegment(seg)
	}
	n.mu.Lock()
	u := n.segmentUses()[seg]
	if u == nil || !u.free(seg) {
		n.mu.Unlock()
		return fmt.Errorf("%s: %w", seg.name, errSegmentUsed)
	}
	before := len(n.blocks)
	slices.SortFunc(u.blocks, func(a, b *block) int { return cmp.Compare(a.seq, b.seq) }) // or slots were freed in another order each time
	for _, b := range u.blocks {
		n.losses.left(b, Evicted)
		n.drop(b)
	}
	n.stats.evicted.Add(uint64(before - len(n.blocks)))
	d.segments = slices.DeleteFunc(d.segments, func(s *segment) bool { return s == seg })
	bytes := seg.occupied(n.lay)
	n.mu.Unlock()

	failpoint.Here("evict: before the removal")
	if err := d.unlink(seg.name); err != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		d.segments = append(d.segments, seg) // empty, and of use
		return fmt.Errorf("segment %s: remove: %w", seg.name, err)
	}
	failpoint.Here("evict: removed")
	d.store.unclaim(bytes)
	return seg.close()
}

// unlink removes a file of the namespace, durably. Of a store that is only read nothing is removed.
func (d *disk) unlink(name string) error {
	if d.store.readOnly {
		return nil
	}
	if err := d.store.fs.Remove(filepath.Join(d.dir, name)); err != nil && !isNotExist(err) {
		return err
	}
	return d.store.fs.SyncDir(d.dir)
}

// all returns the namespaces of the store, after opening those on disk that were not asked for yet. What cannot be opened is not
// touched; its bytes count.
func (s *Store) all() []*Namespace {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.complete && !s.closed {
		s.complete = true
		stored, _ := s.Stored() // an unreadable directory: what is open is all there is
		for _, st := range stored {
			if st.Err != nil || s.open[namespaceID(st.Fingerprint, st.lay.recipeHash)] != nil {
				continue
			}
			if n, err := s.load(st.lay, st.Fingerprint, nil); err == nil {
				s.open[namespaceID(st.Fingerprint, st.lay.recipeHash)] = n
				s.namespaces = append(s.namespaces, n)
			}
		}
	}
	return slices.Clone(s.namespaces)
}

// Freed is what a store gave back.
type Freed struct {
	Segments int
	Blocks   int
	Bytes    int64
}

// shrink removes segments, those used longest ago first, until at most maxBytes are used and the free-space floor holds, or nothing
// more may go. Segments without a block go in any case.
func (s *Store) shrink(maxBytes int64) (Freed, error) {
	s.evictMu.Lock()
	defer s.evictMu.Unlock()
	space, err := s.space()
	if err != nil {
		return Freed{}, err
	}
	var freed Freed
	for {
		c := s.oldestSegment(nil)
		s.mu.Lock()
		fits := s.used <= maxBytes && space.Free+freed.Bytes >= s.opt.MinFree
		s.mu.Unlock()
		if c.seg == nil || fits && !c.empty {
			return freed, nil
		}
		blocks := c.ns.size()
		if err := c.ns.removeSegment(c.seg); errors.Is(err, errSegmentUsed) {
			continue // and no longer a candidate
		} else if err != nil {
			return freed, err
		}
		freed.Segments++
		freed.Blocks += blocks - c.ns.size()
		freed.Bytes += c.bytes
	}
}

// size returns the number of blocks in the index.
func (n *Namespace) size() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.blocks)
}
