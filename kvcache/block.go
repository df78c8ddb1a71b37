package kvcache

import (
	"hash/crc32"
	"slices"
	"sync/atomic"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// block is one node of the index: 64 tokens (FULL), 1 to 63 (PACKED), or none (the root of a salt). All fields but
// verified are guarded by Namespace.mu; hash, ids, crcs and firstPos never change.
type block struct {
	hash     Hash
	parent   *block
	children []*block
	states   []*state // snapshots behind it
	ids      []int32
	firstPos int
	refs     int    // sequences whose path holds it, and calls that read it
	holds    int    // reasons not to give its slot away though nothing refers to it
	dropped  bool   // not in the index: nobody finds it, holders may go on using it
	seq      uint64 // write sequence number
	used     int64  // when it was let go last, in Unix milliseconds: not before anything below it
	kept     int    // durable pins whose path it is on
	crcs     []uint32

	windowless bool   // FULL: the planes of windowed layers are not there; never set while a sequence may read them
	marked     bool   // other paths may go on from inside: see Sequence.Keep
	keep       int    // scratch of punchable
	replaces   *block // held until this one is verified and synced: it has the same tokens and lacks windowed planes

	seg  *segment // nil: in memory only
	slot uint32
	ram  []byte // the rows in slot layout; nil: in the segment

	verified atomic.Uint32 // the generation of seg in which the payload's checksums were compared, or we wrote it; 0: in none

	prev, next *block // least-recently-used list
}

func (b *block) full() bool { return len(b.ids) == BlockTokens }

// blockList is the list of stored blocks that nobody holds or has pinned, most recent first. A path is released deepest block first, so a
// parent is nearer to the front than its children (see touch), and the back is a leaf.
type blockList struct{ front, back *block }

func (l *blockList) push(b *block) {
	l.remove(b)
	b.prev, b.next = nil, l.front
	if l.front != nil {
		l.front.prev = b
	} else {
		l.back = b
	}
	l.front = b
}

func (l *blockList) remove(b *block) {
	if b.prev == nil && l.front != b {
		return // not in the list
	}
	if b.prev != nil {
		b.prev.next = b.next
	} else {
		l.front = b.next
	}
	if b.next != nil {
		b.next.prev = b.prev
	} else {
		l.back = b.prev
	}
	b.prev, b.next = nil, nil
}

// insert puts b into the index below its parent.
func (n *Namespace) insert(b *block) {
	n.blocks[b.hash] = b
	b.parent.children = append(b.parent.children, b)
	n.repin(b)
}

// drop takes b and everything below it out of the index. Slots and buffers that nobody holds become free at once,
// the others when they are released.
func (n *Namespace) drop(b *block) {
	if b.dropped {
		return
	}
	if p := b.parent; p != nil {
		if i := slices.Index(p.children, b); i >= 0 {
			p.children = slices.Delete(p.children, i, i+1)
		}
		n.forgetRoot(p)
	}
	kept := false
	for work := []*block{b}; len(work) > 0; {
		b := work[len(work)-1]
		work = append(work[:len(work)-1], b.children...)
		b.children = nil
		for len(b.states) > 0 {
			n.dropState(b.states[len(b.states)-1])
		}
		b.dropped = true
		delete(n.blocks, b.hash)
		kept = kept || b.kept > 0
		if b.refs == 0 {
			n.reclaim(b)
		}
	}
	if kept {
		n.unkeep()
	}
}

// reclaim frees what a block in no list, no index and no hand occupies.
func (n *Namespace) reclaim(b *block) {
	n.lru.remove(b)
	if b.holds > 0 {
		return // unhold comes back
	}
	if b.replaces != nil {
		n.unhold(b.replaces)
		b.replaces = nil
	}
	if b.ram != nil {
		n.putBufferLocked(b.ram)
		b.ram = nil
	}
	if b.seg != nil {
		b.seg.release(b.slot)
		b.seg = nil
	}
}

// unhold takes one hold away. Needs n.mu.
func (n *Namespace) unhold(b *block) {
	if b.holds--; b.holds == 0 && b.dropped && b.refs == 0 {
		n.reclaim(b)
	}
}

// supersede puts b, which is stored, in the place of a block with the same tokens. Should b not reach the disk, the old one is what
// the paths below it stand on: its slot is kept until b is synced. Needs n.mu.
func (n *Namespace) supersede(old, b *block) {
	n.replace(old, b)
	b.replaces = old
	old.dropped = true
	old.holds++
	n.lru.remove(old)
}

// reinstate puts the block that b replaces back in its place: b is damaged, or its sync failed. Needs n.mu.
func (n *Namespace) reinstate(b *block) {
	old := b.replaces
	b.replaces = nil
	n.replace(b, old)
	old.dropped, b.dropped = false, true
	old.holds--
	n.touch(old)
	if b.refs == 0 {
		n.reclaim(b)
	}
}

// replace gives by the place of a block with the same tokens in the index: its parent, its children, its pins and its snapshots. Needs n.mu.
func (n *Namespace) replace(of, by *block) {
	by.parent, by.children, of.children = of.parent, of.children, nil
	for _, c := range by.children {
		c.parent = by
	}
	by.parent.children[slices.Index(by.parent.children, of)] = by
	n.blocks[by.hash] = by
	n.movePins(of, by)
	n.moveStates(of, by)
}

// forgetRoot removes a root that no block, no snapshot and no sequence uses.
func (n *Namespace) forgetRoot(b *block) {
	if b.ids == nil && b.refs == 0 && len(b.children) == 0 && len(b.states) == 0 {
		delete(n.roots, b.hash)
	}
}

// root returns the root node of a hash, making it if need be.
func (n *Namespace) root(h Hash) *block {
	r := n.roots[h]
	if r == nil {
		r = &block{hash: h}
		n.roots[h] = r
	}
	return r
}

// node returns what the index has under the hash of b, which may itself have been dropped.
func (n *Namespace) node(b *block) *block {
	if !b.dropped {
		return b
	}
	return n.blocks[b.hash]
}

func (n *Namespace) pin(b *block) {
	b.refs++
	n.lru.remove(b)
}

func (n *Namespace) unpin(b *block) {
	b.refs--
	if b.refs > 0 {
		return
	}
	switch {
	case b.ids == nil:
		n.forgetRoot(b)
	case b.dropped:
		n.reclaim(b)
	case b.seg == nil:
		n.drop(b)
	default:
		if b.ram != nil {
			n.putBufferLocked(b.ram)
			b.ram = nil
		}
		n.touch(b)
	}
}

// touch makes an unreferenced stored block the most recently used one. A path is released deepest block first; but the blocks
// before b are not of the path that b was released with where another sequence has put others in their place. They follow, up to
// one that is in use, so that the back of the list is a leaf but for rare cases. Needs n.mu.
func (n *Namespace) touch(b *block) {
	for ; b != nil && b.ids != nil && b.refs == 0 && !b.dropped; b = b.parent {
		n.lru.remove(b)
		n.idle(b)
	}
}

// find returns the indexed FULL block with these ids at firstPos below parent, pinned, or nil.
func (n *Namespace) find(parent *block, h Hash, ids []int32, firstPos int) *block {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := n.lookup(parent, h, ids, firstPos)
	if b != nil {
		n.pin(b)
	}
	return b
}

// lookup is find without the pin. Needs n.mu.
func (n *Namespace) lookup(parent *block, h Hash, ids []int32, firstPos int) *block {
	b := n.blocks[h]
	if b == nil || b.firstPos != firstPos || b.parent.hash != parent.hash || !slices.Equal(b.ids, ids) {
		return nil
	}
	return b
}

// bestChild returns the block below parent that has all its planes and shares the longest prefix with ids, pinned, and the
// length of the prefix; nil when none shares a token.
func (n *Namespace) bestChild(parent *block, ids []int32) (*block, int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	node := n.node(parent)
	if node == nil {
		return nil, 0
	}
	best, length := nearest(node, ids, func(b *block) bool { return !b.windowless })
	if length == 0 {
		return nil, 0
	}
	n.pin(best)
	return best, length
}

// commonPrefix returns how many leading elements a and b share.
func commonPrefix(a, b []int32) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
