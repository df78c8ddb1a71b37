package kvcache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"kvasir/platform/vfs"
)

// stamp tells whether somebody else has changed a segment file since this process last wrote to it. What was verified before is
// then in doubt: a hole that another process punches reads as zeros in our mapping, and no signal says so.
type stamp struct {
	generation atomic.Uint32 // counts the changes by others, from 1; a block is trusted in the one in which it was verified or written
	spoiled    atomic.Bool   // the size or both superblocks are not what they were: no process will open the file again

	mu     sync.Mutex // held while we write, so that our own changes are not taken for another's
	last   vfs.Stamp
	clock  func() time.Time
	since  time.Time // begin of the period in which alarms are counted
	alarms int       // in the period, since a block was last found damaged
	owed   bool      // a change raised no alarm
}

// A file system whose times do not stand still must not make us verify everything all the time: after maxAlarms changes in alarmPeriod that
// damaged nothing, one that shows in the time alone waits for the next period.
const (
	maxAlarms   = 16
	alarmPeriod = time.Hour
)

var errSpoiled = errors.New("another program has changed the size or the superblocks of the file")

// watch begins to look after a file of size bytes.
func (s *segment) watch(size int64, clock func() time.Time) {
	s.generation.Store(1)
	s.clock = clock
	s.last, _ = s.file.Stamp()
	s.spoiled.Store(s.last.Bytes != size)
}

// write runs fn, which writes to the file.
func (s *segment) write(fn func() error) error { return s.change(fn, false) }

// punch runs fn, which gives space of the file back.
func (s *segment) punch(fn func() error) error { return s.change(fn, true) }

func (s *segment) change(fn func() error, shrinks bool) error {
	s.stamp.mu.Lock()
	defer s.stamp.mu.Unlock()
	s.compare()
	if s.spoiled.Load() {
		return errSpoiled
	}
	before := s.last
	err := fn()
	if now, e := s.file.Stamp(); e == nil {
		s.last = now
		if !shrinks && punched(before, now) { // the time says nothing: it is that of our own write
			s.alarm(true)
		}
	}
	return err
}

// punched reports whether space of the file was given back. The file system's own records of where the file is, which it counts too,
// come and go by a block or two.
func punched(before, now vfs.Stamp) bool { return now.Allocated < before.Allocated-8<<10 }

// alarm makes what was verified be verified again, at once where the change is certain. Needs stamp.mu.
func (s *segment) alarm(certain bool) {
	if now := s.clock(); s.alarms == 0 || now.Sub(s.since) >= alarmPeriod || now.Before(s.since) {
		s.since, s.alarms = now, 0
	}
	if s.owed = s.alarms >= maxAlarms && !certain; !s.owed {
		s.alarms++
		s.generation.Add(1)
	}
}

// compare notes a change since the last call. Needs stamp.mu.
func (s *segment) compare() {
	now, err := s.file.Stamp()
	shrunk := err == nil && punched(s.last, now)
	if err == nil && now.Bytes == s.last.Bytes && now.Modified == s.last.Modified && !shrunk {
		if s.last = now; s.owed {
			s.alarm(false)
		}
		return
	}
	if err == nil && (now.Bytes != s.last.Bytes || !s.headed()) {
		s.spoiled.Store(true)
	}
	s.last = now
	s.alarm(shrunk || s.spoiled.Load())
}

// headed reports whether one of the superblocks is still that of this segment.
func (s *segment) headed() bool {
	b := make([]byte, headerBytes)
	for _, off := range []int64{0, superblockCopy} {
		if _, err := s.file.ReadAt(b, off); err == nil && [16]byte(b[16:32]) == s.uuid &&
			binary.LittleEndian.Uint32(b[crcOff:]) == crc32.Checksum(b[:crcOff], castagnoli) {
			return true
		}
	}
	return false
}

// confirm notes that a block of the segment was found damaged: the alarms are no false ones.
func (s *segment) confirm() {
	s.stamp.mu.Lock()
	defer s.stamp.mu.Unlock()
	s.alarms = 0
}

// inspect looks whether somebody else has changed the file of seg. It does not wait for our own writes: what they hide, the next call finds.
func (n *Namespace) inspect(seg *segment) {
	if seg.stamp.mu.TryLock() {
		seg.compare()
		seg.stamp.mu.Unlock()
	}
	if seg.spoiled.Load() {
		n.retire(seg)
	}
}

// inspectNow is inspect for who will not look again: it waits for our own writes.
func (n *Namespace) inspectNow(seg *segment) {
	seg.stamp.mu.Lock()
	seg.compare()
	seg.stamp.mu.Unlock()
	if seg.spoiled.Load() {
		n.retire(seg)
	}
}

// retire drops all blocks of a segment that the next process will not open.
func (n *Namespace) retire(seg *segment) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if seg.failed {
		return
	}
	seg.failed, seg.unsynced = true, nil
	for _, b := range n.blocks {
		if b.seg == seg {
			n.stats.damagedBlocks.Add(1)
			n.drop(b)
		}
	}
}

