package kvcache

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"kvasir/platform"
)

// Namespace holds the blocks of one fingerprint and geometry: an index in memory that sequences share, over segments on
// disk where there are any. Safe for concurrent use.
type Namespace struct {
	lay   *layout
	fp    Fingerprint
	disk  *disk // nil: blocks live in memory only
	stats *counters

	epoch atomic.Uint64 // raised when blocks in use lost their backing

	mu     sync.Mutex // guards what follows and the fields of every block
	blocks map[Hash]*block
	roots  map[Hash]*block
	states map[Hash]*state // snapshots, by state hash
	nUses  int64           // of snapshots, without a disk
	lru    blockList
	losses losses
	pins   map[string]*pin
	pool   [][]byte // idle buffers of slotBytes
	nOpen  int      // sequences not closed
	closed bool
}

// idleBuffers is how many idle buffers stay allocated: a full reservation and its tail, and scratch.
const idleBuffers = MaxReserve/BlockTokens + 4

// NewRAM returns a namespace without files, in which f32 rows are allowed too. A block lives as long as a sequence
// holds it. It returns an error that wraps ErrGeometry when g cannot be used.
func NewRAM(g Geometry) (*Namespace, error) {
	lay, err := newLayout(g)
	if err != nil {
		return nil, err
	}
	return newNamespace(lay, Fingerprint{}, new(counters)), nil
}

func newNamespace(lay *layout, fp Fingerprint, stats *counters) *Namespace {
	return &Namespace{lay: lay, fp: fp, stats: stats, blocks: map[Hash]*block{}, roots: map[Hash]*block{}, states: map[Hash]*state{}, pins: map[string]*pin{}}
}

// BlockBytes returns the bytes of one block of 64 tokens, in memory and on disk, its header apart.
func (n *Namespace) BlockBytes() int { return n.lay.slotBytes }

// TokenBytes returns the bytes of the rows of one token.
func (n *Namespace) TokenBytes() int { return n.lay.tokenBytes }

// Durable reports whether new blocks of this namespace go to disk at present.
func (n *Namespace) Durable() bool { return n.disk != nil && n.disk.writable() }

// NewSequence returns an empty sequence. The salt keeps the blocks of different users apart; it may be nil.
func (n *Namespace) NewSequence(salt []byte) *Sequence {
	h := rootHash(n.fp, n.lay.recipeHash, salt)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nOpen++
	root := n.root(h)
	n.pin(root)
	return &Sequence{
		ns:      n,
		root:    root,
		ids:     make([]int32, 0, 4096),
		entries: make([]entry, 0, 4096/BlockTokens),
		epoch:   n.epoch.Load(),
	}
}

// Close frees the memory of a namespace whose sequences are closed; with one still open it changes nothing and returns
// ErrBusy. A namespace of a Store is closed by the Store.
func (n *Namespace) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil
	}
	if n.nOpen > 0 {
		return fmt.Errorf("%w: %d sequences open", ErrBusy, n.nOpen)
	}
	n.closed = true
	var err error
	for _, b := range n.pool {
		err = errors.Join(err, platform.Unmap(b))
	}
	n.pool = nil
	for _, s := range n.states {
		n.freeState(s)
	}
	n.states = map[Hash]*state{}
	n.blocks, n.roots, n.lru, n.pins = map[Hash]*block{}, map[Hash]*block{}, blockList{}, map[string]*pin{}
	if n.disk != nil {
		n.disk.broken.Store(true)
	}
	return err
}

// getBuffer returns slotBytes of memory outside the Go heap; what it holds is arbitrary.
func (n *Namespace) getBuffer() ([]byte, error) {
	n.mu.Lock()
	if last := len(n.pool) - 1; last >= 0 {
		b := n.pool[last]
		n.pool = n.pool[:last]
		n.mu.Unlock()
		return b, nil
	}
	n.mu.Unlock()
	return n.lay.newBuffer()
}

