package kvcache

import (
	"errors"
	"fmt"
	"slices"

	"kvasir/quant"
)

// Errors of sequences.
var (
	// ErrReserve: more positions asked for, or committed, than allowed.
	ErrReserve = errors.New("kv positions out of range")
	// ErrClosed: the sequence or the store is closed.
	ErrClosed = errors.New("kv sequence or store is closed")
	// ErrBusy: sequences are still open.
	ErrBusy = errors.New("kv store is in use")
	// ErrNoMemory: the system gave no memory for a block.
	ErrNoMemory = errors.New("no memory for kv block")
	// ErrLost: the disk lost blocks that the sequence was using, or it was to go back to where windowed layers have lost
	// their rows. The sequence now ends before them; compute from Len on. Errors that wrap it are a *LostError.
	ErrLost = errors.New("kv blocks lost")

	errDamaged  = errors.New("damaged kv block")
	errNoWindow = errors.New("kv block without planes of windowed layers")
	errNoState  = errors.New("no snapshot of the state")
)

// Sequence is the KV path of one conversation: positions [0, Len). It holds its blocks: they are not evicted, rewritten
// or moved while it is open. Calls must not overlap, with one exception: between Reserve and Commit any number of
// goroutines may call Plane and read the rows of committed positions, and write disjoint rows of reserved ones.
type Sequence struct {
	ns       *Namespace
	root     *block
	ids      []int32 // of the committed positions
	entries  []entry // one per started block of [0, reserved)
	reserved int     // positions [len(ids), reserved) may be written
	epoch    uint64  // of the namespace, when the entries were last looked at
	segs     []watched
	keepAt   int // see Keep; 0 for none
	state    []byte
	restored bool   // state is that behind the committed positions
	scratch  []byte // what restore has read; nil behind it, or a sequence would hold two snapshots for good
	closed   bool
}

// entry is one block of a path: sealed (block set, data is shared and read-only) or private (block nil, data is ours).
type entry struct {
	data       []byte
	block      *block
	windowless bool // the planes of windowed layers are not there, and no query at Len or later sees them
}

// Len returns the number of committed positions.
func (q *Sequence) Len() int { return len(q.ids) }

// IDs returns the token ids of the committed positions: read-only, valid until the next call that changes them.
func (q *Sequence) IDs() []int32 { return q.ids }

// Blocks returns the number of blocks that hold positions [0, Len + reserved).
func (q *Sequence) Blocks() int { return len(q.entries) }

// Plane returns the rows of a layer (in the model's order), KV head and side in a block (positions 64*block and up): all
// 64 rows, of which those of committed and reserved positions mean something. The slices are valid until the next
// Reserve, Commit, Truncate, Match or Close. Only rows of reserved positions may be written, through Rows and Scales. Planes of windowed
// layers are there for positions that a query at Len or later sees; to ask for others is a fault of the caller and panics.
func (q *Sequence) Plane(layer, head int, side Side, block int) quant.KVPlane {
	p := &q.ns.lay.planes[2*layer+int(side)]
	e := &q.entries[block]
	if p.windowed && e.windowless {
		panic(errWindow{layer, block})
	}
	data := e.data
	off := p.off + head*p.stride
	scaleOff := p.scaleOff + head*p.scaleStride
	return quant.KVPlane{
		Format:  p.format,
		HeadDim: p.headDim,
		Rows:    data[off : off+p.rowsBytes : off+p.rowsBytes],
		Scales:  data[scaleOff : scaleOff+p.scaleStride : scaleOff+p.scaleStride],
	}
}

// Reserve makes positions [Len, Len+n) writable, 0 <= n <= MaxReserve. Rows that were written in an earlier reservation
// and not committed are kept. The error wraps ErrReserve, ErrNoMemory, ErrLost or ErrClosed.
func (q *Sequence) Reserve(n int) error {
	if q.closed {
		return ErrClosed
	}
	if n < 0 || n > MaxReserve {
		return fmt.Errorf("%w: reserve %d, want 0 to %d", ErrReserve, n, MaxReserve)
	}
	if err := q.Intact(); err != nil {
		return err
	}
	end := len(q.ids) + n
	for len(q.entries)*BlockTokens < end {
		buf, err := q.ns.getBuffer()
		if err != nil {
			return err
		}
		q.entries = append(q.entries, entry{data: buf})
	}
	q.reserved = max(q.reserved, end)
	return nil
}

