package kvcache

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"kvasir/platform"
	"kvasir/platform/vfs"
)

func stateSegmentName(number int) string { return fmt.Sprintf("st-%06d.seg", number) }

// stateSegmentNumber is the inverse of stateSegmentName.
func stateSegmentNumber(name string) (number int, ok bool) {
	return numberIn(name, "st-", stateSegmentName)
}

// of returns the layout of the segment file of that name; nil for other files.
func (lay *layout) of(name string) *layout {
	if _, ok := segmentNumber(name); ok {
		return lay
	}
	if _, ok := stateSegmentNumber(name); ok {
		return lay.state
	}
	return nil
}

// storeState writes a snapshot to a slot: payload, then header.
func (n *Namespace) storeState(s *state, data []byte) error {
	d := n.disk
	if d == nil || d.broken.Load() || d.store.readOnly {
		return errBroken
	}
	if d.store.opt.MaxBytes == 0 {
		return ErrFull // as was asked for
	}
	bytes := len(data) + headerBytes
	if err := d.store.charge(bytes); err != nil {
		return err
	}
	err := n.writeState(s, data)
	if err != nil {
		d.store.ledger.count(-int64(bytes))
	}
	return err
}

func (n *Namespace) writeState(s *state, data []byte) error {
	d, lay := n.disk, n.lay.state
	seg, slot, err := n.takeStateSlot(s)
	if err != nil {
		return err
	}
	n.mu.Lock()
	parent := s.parent // another copy of it may take its place; these two do not change
	n.mu.Unlock()
	h := slotHeader{
		kind: kindState, flags: flagWindowPlanes, slot: slot, firstPos: uint32(parent.firstPos + len(parent.ids)), seq: s.seq, uuid: seg.uuid,
		parent: parent.hash, hash: s.hash, ids: s.ids, crcs: []uint32{lay.layerCRC(data, BlockTokens, &s.hash, slot, 0)},
	}
	var header [headerBytes]byte
	h.encode(header[:], lay)
	err = seg.write(func() error {
		if _, err := seg.file.WriteAt(data, seg.slotOff(slot)); err != nil {
			return err
		}
		_, err := seg.file.WriteAt(header[:], headerTableOff+int64(slot)*headerBytes)
		return err
	})
	n.mu.Lock()
	if err == nil {
		seg.dirty = true
		s.seg, s.slot, s.crc, s.proven = seg, slot, h.crcs[0], true
	} else if seg.release(slot); errors.Is(err, errSpoiled) {
		n.abandonStates(seg)
	}
	n.mu.Unlock()
	if err == nil {
		d.store.stats.payloadBytes.Add(uint64(len(data)))
		d.store.stats.headerBytes.Add(headerBytes)
		return nil
	}
	err = fmt.Errorf("segment %s: write slot %d: %w", seg.name, slot, err)
	if !errors.Is(err, errSpoiled) && !errors.Is(err, vfs.ErrNoSpace) {
		d.fail(err)
	}
	return err
}

// takeStateSlot returns a free slot for s: one that is there, one of a new segment, or one for which others were evicted.
func (n *Namespace) takeStateSlot(s *state) (*segment, uint32, error) {
	for {
		n.mu.Lock()
		for _, seg := range n.disk.states {
			if last := len(seg.free) - 1; last >= 0 && !seg.failed {
				slot := seg.free[last]
				seg.free = seg.free[:last]
				n.disk.seq++
				s.seq = n.disk.seq
				n.mu.Unlock()
				return seg, slot, nil
			}
		}
		n.mu.Unlock()
		err := n.disk.growStates(n)
		if err != nil && (n.disk.broken.Load() || !n.disk.store.makeStateRoom(n, err)) {
			return nil, 0, err
		}
	}
}

// growStates adds a segment for snapshots. The error wraps ErrFull or vfs.ErrNoSpace when there is no room; any other ends storing.
func (d *disk) growStates(n *Namespace) error {
	d.growMu.Lock()
	defer d.growMu.Unlock()
	n.mu.Lock()
	have := slices.ContainsFunc(d.states, func(seg *segment) bool { return len(seg.free) > 0 && !seg.failed })
	n.mu.Unlock()
	if have {
		return nil // another sequence has just grown it
	}
	seg, err := d.newSegment(n.lay.state, n.fp, stateSegmentName(d.nextState))
	if err != nil {
		return err
	}
	d.nextState++
	n.mu.Lock()
	defer n.mu.Unlock()
	d.states = append(d.states, seg)
	return nil
}

// evictState drops the snapshot on disk that was used longest ago, one of a pinned path only if there is no other.
func (n *Namespace) evictState() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	oldest := n.stateToEvict()
	if oldest != nil {
		n.dropState(oldest)
	}
	return oldest != nil
}

// oldestState returns when the snapshot that evictState would drop was used.
func (n *Namespace) oldestState() (used int64, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.stateToEvict()
	if s == nil {
		return 0, false
	}
	return s.used, true
}

// stateToEvict needs n.mu.
func (n *Namespace) stateToEvict() (oldest *state) {
	before := func(a, b *state) bool {
		if pinned := a.parent.kept > 0; pinned != (b.parent.kept > 0) {
			return !pinned
		}
		return a.used < b.used || a.used == b.used && a.seq < b.seq
	}
	for _, s := range n.states {
		if s.seg != nil && !s.seg.failed && s.reading == 0 && (oldest == nil || before(s, oldest)) {
			oldest = s
		}
	}
	return oldest
}