// newBuffer returns a slot of zeros outside the Go heap, for platform.Unmap.
func (lay *layout) newBuffer() ([]byte, error) {
	b, err := platform.MapAnonymous(lay.slotBytes)
	if err != nil {
		return nil, fmt.Errorf("kv block of %d bytes: %w: %w", lay.slotBytes, ErrNoMemory, err)
	}
	return b, nil
}

func (n *Namespace) putBuffer(b []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.putBufferLocked(b)
}

func (n *Namespace) putBufferLocked(b []byte) {
	if len(n.pool) < idleBuffers {
		n.pool = append(n.pool, b)
		return
	}
	_ = platform.Unmap(b) // fails only for a slice that is not a mapping of ours
}

// rows returns the rows of a pinned FULL block in slot layout, after its checksums were compared once in this process.
func (n *Namespace) rows(b *block) ([]byte, error) {
	n.mu.Lock()
	ram := b.ram
	n.mu.Unlock()
	if ram != nil {
		return ram, nil
	}
	n.inspect(b.seg)
	if b.seg.spoiled.Load() {
		return nil, fmt.Errorf("%s: %w: %w", b.seg.name, errDamaged, errSpoiled)
	}
	if b.seg.view != nil && b.trusted() {
		return b.seg.slotView(b.slot), nil
	}
	buf, err := n.getBuffer()
	if err != nil {
		return nil, err
	}
	if err := n.readChecked(b, buf); err != nil {
		n.putBuffer(buf)
		return nil, err
	}
	if b.seg.view != nil {
		n.putBuffer(buf)
		return b.seg.slotView(b.slot), nil
	}
	// No mapping: the block is used from a copy until its last holder lets go.
	n.mu.Lock()
	defer n.mu.Unlock()
	if b.ram == nil {
		b.ram = buf
	} else {
		n.putBufferLocked(buf)
	}
	return b.ram, nil
}

// entryOf is rows for a path: it says as well which planes are there.
func (n *Namespace) entryOf(b *block) (entry, error) {
	rows, err := n.rows(b)
	n.mu.Lock()
	defer n.mu.Unlock()
	return entry{rows, b, b.windowless}, err
}

// readChecked reads the payload of a pinned stored block and compares its checksums. The error wraps errDamaged. A FULL block whose
// damage is in windowed layers alone becomes windowless.
func (n *Namespace) readChecked(b *block, buf []byte) error {
	payload := buf[:len(b.ids)*n.lay.tokenBytes]
	generation := b.seg.generation.Load()
	if _, err := b.seg.file.ReadAt(payload, b.seg.slotOff(b.slot)); err != nil {
		return fmt.Errorf("%s slot %d: %w: %w", b.seg.name, b.slot, errDamaged, err)
	}
	n.mu.Lock()
	windows := !b.windowless
	n.mu.Unlock()
	whole, err := n.lay.checkPayload(payload, len(b.ids), &b.hash, b.slot, b.crcs, b.seg.name, windows)
	if !verifyPayload {
		whole, err = windows, nil
	}
	if err != nil || windows && !whole {
		b.seg.confirm()
	}
	if err != nil {
		return err
	}
	if windows && !whole {
		n.stats.damagedBlocks.Add(1)
		n.mu.Lock()
		b.windowless = true
		n.mu.Unlock()
	}
	if b.verified.Swap(generation) == 0 {
		n.stats.verifiedBlocks.Add(1)
		n.mu.Lock()
		if b.replaces != nil {
			b.seg.unsynced = append(b.seg.unsynced, b)
		}
		n.mu.Unlock()
	}
	return nil
}

// distrustBlock drops a block, or puts that back which it replaces. Needs n.mu.
func (n *Namespace) distrustBlock(b *block) {
	if b.replaces != nil && !b.dropped {
		n.reinstate(b)
	} else {
		n.drop(b)
	}
}

// forget drops a block whose payload cannot be used.
func (n *Namespace) forget(b *block) {
	n.stats.damagedBlocks.Add(1)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.losses.left(b, Damaged)
	n.distrustBlock(b)
}

// discard is forget for a pinned block, which it releases.
func (n *Namespace) discard(b *block) {
	n.forget(b)
	n.release(b)
}

func (n *Namespace) release(b *block) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.unpin(b)
}
