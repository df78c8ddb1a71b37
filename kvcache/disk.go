package kvcache

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"kvasir/internal/failpoint"
	"kvasir/platform/vfs"
)

// disk is the part of a namespace that is files: its segments and what goes into them.
type disk struct {
	store *Store
	dir   string

	broken atomic.Bool // writing failed in a way that space does not cure: only lookups from now on
	full   atomic.Bool // no room at the last attempt; Flush tries again
	punch  punchState  // guarded by syncMu

	growMu    sync.Mutex // one segment is made at a time; guards nextName
	next      int        // number of the next segment file
	nextState int        // likewise, of snapshots

	syncMu   sync.Mutex
	segments []*segment // guarded by Namespace.mu
	states   []*segment // of snapshots; likewise
	seq      uint64     // last write sequence number; guarded by Namespace.mu
	setAside []error    // why files are not used
	pinsErr  error      // why pins cannot be changed

	hinted atomic.Int64 // when the file lru was written, in Unix ms
}

var errBroken = errors.New("the disk failed earlier")

func (d *disk) writable() bool {
	return !d.broken.Load() && !d.full.Load() && !d.store.readOnly
}

// seal makes the indexed block for a full private one, stores it where possible, and returns the entry that replaces it. The
// buffer now belongs to the namespace.
func (n *Namespace) seal(parent *block, h Hash, ids []int32, firstPos int, private entry) entry {
	buf := private.data
	b := &block{hash: h, parent: parent, ids: append([]int32(nil), ids...), firstPos: firstPos, refs: 1, windowless: private.windowless}
	n.stats.sealed.Add(1)
	n.mu.Lock()
	b.marked = n.markedLike(b)
	n.mu.Unlock()
	err := n.store(b, buf[:n.lay.payloadBytes])
	e, remark := n.enter(parent, b, buf, err)
	if remark {
		n.markLate(b)
	}
	return e
}

// enter puts a block that has just been sealed into the index, with the error of storing it, and returns the entry for it, or for the one that is
// there already, and whether it has been marked since its header was written.
func (n *Namespace) enter(parent, b *block, buf []byte, err error) (_ entry, remark bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if other := n.blocks[b.hash]; other != nil && n.lookup(parent, b.hash, b.ids, b.firstPos) == nil {
		n.drop(other) // a header that lied: it stands elsewhere, where no path comes by
	}
	node, other := n.node(parent), n.blocks[b.hash]
	if !b.marked && n.markedLike(b) {
		b.marked, remark = true, err == nil
	}
	switch {
	case other != nil && (!other.windowless || b.windowless) && (other.ram != nil || other.trusted() && other.seg.view != nil):
		// Another sequence sealed the same block while we wrote ours.
		n.pin(other)
		n.stats.shared.Add(1)
		if err == nil {
			b.seg.disown(b.slot)
		}
		n.putBufferLocked(buf)
		if other.ram != nil {
			return entry{other.ram, other, other.windowless}, false
		}
		return entry{other.seg.slotView(other.slot), other, other.windowless}, false
	case other != nil && other.windowless && !b.windowless && other.seg != nil && err == nil:
		n.supersede(other, b)
		n.dropCovered(b)
	case other != nil || node == nil:
		// In doubt, or the path before us left the index: ours stays private to this sequence.
		b.dropped = true
	default:
		b.parent = node
		n.insert(b)
		if err == nil { // a tail that is on disk stays until this block is
			n.dropCovered(b)
		}
	}
	if err != nil {
		n.stats.memory.Add(1)
		b.ram = buf
		return entry{buf, b, b.windowless}, remark
	}
	n.stats.stored.Add(1)
	b.seg.unsynced = append(b.seg.unsynced, b)
	if b.seg.view == nil {
		b.ram = buf
		return entry{buf, b, b.windowless}, remark
	}
	n.putBufferLocked(buf)
	return entry{b.seg.slotView(b.slot), b, b.windowless}, remark
}

// markedLike says whether a block that b takes the place of is marked. Needs n.mu.
func (n *Namespace) markedLike(b *block) bool {
	node := n.node(b.parent)
	return node != nil && slices.ContainsFunc(node.children, func(c *block) bool {
		return c.marked && len(c.ids) <= len(b.ids) && commonPrefix(c.ids, b.ids) == len(c.ids)
	})
}

// dropCovered drops the PACKED siblings of b whose ids are a prefix of b's, if b has its windowed planes (rule R8). Needs n.mu.
func (n *Namespace) dropCovered(b *block) {
	if b.windowless {
		return
	}
	for i := 0; i < len(b.parent.children); i++ {
		c := b.parent.children[i]
		if c != b && len(c.ids) < len(b.ids) && commonPrefix(c.ids, b.ids) == len(c.ids) {
			n.drop(c) // removes it from the slice that we walk
			i--
		}
	}
}

