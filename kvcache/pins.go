package kvcache

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"slices"

	"kvasir/platform/vfs"
)

// Sizes and values of FORMAT.md, section 13: the file pins.
const (
	pinsMagic      = "KVPINS1\n"
	pinsFixedBytes = 20
	pinFixedBytes  = 38
	maxPins        = 4096
	maxLabelBytes  = 128
	maxPinsBytes   = pinsFixedBytes + maxPins*(pinFixedBytes+4*(BlockTokens-1)+maxLabelBytes) + 4
)

// Pins may take three quarters of the cap: what is pinned is of use only as long as something can be stored beside it.
const maxPinnedQuarters = 3

// Errors of pins.
var (
	// ErrNotStored: no row of the path is on disk.
	ErrNotStored = errors.New("nothing of it is stored")
	// ErrPinLimit: with this pin too little of the cap would be left to evict.
	ErrPinLimit = errors.New("too much would be pinned")
	// ErrNoPin: there is no pin of that label.
	ErrNoPin = errors.New("no such pin")
	// ErrNotDurable: the store's disk is not written by this process, so it cannot keep a pin.
	ErrNotDurable = errors.New("the kv store is not writable here")

	errPins = errors.New("unusable pins")
)

// SessionPin is the label of the pin of a session. It goes with the session, or, if another process has the store then, with the next
// Collect.
func SessionPin(name string) string { return "session " + name }

// Pin is a path of tokens whose stored blocks are not evicted.
type Pin struct {
	Label  string
	Tokens int // of the path
	Stored int // of these, in blocks that are there
}

// pin is a Pin in force. Guarded by Namespace.mu.
type pin struct {
	label string
	leaf  Hash    // of the last FULL block of the path, or the root
	full  int     // tokens up to the end of the leaf
	tail  []int32 // the tokens behind it, fewer than a block
	node  *block  // the deepest block of the path that is there, if its leaf is; each block up to it counts the pin in kept
}

// stored returns how many tokens of the path are in blocks.
func (p *pin) stored() int {
	switch {
	case p.node == nil:
		return 0
	case p.node.hash == p.leaf:
		return p.full
	}
	return p.full + len(p.tail)
}

// Pin keeps the stored part of the path ids, without a salt, from being evicted, durably and also when it is computed again, until
// Unpin. It returns how many tokens that are. A pin of the same label is replaced. The error wraps ErrName, ErrNotStored,
// ErrPinLimit, ErrNotDurable...; nothing is changed then.
func (n *Namespace) Pin(label string, ids []int32) (tokens int, err error) {
	if err := checkText(label, maxLabelBytes); err != nil {
		return 0, err
	}
	if err := n.pinnable(); err != nil {
		return 0, err
	}
	d := n.disk
	d.store.pinMu.Lock()
	defer d.store.pinMu.Unlock()
	elsewhere := d.store.pinnedBytes(n)

	n.mu.Lock()
	p := n.pathPin(ids)
	if p.full+len(p.tail) == 0 {
		n.mu.Unlock()
		return 0, fmt.Errorf("pin %q: %w", label, ErrNotStored)
	}
	p.label = label
	old := n.pins[label]
	if old != nil {
		n.detach(old)
	}
	n.attach(p)
	n.pins[label] = p
	total, limit := elsewhere+n.pinnedBytes(), d.store.opt.MaxBytes/4*maxPinnedQuarters
	if total > limit {
		err = fmt.Errorf("pin %q: %w: %d bytes in all, of the %d that may be (%d/4 of the cap)", label, ErrPinLimit, total, limit, maxPinnedQuarters)
	} else if old == nil && len(n.pins) > maxPins {
		err = fmt.Errorf("pin %q: %w: more than %d pins", label, ErrPinLimit, maxPins)
	}
	b := n.encodePins()
	n.mu.Unlock()
	if err == nil {
		err = d.replacePins(b)
	}
	if err != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.detach(p)
		delete(n.pins, label)
		if old != nil {
			n.attach(old)
			n.pins[label] = old
		}
		return 0, err
	}
	return p.full + len(p.tail), nil
}

// RenewPin puts a pin of that label, if there is one, to where the sequence has come: a conversation that goes on stays pinned as a
// whole. Call it after Flush. The error is as that of Pin; the pin is then as it was.
func (q *Sequence) RenewPin(label string) error {
	n := q.ns
	n.mu.Lock()
	p := n.pins[label]
	if p != nil {
		if path := n.pathPin(q.ids); path.leaf == p.leaf && slices.Equal(path.tail, p.tail) {
			p = nil // it is there already
		}
	}
	n.mu.Unlock()
	if p == nil {
		return nil
	}
	_, err := n.Pin(label, q.ids)
	return err
}

