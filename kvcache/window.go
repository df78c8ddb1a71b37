package kvcache

import (
	"fmt"
	"math"

	"kvasir/platform"
)

// This file is about layers with a window: which of their planes a path needs, and what is left of a path without some.
//
// A query at position p sees the positions from p-window+1 on. A sequence of n positions will only be asked by queries at n and
// later: of blocks that end before n-window+1 it needs the planes of global layers alone. The others may be given back
// (window_punch.go); such a block is windowless.

// seenFrom returns the first block of which a query at position n or later sees a windowed plane.
func (lay *layout) seenFrom(n int) int {
	if lay.window == 0 {
		return math.MaxInt
	}
	return max(n-lay.window+1, 0) / BlockTokens
}

// kept returns how many tokens behind the window planes are kept all the same.
func (lay *layout) kept() int {
	if lay.state != nil {
		return keepTokens + keepForState
	}
	return keepTokens
}

// usable returns the largest length up to n at which a path can go on, when has says which blocks have their windowed planes.
func (lay *layout) usable(n int, has func(block int) bool) int {
	for {
		first, b := lay.seenFrom(n), (n-1)/BlockTokens
		for n > 0 && b >= first && has(b) {
			b--
		}
		if n == 0 || b < first {
			return n
		}
		n = b * BlockTokens // every length between needs this block too
	}
}

// usable returns the largest length up to n to which the sequence can go back.
func (q *Sequence) usable(n int) int {
	return q.ns.lay.usable(n, func(b int) bool { return !q.entries[b].windowless })
}

// errWindow: rows of windowed layers were asked for that are not there. The engine has no way to ask: Match, Truncate and Reserve
// leave no sequence that would need them.
type errWindow struct{ layer, block int }

func (e errWindow) Error() string {
	return fmt.Sprintf("kv block %d: planes of windowed layer %d are not there", e.block, e.layer)
}

// mark says, in the header too, that other paths may go on from inside a pinned block.
func (n *Namespace) mark(b *block) {
	if n.lay.hole.n == 0 {
		return
	}
	if n.disk != nil {
		n.disk.syncMu.Lock()
		defer n.disk.syncMu.Unlock()
	}
	n.mu.Lock()
	if b = n.node(b); b == nil || b.marked {
		n.mu.Unlock()
		return
	}
	b.marked = true // who stores it meanwhile looks again when he has set b.seg
	b.holds++
	n.mu.Unlock()
	n.storeMark(b)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.unhold(b)
}

// markLate writes the mark of a block that was set while the block was being stored: mark did not find it on disk yet.
func (n *Namespace) markLate(b *block) {
	n.disk.syncMu.Lock()
	defer n.disk.syncMu.Unlock()
	n.storeMark(b)
}

// storeMark writes the mark of a block, which is held or pinned, to its header if it is stored. Needs syncMu.
func (n *Namespace) storeMark(b *block) {
	n.mu.Lock()
	stored := b.seg != nil && !b.seg.failed && n.disk.writable()
	n.mu.Unlock()
	if !stored || n.writeFlags(b) != nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	b.seg.unsynced = append(b.seg.unsynced, b)
}

// giveBack frees the memory of windowed planes that no query of this sequence sees any more, of blocks that are in memory for good
// and that no other sequence holds. Truncate behind them then ends at an earlier place.
func (q *Sequence) giveBack() {
	n := q.ns
	if n.lay.hole.n == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range min(n.lay.seenFrom(len(q.ids)-n.lay.kept()), len(q.entries)) {
		e := &q.entries[i]
		if e.windowless || e.block == nil || e.block.seg != nil || e.block.refs > 1 {
			continue
		}
		if platform.Discard(e.data[n.lay.hole.off:][:n.lay.hole.n]) != nil {
			return
		}
		e.windowless, e.block.windowless = true, true
	}
}
