package kvcache

// Divergence says where a path of tokens leaves what a namespace holds.
type Divergence struct {
	Len    int     // tokens at the start of the path whose rows are there
	Stored []int32 // what stands behind these on the path that shares most, of several the one written last; nil if it ends there
	Empty  bool    // there are no blocks at all under the salt
	Lost   Loss    // what became of rows that would go further along the path, as far as this process knows
}

// Loss says what became of a block.
type Loss uint8

// The fates of a block. Those of earlier processes are only known as Gone, where blocks behind it are left. GivenBack says that
// blocks are there, but not all of their rows.
const (
	NotLost   Loss = iota
	Evicted        // to make room
	Damaged        // its checksum did not match
	Gone           // evicted or damaged, before this process
	GivenBack      // the rows of windowed layers that are needed to go on from there
)

// Divergence compares ids with the index: it reads no payload and changes nothing. Stored has at most most tokens.
func (q *Sequence) Divergence(ids []int32, most int) Divergence {
	n := q.ns
	n.mu.Lock()
	defer n.mu.Unlock()
	node := n.roots[q.root.hash]
	if node == nil {
		node = q.root
	}
	d := Divergence{Empty: len(node.children) == 0}
	var next Hash // of the block that is not there
	var windows []bool
	for len(ids)-d.Len >= BlockTokens {
		at := ids[d.Len : d.Len+BlockTokens]
		next = pathHash(&node.hash, at)
		b := n.lookup(node, next, at, d.Len)
		if b == nil {
			break
		}
		node, d.Len = b, d.Len+BlockTokens
		windows = append(windows, !b.windowless)
	}
	rest := ids[d.Len:]
	child, shared := nearest(node, rest, anyBlock)
	d.Lost = n.losses.of(&node.hash, &next, rest, shared)
	d.Len += shared
	if shared > 0 {
		windows = append(windows, !child.windowless)
	}
	// The last token is never asked for.
	if end := min(d.Len, len(ids)-1); end > 0 && n.lay.usable(end, func(b int) bool { return windows[b] }) < end {
		d.Lost = GivenBack
	}
	for from := shared; child != nil && len(d.Stored) < most; from = 0 {
		tokens := child.ids[from:]
		d.Stored = append(d.Stored, tokens[:min(len(tokens), most-len(d.Stored))]...)
		child, _ = nearest(child, nil, anyBlock)
	}
	return d
}

func anyBlock(*block) bool { return true }

// nearest returns the child of a block that shares most tokens with ids, of several the one written last, and how many; of the
// children that will do. nil if there are none.
func nearest(parent *block, ids []int32, will func(*block) bool) (best *block, shared int) {
	for _, c := range parent.children {
		if !will(c) {
			continue
		}
		if m := commonPrefix(c.ids, ids); best == nil || m > shared || m == shared && c.seq >= best.seq {
			best, shared = c, m
		}
	}
	return best, shared
}

// lossesKept is how many blocks that left the index are remembered.
const lossesKept = 256

// losses remembers which blocks left the index last, so that a user can be told why rows are not there. Guarded by
// Namespace.mu.
type losses struct {
	ring [lossesKept]loss
	next int
}

type loss struct {
	hash, parent Hash
	ids          []int32 // nil: only the hash is known
	why          Loss
}

func (l *losses) add(x loss) {
	l.ring[l.next] = x
	l.next = (l.next + 1) % lossesKept
}

// left notes that b leaves the index.
func (l *losses) left(b *block, why Loss) {
	if b.parent != nil && !b.dropped {
		l.add(loss{b.hash, b.parent.hash, b.ids, why})
	}
}

// of returns what became of a block below parent that has more than shared tokens of ids, or has the hash next. The latest
// loss counts.
func (l *losses) of(parent, next *Hash, ids []int32, shared int) Loss {
	for i := range lossesKept {
		x := &l.ring[(l.next-1-i+lossesKept)%lossesKept]
		if x.why == NotLost {
			break
		}
		if x.ids == nil && x.hash == *next || x.ids != nil && x.parent == *parent && commonPrefix(x.ids, ids) > shared {
			return x.why
		}
	}
	return NotLost
}