// Unpin removes a pin. The error wraps ErrNoPin, ErrNotDurable...
func (n *Namespace) Unpin(label string) error {
	if err := n.pinnable(); err != nil {
		return err
	}
	d := n.disk
	d.store.pinMu.Lock()
	defer d.store.pinMu.Unlock()
	n.mu.Lock()
	p := n.pins[label]
	if p == nil {
		n.mu.Unlock()
		return fmt.Errorf("%w: %q", ErrNoPin, label)
	}
	delete(n.pins, label)
	b := n.encodePins()
	n.pins[label] = p // it counts, and moves with blocks that are replaced, until the file is there
	n.mu.Unlock()
	if err := d.replacePins(b); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.detach(p)
	delete(n.pins, label)
	return nil
}

// Pins lists the pins, by label.
func (n *Namespace) Pins() []Pin {
	n.mu.Lock()
	defer n.mu.Unlock()
	pins := make([]Pin, 0, len(n.pins))
	for _, p := range n.pins {
		pins = append(pins, Pin{p.label, p.full + len(p.tail), p.stored()})
	}
	slices.SortFunc(pins, func(a, b Pin) int { return cmp.Compare(a.Label, b.Label) })
	return pins
}

func (n *Namespace) pinnable() error {
	if n.disk == nil || n.disk.store.readOnly || n.disk.broken.Load() {
		return ErrNotDurable
	}
	return n.disk.pinsErr
}

// pathPin returns a pin of the stored part of ids. Needs n.mu.
func (n *Namespace) pathPin(ids []int32) *pin {
	p := &pin{leaf: rootHash(n.fp, n.lay.recipeHash, nil)}
	node := n.roots[p.leaf]
	for node != nil && len(ids)-p.full >= BlockTokens {
		b := n.blocks[pathHash(&node.hash, ids[p.full:p.full+BlockTokens])]
		if b == nil || b.seg == nil || !slices.Equal(b.ids, ids[p.full:p.full+BlockTokens]) {
			break
		}
		node, p.leaf, p.full = b, b.hash, p.full+BlockTokens
	}
	if node == nil {
		return p
	}
	rest := ids[p.full:min(len(ids), p.full+BlockTokens-1)]
	for _, c := range node.children {
		if m := commonPrefix(c.ids, rest); c.seg != nil && m > len(p.tail) {
			p.tail = slices.Clone(rest[:m])
		}
	}
	return p
}

// attach finds the blocks of a pin's path in the index and counts it in them. Needs n.mu.
func (n *Namespace) attach(p *pin) {
	leaf := n.blocks[p.leaf]
	if leaf == nil {
		leaf = n.roots[p.leaf]
	}
	if leaf == nil || leaf.ids != nil && leaf.firstPos+BlockTokens != p.full {
		return
	}
	p.node = leaf
	if len(p.tail) > 0 {
		for _, c := range leaf.children {
			if commonPrefix(c.ids, p.tail) == len(p.tail) && !c.windowless && (p.node == leaf || len(c.ids) > len(p.node.ids)) {
				p.node = c
			}
		}
	}
	for b := p.node; b != nil && b.ids != nil; b = b.parent {
		b.kept++
		n.lru.remove(b)
	}
}

// detach takes a pin's counts back. Needs n.mu.
func (n *Namespace) detach(p *pin) {
	var free []*block
	for b := p.node; b != nil && b.ids != nil; b = b.parent {
		if b.kept--; b.kept == 0 && b.refs == 0 && !b.dropped {
			free = append(free, b)
		}
	}
	p.node = nil
	for _, b := range free { // the deepest first, as when a sequence lets go
		n.idle(b)
	}
}

// movePins makes the pins of a block those of another one that takes its place. Needs n.mu.
func (n *Namespace) movePins(from, to *block) {
	to.kept, from.kept = from.kept, 0
	for _, p := range n.pins {
		if p.node == from {
			p.node = to
		}
	}
}

// pinnedEnds returns the blocks in which pinned paths end, and at which position: where one ends inside a block, that of its
// begin. Needs n.mu.
func (n *Namespace) pinnedEnds() map[*block]int {
	ends := map[*block]int{}
	for _, p := range n.pins {
		if p.node != nil && p.node.ids != nil {
			ends[p.node] = min(p.full, p.node.firstPos+len(p.node.ids))
		}
	}
	return ends
}

// repin looks for the pins whose path leads through a block that has come into the index. Needs n.mu.
func (n *Namespace) repin(b *block) {
	for _, p := range n.pins {
		if p.leaf == b.hash || p.leaf == b.parent.hash {
			n.detach(p)
			n.attach(p)
		}
	}
}

// unkeep takes back the pins of blocks that left the index. Needs n.mu.
func (n *Namespace) unkeep() {
	for _, p := range n.pins {
		if p.node != nil && p.node.dropped {
			n.detach(p)
			n.attach(p)
		}
	}
}