// store writes a block that is not in the index yet, if the budget of the day lets it. On success b.seg, b.slot and b.crcs are set.
func (n *Namespace) store(b *block, payload []byte) error {
	d := n.disk
	if d == nil {
		return ErrClosed
	}
	if d.broken.Load() || d.store.readOnly {
		return errBroken
	}
	if d.store.opt.MaxBytes == 0 {
		return ErrFull // as was asked for: no word of it
	}
	bytes := len(payload) + headerBytes
	if err := d.store.charge(bytes); err != nil {
		return err
	}
	err := n.write(b, payload)
	if err != nil {
		d.store.ledger.count(-int64(bytes))
	}
	return err
}

// write writes a block to a slot: payload, then header.
func (n *Namespace) write(b *block, payload []byte) error {
	d := n.disk
	n.mu.Lock()
	parent := n.node(b.parent)
	orphan := parent == nil || parent.ids != nil && parent.seg == nil
	n.mu.Unlock()
	if orphan {
		return fmt.Errorf("parent: %w", ErrFull) // rule W3
	}
	seg, slot, seq, err := n.takeSlot()
	if err != nil {
		if d.broken.Load() {
			return err
		}
		d.store.full(err)
		return err
	}
	b.crcs = make([]uint32, len(n.lay.layers))
	for layer := range b.crcs {
		b.crcs[layer] = n.lay.layerCRC(payload, len(b.ids), &b.hash, slot, layer)
	}
	b.seq = seq
	h := slotHeader{
		kind: kindFull, flags: flagWindowPlanes, slot: slot, firstPos: uint32(b.firstPos), seq: seq, uuid: seg.uuid,
		parent: b.parent.hash, hash: b.hash, ids: b.ids, crcs: b.crcs,
	}
	if b.marked {
		h.flags |= flagKeep
	}
	if b.windowless {
		h.flags &^= flagWindowPlanes
		for layer, l := range n.lay.geometry.Layers {
			if l.Window > 0 {
				b.crcs[layer] = ^b.crcs[layer] // nothing that is in the slot passes for these planes
			}
		}
	}
	if !b.full() {
		h.kind = kindPacked
	}
	var header [headerBytes]byte
	h.encode(header[:], n.lay)
	generation := seg.generation.Load()
	err = seg.write(func() error {
		failpoint.Here("store: before the payload")
		if _, err := seg.file.WriteAt(payload, seg.slotOff(slot)); err != nil {
			return err
		}
		failpoint.Here("store: payload without header")
		_, err := seg.file.WriteAt(header[:], headerTableOff+int64(slot)*headerBytes)
		failpoint.Here("store: after the header")
		return err
	})
	if errors.Is(err, errSpoiled) {
		n.retire(seg)
		return n.write(b, payload) // in another segment
	}
	if err != nil {
		n.mu.Lock()
		seg.release(slot)
		n.mu.Unlock()
		err = fmt.Errorf("segment %s: write slot %d: %w", seg.name, slot, err)
		n.writeFailed(seg, err)
		return err
	}
	d.store.stats.payloadBytes.Add(uint64(len(payload)))
	d.store.stats.headerBytes.Add(headerBytes)
	d.full.Store(false)
	d.store.stored()
	b.seg, b.slot = seg, slot
	b.verified.Store(generation)
	return nil
}

// writeFailed does what a failed change of a segment calls for.
func (n *Namespace) writeFailed(seg *segment, err error) {
	switch d := n.disk; {
	case errors.Is(err, errSpoiled):
		n.retire(seg)
	case errors.Is(err, vfs.ErrNoSpace): // copy-on-write file systems need space to overwrite
		d.full.Store(true)
		d.store.full(err)
	default:
		d.fail(err)
	}
}

// fail ends storing for the life of the process.
func (d *disk) fail(err error) {
	d.broken.Store(true)
	d.store.degrade(InMemory, "write", err)
}

// takeSlot returns a free slot: one that is there, one of a new segment, or one for which others were evicted.
func (n *Namespace) takeSlot() (*segment, uint32, uint64, error) {
	for {
		n.mu.Lock()
		if seg, slot, ok := n.popSlot(); ok {
			n.disk.seq++
			seq := n.disk.seq
			n.mu.Unlock()
			return seg, slot, seq, nil
		}
		n.mu.Unlock()
		err := errFullNow
		if !n.disk.full.Load() {
			if err = n.refill(); errors.Is(err, errNoHollow) {
				err = n.disk.grow(n)
			}
		}
		if err == nil {
			continue
		}
		if n.disk.broken.Load() {
			return nil, 0, 0, err
		}
		if !n.disk.store.makeRoom(n, err) {
			n.disk.full.Store(true)
			return nil, 0, 0, err
		}
	}
}

var errFullNow = fmt.Errorf("%w: no free slot", ErrFull)

