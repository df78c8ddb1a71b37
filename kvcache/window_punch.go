package kvcache

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"

	"kvasir/internal/failpoint"
)

const (
	// keepTokens is how far behind the window planes are kept all the same: a process that resumes has up to 64 tokens
	// less than the one that ended, and one token is always computed again.
	keepTokens = 2 * BlockTokens
	// keepForState comes on top where there is a state: it goes on at a snapshot, of which there should be one every 256 tokens.
	keepForState = 4 * BlockTokens
	// extentBytes is what a file system may count for keeping the list of a file's pieces.
	extentBytes = 64 << 10
	// punchBatch bounds what one pass does.
	punchBatch = 1024
)

// punchState is what a disk knows about giving space back.
type punchState struct {
	probed, unsupported bool
}

// punchWindows gives the space of windowed planes back that no path in the index needs to go on, of blocks that nobody holds, and
// returns how much that was. It does a bounded amount of work; where the file system cannot punch holes it does nothing.
// The order: the header says that the planes are gone, that is synced, the planes go.
func (n *Namespace) punchWindows() (freed int64, err error) {
	d := n.disk
	if d == nil || n.lay.hole.n == 0 || !d.writable() {
		return 0, nil
	}
	d.syncMu.Lock()
	defer d.syncMu.Unlock()
	n.mu.Lock()
	bySegment := map[*segment][]*block{}
	for _, b := range n.punchable(punchBatch) {
		b.holds++
		bySegment[b.seg] = append(bySegment[b.seg], b)
	}
	n.mu.Unlock()
	for _, seg := range slices.SortedFunc(maps.Keys(bySegment), func(a, b *segment) int { return cmp.Compare(a.name, b.name) }) {
		blocks := bySegment[seg]
		if err == nil && d.canPunch(seg) {
			var bytes int64
			bytes, err = n.punchSegment(seg, blocks)
			freed += bytes
		}
		n.mu.Lock()
		for _, b := range blocks {
			n.unhold(b)
		}
		n.mu.Unlock()
	}
	return freed, err
}

// canPunch tries once whether holes can be punched: behind the end of the file, where that changes nothing and takes no space. A hole
// left by a probe would later be taken for that of a block. Needs syncMu.
func (d *disk) canPunch(seg *segment) bool {
	if !d.punch.probed {
		d.punch.probed = true
		d.punch.unsupported = seg.punch(func() error {
			return seg.file.Punch(seg.slotOff(uint32(seg.slotCount)), headerBytes)
		}) != nil
	}
	return !d.punch.unsupported
}

// punchSegment punches held blocks of one segment. Needs syncMu.
func (n *Namespace) punchSegment(seg *segment, blocks []*block) (freed int64, err error) {
	d := n.disk
	n.mu.Lock()
	pending := seg.unsynced
	seg.unsynced = nil
	var taken []*block // in use by now, the others not
	for _, b := range blocks {
		if b.refs == 0 && !b.dropped {
			b.windowless = true
			taken = append(taken, b)
		}
	}
	n.mu.Unlock()
	for _, b := range taken {
		failpoint.Here("punch: before a header")
		if err = n.writeFlags(b); err != nil {
			break
		}
	}
	if err != nil {
		n.mu.Lock()
		seg.unsynced = append(seg.unsynced, pending...)
		n.mu.Unlock()
		return 0, err
	}
	if err := n.syncSegment(seg, pending); err != nil {
		return 0, err
	}
	failpoint.Here("punch: headers are synced")
	for _, b := range taken {
		if err = seg.punch(func() error {
			return seg.file.Punch(seg.slotOff(b.slot)+int64(n.lay.hole.off), int64(n.lay.hole.n))
		}); err != nil {
			err = fmt.Errorf("segment %s: punch slot %d: %w", seg.name, b.slot, err)
			n.writeFailed(seg, err)
			break
		}
		n.mu.Lock()
		seg.holes[b.slot] = n.lay.hole
		n.mu.Unlock()
		freed += int64(n.lay.hole.n)
		failpoint.Here("punch: a hole is made")
	}
	d.store.unclaim(freed)
	n.stats.punched.Add(uint64(freed))
	return freed, err
}

// writeFlags writes the flags of a stored block, which must not change meanwhile, to its header. Needs syncMu.
func (n *Namespace) writeFlags(b *block) error {
	var flags [1]byte
	n.mu.Lock()
	if !b.windowless {
		flags[0] |= flagWindowPlanes
	}
	if b.marked {
		flags[0] |= flagKeep
	}
	n.mu.Unlock()
	err := b.seg.write(func() error {
		_, err := b.seg.file.WriteAt(flags[:], headerTableOff+int64(b.slot)*headerBytes+flagsOff)
		return err
	})
	if err == nil {
		n.disk.store.wrote(headerBytes)
		return nil
	}
	err = fmt.Errorf("segment %s: write header of slot %d: %w", b.seg.name, b.slot, err)
	n.writeFailed(b.seg, err)
	return err
}