// Commit says that the first len(ids) reserved positions now hold the rows of these tokens. Blocks that are thereby full are
// sealed: shared, and stored if the disk lets us. A disk that fails makes the block stay in memory and shows in
// Store.Status; it is no error here. The error wraps ErrReserve or ErrClosed.
func (q *Sequence) Commit(ids []int32) error {
	if q.closed {
		return ErrClosed
	}
	if len(q.ids)+len(ids) > q.reserved {
		return fmt.Errorf("%w: commit %d at %d, reserved to %d", ErrReserve, len(ids), len(q.ids), q.reserved)
	}
	first := len(q.ids) / BlockTokens
	q.ids = append(q.ids, ids...)
	q.restored = q.restored && len(ids) == 0
	for b := first; (b+1)*BlockTokens <= len(q.ids); b++ {
		q.seal(b)
		q.markKept(b)
	}
	return nil
}

// parent returns the sealed block before block b, or the root.
func (q *Sequence) parent(b int) *block {
	if b == 0 {
		return q.root
	}
	return q.entries[b-1].block
}

// seal turns private block b, whose 64 tokens are committed, into a shared one.
func (q *Sequence) seal(b int) {
	e, parent := &q.entries[b], q.parent(b)
	ids := q.ids[b*BlockTokens : (b+1)*BlockTokens]
	h := pathHash(&parent.hash, ids)
	if other := q.ns.find(parent, h, ids, b*BlockTokens); other != nil {
		shared, err := q.ns.entryOf(other)
		switch {
		case err != nil:
			q.ns.discard(other)
		case shared.windowless && !e.windowless:
			q.ns.release(other)
		default:
			q.ns.putBuffer(e.data)
			q.ns.stats.shared.Add(1)
			*e = shared
			q.watch(other)
			return
		}
	}
	*e = q.ns.seal(parent, h, ids, b*BlockTokens, *e)
	q.watch(e.block)
}

// Keep says that another path may go on from position n, at most Len, though this one has gone on from there: windowed planes
// that it needs for it are then not given back before the block at n is evicted. Where two paths have parted, and at the end of
// each, that holds without it. A disk that fails shows in Store.Status; the error wraps ErrReserve or ErrClosed.
func (q *Sequence) Keep(n int) error {
	switch {
	case q.closed:
		return ErrClosed
	case n < 0 || n > len(q.ids):
		return fmt.Errorf("%w: keep %d, have %d", ErrReserve, n, len(q.ids))
	}
	if q.keepAt = n; n > 0 {
		q.markKept((n - 1) / BlockTokens)
	}
	return nil
}

// markKept marks block b if it is sealed and the one that Keep was last called for; the tail gets its mark when it is sealed.
func (q *Sequence) markKept(b int) {
	if q.keepAt > 0 && b == (q.keepAt-1)/BlockTokens && q.entries[b].block != nil {
		q.ns.mark(q.entries[b].block)
	}
}

// Match resets the sequence to the longest stored prefix of ids and returns its length: blocks of its own, blocks in the
// index, and at the first block that is not there the rows of the one that shares most tokens; of these, as many as leave the
// windowed layers all rows that they need to go on, and with a state as many as end at a snapshot of it, which State returns. Logits need at least one
// token to compute: pass all ids but the last. An uncommitted reservation is dropped, and so is an unflushed tail that is not a prefix of ids.
// Damaged blocks shorten the result. The error wraps ErrClosed or ErrNoMemory; the sequence is then usable, and Len says how long.
func (q *Sequence) Match(ids []int32) (reused int, err error) {
	if q.closed {
		return 0, ErrClosed
	}
	if q.disturbed() {
		if err := q.rehome(); err != nil && !errors.Is(err, ErrLost) {
			return len(q.ids), err
		}
	}
	own, end, restored := -1, commonPrefix(q.ids, ids), q.restored
	if end == len(q.ids) {
		own = end
	}
	if err := q.truncate(end); err != nil && !errors.Is(err, ErrLost) {
		return len(q.ids), err
	}
	kept := len(q.ids)
	err = q.extend(ids)
	if q.ns.lay.state != nil {
		err = errors.Join(err, q.settle(own, restored))
		kept = min(kept, len(q.ids))
	}
	q.ns.stats.reusedTokens.Add(uint64(len(q.ids)))
	q.ns.stats.matchedFromStore.Add(uint64(len(q.ids) - kept))
	return len(q.ids), err
}