// trusted reports whether a stored block was verified since the last change of its segment by others. Not for blocks in memory.
func (b *block) trusted() bool {
	return b.verified.Load() == b.seg.generation.Load() && !b.seg.spoiled.Load()
}

// watched is a segment that a sequence reads through its mapping, in the generation in which it may.
type watched struct {
	seg        *segment
	generation uint32
}

// watch adds the segment of a block that the sequence now holds.
func (q *Sequence) watch(b *block) {
	q.ns.mu.Lock()
	seg, inMemory := b.seg, b.ram != nil
	q.ns.mu.Unlock()
	if seg == nil || inMemory {
		return
	}
	g := b.verified.Load()
	for i := range q.segs {
		if w := &q.segs[i]; w.seg == seg {
			w.generation = min(w.generation, g)
			return
		}
	}
	q.segs = append(q.segs, watched{seg, g})
}

// disturbed reports whether blocks of the sequence have to be looked after.
func (q *Sequence) disturbed() bool {
	disturbed := q.epoch != q.ns.epoch.Load()
	for _, w := range q.segs {
		q.ns.inspect(w.seg)
		disturbed = disturbed || w.seg.generation.Load() != w.generation
	}
	return disturbed
}

// LostError says which tokens a sequence has lost: the rows of IDs, which stood behind what is left, have to be computed again.
// It wraps ErrLost.
type LostError struct {
	IDs   []int32
	Cause error
}

func (e *LostError) Error() string {
	return fmt.Sprintf("%v: %d tokens: %v", ErrLost, len(e.IDs), e.Cause)
}

func (e *LostError) Unwrap() []error { return []error{ErrLost, e.Cause} }

// Intact says, after rows were read, whether they were those that had been verified: nobody has changed the segments meanwhile, as
// far as the clock of the file system tells, or what was changed was none of ours. The error is as that of Reserve.
func (q *Sequence) Intact() error {
	if q.closed {
		return ErrClosed
	}
	if q.disturbed() {
		return q.rehome()
	}
	return nil
}

// Recheck verifies again all rows of the sequence that are on disk, as after a fault in reading them. Where some are damaged the
// sequence ends before them, and the error is a *LostError, or wraps ErrClosed or ErrNoMemory.
func (q *Sequence) Recheck() error {
	if q.closed {
		return ErrClosed
	}
	for _, w := range q.segs {
		w.seg.generation.Add(1)
		q.ns.inspect(w.seg)
	}
	return q.rehome()
}

// rehome looks after the blocks that are in doubt. Those of a segment whose sync failed are copied to memory, those of one that
// another program has changed are verified again. Where that fails the sequence ends before them, and the error is a *LostError.
func (q *Sequence) rehome() error {
	n := q.ns
	q.epoch = n.epoch.Load()
	q.segs = q.segs[:0]
	for i := range q.entries {
		e := &q.entries[i]
		if e.block == nil {
			break
		}
		if err := q.rehomeEntry(e); err != nil {
			n.forget(e.block)
			return q.lose(len(q.ids), min(i*BlockTokens, len(q.ids)), err)
		}
		n.mu.Lock()
		e.windowless = e.windowless || e.block.windowless
		n.mu.Unlock()
		q.watch(e.block)
	}
	if n := len(q.ids); q.usable(n) < n {
		return q.lose(n, n, errNoWindow)
	}
	return nil
}

// lose truncates a sequence that was to have n positions to end, because of cause, or to fewer, and returns a *LostError that says
// which of the n it has lost.
func (q *Sequence) lose(n, end int, cause error) error {
	ids := slices.Clone(q.ids[:n])
	err := q.Truncate(q.usable(end))
	if errors.Is(err, ErrNoMemory) { // for the rows before a state, in a block that stays
		err = errors.Join(err, q.truncate(0))
	}
	return errors.Join(&LostError{IDs: ids[len(q.ids):], Cause: cause}, err)
}

func (q *Sequence) rehomeEntry(e *entry) error {
	n, b := q.ns, e.block
	n.mu.Lock()
	inMemory := b.seg == nil || b.ram != nil
	unsynced := !inMemory && b.dropped && b.seg.failed
	n.mu.Unlock()
	switch {
	case inMemory || !unsynced && b.trusted():
		return nil
	case b.seg.spoiled.Load():
		return errSpoiled
	}
	buf, err := n.getBuffer()
	if err != nil {
		return err
	}
	if err := n.readChecked(b, buf); err != nil || !unsynced {
		n.putBuffer(buf)
		return err
	}
	own := &block{hash: b.hash, parent: b.parent, ids: b.ids, firstPos: b.firstPos, refs: 1, dropped: true, ram: buf}
	n.mu.Lock()
	own.windowless = b.windowless
	n.unpin(b)
	n.mu.Unlock()
	*e = entry{data: buf, block: own, windowless: e.windowless}
	return nil
}