// punchable returns blocks, at most limit, whose windowed planes take space that no path needs: those with planes at least a
// window and layout.kept behind every place where a path goes on or may do so: its end, where two paths part, the end of a pinned one, and what is marked. A
// place that is not on the disk yet does not count: after a power cut the end would be an earlier one. Needs n.mu and syncMu.
func (n *Namespace) punchable(limit int) []*block {
	unsynced := map[*block]bool{}
	for _, seg := range n.disk.segments {
		for _, b := range seg.unsynced {
			unsynced[b] = true
		}
	}
	blocks := slices.SortedFunc(maps.Values(n.blocks), func(a, b *block) int {
		return cmp.Or(b.firstPos-a.firstPos, cmp.Compare(a.seq, b.seq))
	})
	const none, several = math.MaxInt, -1
	for _, b := range blocks {
		b.keep = none
	}
	pinned := n.pinnedEnds()
	var found []*block
	for _, b := range blocks { // children before parents
		end := b.firstPos + len(b.ids)
		switch {
		case b.keep == several:
			b.keep = end
		case b.keep == none && b.seg != nil && !unsynced[b]:
			b.keep = end
		}
		if at, ok := pinned[b]; ok {
			b.keep = min(b.keep, at)
		}
		if b.marked {
			b.keep = b.firstPos
		}
		if p := b.parent; p.ids != nil && b.keep != none {
			if p.keep == none {
				p.keep = b.keep
			} else {
				p.keep = several
			}
		}
		switch {
		case !b.full() || b.seg == nil || b.seg.failed || b.refs > 0 || b.holds > 0 || b.seg.holes[b.slot].n > 0:
		case b.windowless || b.keep != none && b.keep >= end+n.lay.window-1+n.lay.kept():
			found = append(found, b)
		}
	}
	slices.Reverse(found) // the oldest positions first
	return found[:min(len(found), limit)]
}

// findHoles decides which blocks of a segment that was just opened have a hole: those that say so, unless the file occupies more
// than that allows; they are then punched again. It corrects what the segment counts.
func (d *disk) findHoles(lay *layout, seg *segment, blocks []*block) error {
	info, err := d.store.fs.Stat(filepath.Join(d.dir, seg.name))
	if err != nil {
		return err
	}
	var known int64
	for _, b := range blocks {
		if b.windowless {
			known += int64(lay.hole.n)
		}
	}
	if known > 0 && allocated(info)+known <= info.Bytes+min(extentBytes, int64(lay.hole.n)/2) {
		for _, b := range blocks {
			if b.windowless {
				seg.holes[b.slot] = lay.hole
			}
		}
	}
	d.store.used += seg.occupied(lay) - allocated(info)
	return nil
}

// errNoHollow: no slot without a block has a hole.
var errNoHollow = errors.New("no hollow slot")

// refill gives a slot without a block the space back that it lacks, and makes it free. The error wraps errNoHollow, ErrFull or
// vfs.ErrNoSpace when that cannot be; any other ends storing.
func (n *Namespace) refill() error {
	d := n.disk
	seg, slot, hole, ok := n.popHollow(0)
	if !ok {
		return errNoHollow
	}
	for {
		claimed, err := d.store.claim(func(room int64) int64 {
			if room < int64(hole.n) {
				return 0
			}
			return int64(hole.n)
		})
		if err != nil {
			n.putHollow(seg, slot, hole)
			d.fail(err)
			return err
		}
		if claimed > 0 {
			break
		}
		// Of several slots that lack something, one can have what another one has.
		if err := n.empty(); err != nil {
			n.putHollow(seg, slot, hole)
			return err
		}
	}
	if err := seg.write(func() error { return seg.file.Fallocate(seg.slotOff(slot)+int64(hole.off), int64(hole.n)) }); err != nil {
		d.store.unclaim(int64(hole.n))
		n.putHollow(seg, slot, hole)
		err = fmt.Errorf("segment %s: allocate slot %d: %w", seg.name, slot, err)
		n.writeFailed(seg, err)
		return err
	}
	n.putHollow(seg, slot, span{})
	d.store.regained()
	return nil
}

// empty gives back all space of a slot without a block that has part of its space.
func (n *Namespace) empty() error {
	seg, slot, hole, ok := n.popHollow(n.lay.slotBytes)
	if !ok {
		return fmt.Errorf("%w: no room for a slot under the limit of %d bytes", ErrFull, n.disk.store.opt.MaxBytes)
	}
	err := n.hollowOut(seg, slot, hole)
	n.mu.Lock()
	defer n.mu.Unlock()
	seg.release(slot)
	return err
}

// hollowOut gives back all space of a slot that nobody uses and that has a hole.
func (n *Namespace) hollowOut(seg *segment, slot uint32, hole span) error {
	if err := seg.punch(func() error { return seg.file.Punch(seg.slotOff(slot), int64(n.lay.slotBytes)) }); err != nil {
		err = fmt.Errorf("segment %s: punch slot %d: %w", seg.name, slot, err)
		n.writeFailed(seg, err)
		return err
	}
	n.mu.Lock()
	seg.holes[slot] = span{0, n.lay.slotBytes}
	n.mu.Unlock()
	n.disk.store.unclaim(int64(n.lay.slotBytes - hole.n))
	return nil
}

// popHollow takes a slot without a block that lacks something, but not as much as all.
func (n *Namespace) popHollow(all int) (*segment, uint32, span, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, seg := range n.disk.segments {
		if seg.failed {
			continue
		}
		for i, slot := range slices.Backward(seg.hollow) {
			if hole := seg.holes[slot]; hole.n != all {
				seg.hollow = slices.Delete(seg.hollow, i, i+1)
				return seg, slot, hole, true
			}
		}
	}
	return nil, 0, span{}, false
}

// putHollow returns a slot that lacks hole.
func (n *Namespace) putHollow(seg *segment, slot uint32, hole span) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if hole.n > 0 {
		seg.holes[slot] = hole
	} else {
		delete(seg.holes, slot)
	}
	seg.release(slot)
}
