package kvcache

import (
	"errors"

	"kvasir/internal/failpoint"
)

// Flush stores what can be: blocks and snapshots that found no room before, the tail as a PACKED block, and makes everything written so far
// durable. The caller decides when: some seconds after the end of a turn, and before it ends. What cannot be stored stays in memory,
// where the sequence goes on; the error says why and is for information. Where another path has gone on from the end, the end is kept for this
// one all the same (see Keep). Then it gives back planes that no window reaches any more:
// on the disk those of blocks that nobody holds, in a namespace without a disk, where it does nothing else, those of its own.
func (q *Sequence) Flush() error {
	if q.closed {
		return ErrClosed
	}
	n := q.ns
	if n.disk == nil || n.disk.store.readOnly || n.disk.broken.Load() {
		q.giveBack()
		return nil
	}
	n.disk.full.Store(false)
	failpoint.Here("flush: before the tail")
	err := q.storeLate()
	if err == nil {
		err = q.storeTail()
		q.storeStates() // what fails stays in memory, as of PutState
	}
	failpoint.Here("flush: before the sync")
	if err = errors.Join(err, n.sync()); err == nil {
		_, err = n.punchWindows()
	}
	n.refreshHints()
	return err
}

// storeLate writes sealed blocks of the path that are in memory only, parents first.
func (q *Sequence) storeLate() error {
	n := q.ns
	for i := range q.entries {
		e := &q.entries[i]
		if e.block == nil {
			break
		}
		n.mu.Lock()
		pending := e.block.seg == nil && !e.block.dropped
		late := &block{
			hash: e.block.hash, parent: e.block.parent, ids: e.block.ids, firstPos: e.block.firstPos, windowless: e.windowless, marked: e.block.marked,
		}
		n.mu.Unlock()
		if !pending {
			continue
		}
		if err := n.store(late, e.data[:n.lay.payloadBytes]); err != nil {
			return err
		}
		n.stats.stored.Add(1)
		n.mu.Lock()
		b := e.block
		remark := false
		if b.seg == nil && !b.dropped {
			// The rows in memory stay what its holders see; the slot serves those who come when they are gone.
			b.crcs, b.seq, b.seg, b.slot = late.crcs, late.seq, late.seg, late.slot
			b.verified.Store(late.verified.Load())
			b.seg.unsynced = append(b.seg.unsynced, b)
			n.dropCovered(b)
			remark = b.marked && !late.marked // while we wrote
		} else {
			late.seg.disown(late.slot)
		}
		n.mu.Unlock()
		if remark {
			n.markLate(b)
		}
	}
	return nil
}

// storeTail writes the committed positions behind the last full block, unless a stored block begins with them. Where a path in the index goes
// on from the end, or Keep was called there, it marks the block at the end: what is flushed is to be taken up again.
func (q *Sequence) storeTail() error {
	n := q.ns
	at := len(q.ids) / BlockTokens * BlockTokens
	ids := q.ids[at:]
	parent := q.parent(at / BlockTokens)
	if len(ids) == 0 {
		if n.goesOn(parent) {
			n.mark(parent)
		}
		return nil
	}
	for covered := true; covered; {
		b, length := n.bestChild(parent, ids)
		if b == nil {
			break
		}
		n.mu.Lock()
		covered = b.seg != nil && length == len(ids)
		n.mu.Unlock()
		if covered && !n.proven(b) { // it has left the index, or has not all planes any more
			n.release(b)
			continue
		}
		if covered && (q.keepAt > at || len(b.ids) > len(ids)) {
			n.mark(b)
		}
		n.release(b)
		if covered {
			return nil
		}
	}
	buf, err := n.getBuffer()
	if err != nil {
		return err
	}
	defer n.putBuffer(buf)
	n.lay.pack(buf, q.entries[at/BlockTokens].data, len(ids))
	b := &block{hash: pathHash(&parent.hash, ids), parent: parent, ids: append([]int32(nil), ids...), firstPos: at}
	n.mu.Lock()
	b.marked = q.keepAt > at || n.markedLike(b)
	n.mu.Unlock()
	if err := n.store(b, buf[:len(ids)*n.lay.tokenBytes]); err != nil {
		return err
	}
	n.stats.packed.Add(1)
	if n.enterTail(parent, b) {
		n.mark(b)
	}
	return nil
}

// enterTail puts a tail that has just been stored into the index, and reports whether one whose place it takes was marked meanwhile.
func (n *Namespace) enterTail(parent, b *block) (remark bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	node := n.node(parent)
	if node == nil || n.blocks[b.hash] != nil {
		b.seg.disown(b.slot)
		return false
	}
	b.parent = node
	remark = !b.marked && n.markedLike(b)
	n.insert(b)
	n.dropCovered(b)
	n.touch(b)
	b.seg.unsynced = append(b.seg.unsynced, b)
	return remark
}

// goesOn reports whether something stands behind a block in the index.
func (n *Namespace) goesOn(b *block) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	node := n.node(b)
	return node != nil && node.ids != nil && len(node.children) > 0
}

// proven reports whether a pinned stored block is whole: of one that an earlier process left, the header may be all that there is. One that
// is not leaves the index, or loses its windowed planes.
func (n *Namespace) proven(b *block) bool {
	if b.trusted() {
		return true
	}
	buf, err := n.getBuffer()
	if err != nil {
		return true // who is to use it will see
	}
	defer n.putBuffer(buf)
	err = n.readChecked(b, buf)
	if err != nil {
		n.forget(b)
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return !b.windowless
}