// readState copies a snapshot to dst and compares its checksum. One that is damaged leaves the index.
func (n *Namespace) readState(s *state, dst []byte) bool {
	n.mu.Lock()
	if s.dropped {
		n.mu.Unlock()
		return false
	}
	s.used = n.tick()
	if s.ram != nil {
		copy(dst, s.ram)
		n.mu.Unlock()
		return true
	}
	s.reading++
	seg, slot := s.seg, s.slot
	n.mu.Unlock()
	_, err := seg.file.ReadAt(dst, seg.slotOff(slot))
	if err == nil && verifyPayload {
		_, err = n.lay.state.checkPayload(dst, BlockTokens, &s.hash, slot, []uint32{s.crc}, seg.name, true)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.proven = err == nil; !s.proven {
		n.stats.damagedBlocks.Add(1)
		n.dropState(s)
	}
	if s.reading--; s.reading == 0 && s.dropped {
		n.freeState(s)
	}
	return err == nil
}

// proveState reports whether a snapshot that an earlier process left is whole. One that is not leaves the index.
func (n *Namespace) proveState(s *state) bool {
	buf, err := platform.MapAnonymous(n.lay.state.payloadBytes)
	if err != nil {
		return true // who is to go on from it will see
	}
	defer platform.Unmap(buf)
	return n.readState(s, buf)
}

// abandonStates drops what a segment holds and uses it no more. Needs n.mu.
func (n *Namespace) abandonStates(seg *segment) {
	seg.failed, seg.dirty = true, false
	for _, s := range n.states {
		if s.seg == seg {
			n.dropState(s)
		}
	}
}

// syncStates makes the snapshots written so far durable. Needs syncMu.
func (n *Namespace) syncStates() error {
	n.mu.Lock()
	segments := slices.Clone(n.disk.states)
	n.mu.Unlock()
	var errs []error
	for _, seg := range segments {
		n.mu.Lock()
		idle := seg.failed || !seg.dirty && !seg.inherited
		seg.dirty, seg.inherited = false, false
		n.mu.Unlock()
		if idle {
			continue
		}
		n.stats.syncs.Add(1)
		if err := seg.file.Fdatasync(); err != nil {
			err = fmt.Errorf("segment %s: sync: %w", seg.name, err)
			if distrustOnError {
				n.mu.Lock()
				n.abandonStates(seg)
				n.mu.Unlock()
				n.disk.fail(err)
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// recoverStates fills the index with the snapshots of a directory's segments whose path is there (rule R13).
func (d *disk) recoverStates(n *Namespace, names []string) {
	d.nextState = 1
	if n.lay.state == nil {
		return
	}
	var found []*block
	for _, name := range names {
		number, ok := stateSegmentNumber(name)
		if !ok {
			continue
		}
		d.nextState = nextNumber(d.nextState, number)
		seg, slots, err := d.openSlots(n.lay.state, n.fp, name)
		if isNotExist(err) {
			continue
		}
		if err != nil {
			n.stats.damagedBlocks.Add(1)
			d.setAside = append(d.setAside, err)
			continue
		}
		d.states = append(d.states, seg)
		found = append(found, slots...)
	}
	slices.SortFunc(found, compareCopies)
	for _, b := range found {
		d.seq = max(d.seq, b.seq)
		parent := n.blocks[b.parent.hash]
		if b.firstPos == 0 {
			parent = n.root(b.parent.hash)
		}
		if parent == nil || n.states[b.hash] != nil || b.firstPos > 0 && (!parent.full() || parent.firstPos+BlockTokens != b.firstPos) {
			b.seg.release(b.slot)
			continue
		}
		n.insertState(&state{hash: b.hash, parent: parent, ids: b.ids, seq: b.seq, crc: b.crcs[0], used: parent.used, seg: b.seg, slot: b.slot})
	}
}

// stateSegmentUse returns when a snapshot of a segment was used last, how many it holds, and whether the segment may be removed.
// Needs n.mu.
func (n *Namespace) stateSegmentUse(seg *segment) (used int64, held int, free bool) {
	free = !seg.failed
	for _, s := range n.states {
		if s.seg == seg {
			used, held = max(used, s.used), held+1
			free = free && s.reading == 0 && s.parent.kept == 0
		}
	}
	return used, held, free && held+len(seg.free) == seg.slotCount
}

// removeStateSegment drops the snapshots of a segment and removes its file, durably. The error wraps errSegmentUsed if one is in use.
// Needs syncMu.
func (n *Namespace) removeStateSegment(seg *segment) error {
	d := n.disk
	n.mu.Lock()
	if _, _, free := n.stateSegmentUse(seg); !free {
		n.mu.Unlock()
		return fmt.Errorf("%s: %w", seg.name, errSegmentUsed)
	}
	for _, s := range n.states {
		if s.seg == seg {
			n.dropState(s)
		}
	}
	d.states = slices.DeleteFunc(d.states, func(s *segment) bool { return s == seg })
	n.mu.Unlock()
	if err := d.unlink(seg.name); err != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		d.states = append(d.states, seg)
		return fmt.Errorf("segment %s: remove: %w", seg.name, err)
	}
	d.store.unclaim(segmentBytes(n.lay.state, seg.slotCount))
	return seg.close()
}

// storedStates returns the lengths at which snapshots of a path are in the segments of a directory, by their headers.
func storedStates(fsys vfs.FS, dir string, names []string, lay *layout, fp Fingerprint, path []Hash, ids []int32) map[int]bool {
	at := map[int]bool{}
	behind := map[Hash]int{}
	for i, h := range path {
		behind[h] = i * BlockTokens
	}
	for _, name := range names {
		if _, ok := stateSegmentNumber(name); !ok {
			continue
		}
		eachHeader(fsys, filepath.Join(dir, name), lay.state, fp, func(h *slotHeader, _ int64) {
			first, ok := behind[h.parent]
			if ok && int(h.firstPos) == first && commonPrefix(h.ids, ids[first:]) == len(h.ids) {
				at[first+len(h.ids)] = true
			}
		})
	}
	return at
}