// pinnedBytes returns what pinned blocks take of the cap. Needs n.mu.
func (n *Namespace) pinnedBytes() int64 {
	var blocks int64
	for _, b := range n.blocks {
		if b.kept > 0 && b.seg != nil {
			blocks++
		}
	}
	return blocks * int64(n.lay.slotBytes+headerBytes)
}

// pinnedBytes is the sum over all namespaces but one.
func (s *Store) pinnedBytes(but *Namespace) int64 {
	var sum int64
	for _, n := range s.all() {
		if n != but && n.disk != nil {
			n.mu.Lock()
			sum += n.pinnedBytes()
			n.mu.Unlock()
		}
	}
	return sum
}

// loadPins reads the pins of a namespace whose index is filled. A damaged file is none, and the next pin replaces it; one of
// another version is left as it is.
func (d *disk) loadPins(n *Namespace) {
	b, err := vfs.ReadFile(d.store.fs, filepath.Join(d.dir, "pins"), maxPinsBytes)
	if isNotExist(err) {
		return
	}
	var pins []*pin
	if err == nil {
		pins, err = decodePins(b)
	}
	if err != nil {
		d.setAside = append(d.setAside, fmt.Errorf("pins: %w", err))
		if errors.Is(err, errVersion) {
			d.pinsErr = err
		}
		return
	}
	for _, p := range pins {
		n.pins[p.label] = p
		n.attach(p)
	}
}

// replacePins makes b the file pins, durably.
func (d *disk) replacePins(b []byte) error {
	err := vfs.ReplaceFile(d.store.fs, filepath.Join(d.store.tmpDir(), filepath.Base(d.dir)+"-pins"), filepath.Join(d.dir, "pins"), b)
	if err != nil {
		return fmt.Errorf("pins: %w", err)
	}
	d.store.wrote(len(b))
	return nil
}

// encodePins needs n.mu.
func (n *Namespace) encodePins() []byte {
	le := binary.LittleEndian
	b := append(make([]byte, 0, pinsFixedBytes), pinsMagic...)
	b = le.AppendUint16(le.AppendUint16(b, formatMajor), formatMinor)
	b = le.AppendUint32(le.AppendUint32(b, 0), uint32(len(n.pins)))
	labels := make([]string, 0, len(n.pins))
	for label := range n.pins {
		labels = append(labels, label)
	}
	slices.Sort(labels)
	for _, label := range labels {
		p := n.pins[label]
		b = le.AppendUint32(append(b, p.leaf[:]...), uint32(p.full))
		b = append(b, byte(len(p.tail)), byte(len(label)))
		b = append(appendIDs(b, p.tail), label...)
	}
	le.PutUint32(b[12:], uint32(len(b)+4))
	return le.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodePins reads any bytes.
func decodePins(b []byte) ([]*pin, error) {
	le := binary.LittleEndian
	if len(b) < pinsFixedBytes+4 || string(b[:8]) != pinsMagic {
		return nil, fmt.Errorf("%w: no magic in %d bytes", errPins, len(b))
	}
	body := b[:len(b)-4]
	if got, want := le.Uint32(b[len(body):]), crc32.Checksum(body, castagnoli); got != want || int(le.Uint32(b[12:])) != len(b) {
		return nil, fmt.Errorf("%w: checksum %08x, want %08x; %d bytes, want %d", errPins, got, want, len(b), le.Uint32(b[12:]))
	}
	if major := le.Uint16(b[8:]); major != formatMajor {
		return nil, fmt.Errorf("%w: %w: major %d, want %d", errPins, errVersion, major, formatMajor)
	}
	count := int(le.Uint32(b[16:]))
	if count > maxPins {
		return nil, fmt.Errorf("%w: %d, want at most %d", errPins, count, maxPins)
	}
	p := &payload{b: body[pinsFixedBytes:]}
	pins := make([]*pin, 0, min(count, len(p.b)/pinFixedBytes))
	for range count {
		x := &pin{}
		copy(x.leaf[:], p.take(len(x.leaf)))
		x.full = p.u32()
		nTail, nLabel := p.u8(), p.u8()
		x.tail = p.ids(nil, nTail)
		x.label = string(p.take(nLabel))
		if p.bad || x.full%BlockTokens != 0 || nTail >= BlockTokens || checkText(x.label, maxLabelBytes) != nil {
			return nil, fmt.Errorf("%w: entry %d", errPins, len(pins))
		}
		pins = append(pins, x)
	}
	if len(p.b) > 0 {
		return nil, fmt.Errorf("%w: %d bytes behind the last entry", errPins, len(p.b))
	}
	return pins, nil
}