// popSlot takes the next slot of the first segment that has one. Needs n.mu.
func (n *Namespace) popSlot() (*segment, uint32, bool) {
	for _, seg := range n.disk.segments {
		if last := len(seg.free) - 1; last >= 0 && !seg.failed {
			slot := seg.free[last]
			if holdSlots {
				seg.free = seg.free[:last]
			}
			return seg, slot, true
		}
	}
	return nil, 0, false
}

// grow adds a segment. The error wraps ErrFull or vfs.ErrNoSpace when there is no room; any other ends storing.
func (d *disk) grow(n *Namespace) error {
	d.growMu.Lock()
	defer d.growMu.Unlock()
	n.mu.Lock()
	_, _, have := n.peekSlot()
	n.mu.Unlock()
	if have {
		return nil // another sequence has just grown it
	}
	seg, err := d.newSegment(n.lay, n.fp, segmentName(d.next))
	if err != nil {
		return err
	}
	d.next++
	n.mu.Lock()
	defer n.mu.Unlock()
	d.segments = append(d.segments, seg)
	return nil
}

// newSegment makes a segment, of as many slots as there is room for.
func (d *disk) newSegment(lay *layout, fp Fingerprint, name string) (*segment, error) {
	var slots int
	claimed, err := d.store.claim(func(room int64) int64 {
		if slots = d.store.newSlots(lay, room); slots == 0 {
			return 0
		}
		return segmentBytes(lay, slots)
	})
	if err != nil {
		d.fail(err)
		return nil, err
	}
	if claimed == 0 {
		return nil, fmt.Errorf("%w: no room for a segment under the limit of %d bytes", ErrFull, d.store.opt.MaxBytes)
	}
	seg, err := d.createSegment(lay, fp, name, slots)
	if err != nil {
		d.store.unclaim(claimed)
		if !errors.Is(err, vfs.ErrNoSpace) {
			d.fail(err)
		}
		return nil, err
	}
	d.store.regained()
	return seg, nil
}

// peekSlot reports whether popSlot would find a slot. Needs n.mu.
func (n *Namespace) peekSlot() (*segment, uint32, bool) {
	for _, seg := range n.disk.segments {
		if len(seg.free) > 0 && !seg.failed {
			return seg, seg.free[len(seg.free)-1], true
		}
	}
	return nil, 0, false
}

// sync makes the written blocks durable; after a failure rule W4 applies.
func (n *Namespace) sync() error {
	d := n.disk
	if d == nil || d.store.readOnly {
		return nil
	}
	d.syncMu.Lock()
	defer d.syncMu.Unlock()
	n.mu.Lock()
	segments := append([]*segment(nil), d.segments...)
	n.mu.Unlock()
	var errs []error
	for _, seg := range segments {
		n.mu.Lock()
		pending := seg.unsynced
		idle := seg.failed || len(pending) == 0 && !seg.dirty && !seg.inherited
		if seg.inherited && !idle {
			pending = n.blocksIn(seg)
		}
		seg.unsynced, seg.dirty = nil, false
		n.mu.Unlock()
		if idle {
			continue
		}
		if err := n.syncSegment(seg, pending); err != nil {
			errs = append(errs, err)
		}
	}
	errs = append(errs, n.syncStates())
	d.store.ledger.settle()
	return errors.Join(errs...)
}

// blocksIn returns the blocks of the index that a segment holds. Needs n.mu.
func (n *Namespace) blocksIn(seg *segment) []*block {
	var in []*block
	for _, b := range n.blocks {
		if b.seg == seg {
			in = append(in, b)
		}
	}
	return in
}

// syncSegment makes a segment durable, the blocks pending among what it holds. Needs syncMu.
func (n *Namespace) syncSegment(seg *segment, pending []*block) error {
	n.stats.syncs.Add(1)
	failpoint.Here("sync: before a segment")
	err := seg.file.Fdatasync()
	failpoint.Here("sync: after a segment")
	if err != nil {
		err = fmt.Errorf("segment %s: sync: %w", seg.name, err)
		if distrustOnError {
			n.distrust(seg, pending)
			n.disk.fail(err)
		}
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	seg.inherited = false
	for _, b := range pending {
		if b.replaces != nil && b.verified.Load() > 0 {
			n.unhold(b.replaces)
			b.replaces = nil
		}
	}
	return nil
}

// distrust drops the blocks that a failed sync leaves in doubt; sequences that hold some look after them at their next Reserve.
func (n *Namespace) distrust(seg *segment, pending []*block) {
	n.mu.Lock()
	defer n.mu.Unlock()
	seg.failed = true
	for _, b := range append(pending, seg.unsynced...) {
		if b.seg == seg {
			n.distrustBlock(b)
		}
	}
	seg.unsynced = nil
	n.epoch.Add(1)
}