// extend appends what the index has of ids behind the positions that are there.
func (q *Sequence) extend(ids []int32) error {
	first := len(q.ids) / BlockTokens
	found, err := q.chain(ids, first)
	has := func(b int) bool {
		switch {
		case b < first:
			return !q.entries[b].windowless
		case b < first+len(found):
			return !found[b-first].windowless
		}
		return true
	}
	whole := (first + len(found)) * BlockTokens
	end := q.ns.lay.usable(whole, has)
	if end < whole { // with rows of a tail behind them, some before may not be seen any more
		if tail := whole + q.tailBehind(found, ids[whole:]); q.ns.lay.usable(tail, has) == tail {
			end = whole
		}
	}
	keep := 0
	if end > len(q.ids) {
		keep = end/BlockTokens - first
	}
	for _, e := range slices.Backward(found[keep:]) {
		q.ns.release(e.block)
	}
	if keep > 0 {
		if len(q.entries) > first { // our own rows of the same tokens, not needed any more
			q.drop(first)
		}
		for _, e := range found[:keep] {
			q.entries = append(q.entries, e)
			q.watch(e.block)
		}
		q.ids = append(q.ids[:first*BlockTokens], ids[first*BlockTokens:end]...)
		q.reserved = end
	}
	if err == nil {
		err = q.extendTail(ids)
	}
	if end := q.usable(len(q.ids)); end < len(q.ids) { // a tail was not there after all
		if e := q.truncate(end); !errors.Is(e, ErrLost) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// tailBehind returns how many of ids extendTail would find behind found.
func (q *Sequence) tailBehind(found []entry, ids []int32) int {
	if len(found) == 0 {
		return 0
	}
	b, length := q.ns.bestChild(found[len(found)-1].block, ids)
	if b != nil {
		q.ns.release(b)
	}
	return length
}

// chain returns the blocks of ids that the index has from block first on, pinned. The error wraps ErrNoMemory.
func (q *Sequence) chain(ids []int32, first int) (found []entry, err error) {
	n, parent := q.ns, q.parent(first)
	for at := first * BlockTokens; len(ids) >= at+BlockTokens; at += BlockTokens {
		next := ids[at : at+BlockTokens]
		b := n.find(parent, pathHash(&parent.hash, next), next, at)
		if b == nil {
			break
		}
		e, err := n.entryOf(b)
		if errors.Is(err, ErrNoMemory) {
			n.release(b)
			return found, err
		} else if err != nil {
			n.discard(b)
			at -= BlockTokens // what it replaced may be there
			continue
		}
		found, parent = append(found, e), b
	}
	return found, nil
}

// extendTail copies rows of the block that shares the longest prefix with what follows, if that is more than we have.
func (q *Sequence) extendTail(ids []int32) error {
	n := q.ns
	b := len(q.ids) / BlockTokens
	at := b * BlockTokens
	ids = ids[:min(len(ids), at+BlockTokens-1)] // a tail is never a whole block
	for {
		source, length := n.bestChild(q.parent(b), ids[at:])
		if source == nil || length <= len(q.ids)-at {
			if source != nil {
				n.release(source)
			}
			return nil
		}
		if len(q.entries) == b {
			buf, err := n.getBuffer()
			if err != nil {
				n.release(source)
				return err
			}
			q.entries = append(q.entries, entry{data: buf})
		}
		err := n.copyTail(q.entries[b].data, source, length)
		switch {
		case err == nil:
			n.release(source)
			q.ids = append(q.ids[:at], ids[at:at+length]...)
			q.reserved = len(q.ids)
			return nil
		case errors.Is(err, ErrNoMemory):
			n.release(source)
			q.dropEmptyTail()
			return err
		default:
			if errors.Is(err, errDamaged) {
				n.discard(source)
			} else { // it just turned out to be windowless: not to be chosen again
				n.release(source)
			}
			if q.ids = q.ids[:at]; len(q.entries) > b { // what we had of the tail may be overwritten
				q.drop(b)
			}
			q.reserved = at
		}
	}
}

// dropEmptyTail releases a tail buffer that holds no committed position.
func (q *Sequence) dropEmptyTail() {
	if b := len(q.entries) - 1; b >= 0 && b*BlockTokens >= len(q.ids) {
		q.drop(b)
	}
}

// copyTail copies the first length tokens of a pinned block to a private one; dst is undefined if that fails.
func (n *Namespace) copyTail(dst []byte, source *block, length int) error {
	if source.full() {
		e, err := n.entryOf(source)
		if err != nil {
			return err
		}
		if e.windowless {
			return errNoWindow
		}
		windows, err := n.copyVerified(dst, &e, length)
		if err == nil && !windows {
			err = errNoWindow
		}
		return err
	}
	buf, err := n.getBuffer()
	if err != nil {
		return err
	}
	defer n.putBuffer(buf)
	if err := n.readChecked(source, buf); err != nil {
		return err
	}
	n.lay.unpack(dst, buf, length)
	return nil
}

// Truncate forgets the positions from n on, and any reservation. Rows of a sealed block that stay are copied to a private
// one. With a state the sequence ends at a snapshot, which State returns. The error wraps ErrReserve (n > Len) or ErrNoMemory (the sequence is unchanged), ErrLost (it then ends before n: see Len) or
// ErrClosed.
func (q *Sequence) Truncate(n int) error {
	if q.closed {
		return ErrClosed
	}
	if n < 0 || n > len(q.ids) {
		return fmt.Errorf("%w: truncate to %d, have %d", ErrReserve, n, len(q.ids))
	}
	if q.ns.lay.state != nil && n < len(q.ids) {
		return q.goBack(n)
	}
	return q.truncate(n)
}

// truncate is Truncate for the rows alone.
func (q *Sequence) truncate(n int) error {
	if end := q.usable(n); end < n {
		return q.lose(n, end, errNoWindow)
	}
	keep := (n + BlockTokens - 1) / BlockTokens
	if r := n % BlockTokens; r != 0 && q.entries[keep-1].block != nil {
		buf, err := q.ns.getBuffer()
		if err != nil {
			return err
		}
		e := &q.entries[keep-1]
		windows, err := q.ns.copyVerified(buf, e, r)
		switch {
		case errors.Is(err, ErrNoMemory):
			q.ns.putBuffer(buf)
			return err
		case err != nil:
			q.ns.putBuffer(buf)
			q.ns.forget(e.block)
			return q.lose(n, n-r, err)
		case !windows: // they have just turned out to be damaged
			q.ns.putBuffer(buf)
			e.windowless = true
			return q.lose(n, n-r, errNoWindow)
		}
		for len(q.entries) > keep {
			q.drop(len(q.entries) - 1)
		}
		q.ns.release(e.block)
		*e = entry{data: buf} // all its planes are there: it is of the blocks that are seen from n
	}
	for len(q.entries) > keep {
		q.drop(len(q.entries) - 1)
	}
	q.restored = q.restored && n == len(q.ids)
	q.ids = q.ids[:n]
	q.reserved = n
	q.keepAt = min(q.keepAt, n)
	return nil
}

// drop releases entry b, the last one.
func (q *Sequence) drop(b int) {
	e := q.entries[b]
	q.entries = q.entries[:b]
	if e.block != nil {
		q.ns.release(e.block)
	} else {
		q.ns.putBuffer(e.data)
	}
}

// Close releases all blocks without writing the tail (see Flush). Further calls return ErrClosed.
func (q *Sequence) Close() error {
	if q.closed {
		return ErrClosed
	}
	q.closed = true
	for len(q.entries) > 0 {
		q.drop(len(q.entries) - 1)
	}
	q.ids, q.reserved = nil, 0
	q.ns.mu.Lock()
	defer q.ns.mu.Unlock()
	q.ns.unpin(q.root)
	q.ns.nOpen--
	return nil
}
