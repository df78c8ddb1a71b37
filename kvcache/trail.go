package kvcache

import "slices"

// along calls visit with the indexed blocks that hold rows of the path ids: the FULL ones from its beginning, and the PACKED
// ones that end in it. Needs n.mu.
func (n *Namespace) along(ids []int32, visit func(*block)) {
	parent := n.roots[rootHash(n.fp, n.lay.recipeHash, nil)]
	for parent != nil {
		next := ids[:min(len(ids), BlockTokens)]
		for _, c := range parent.children {
			if !c.full() && commonPrefix(c.ids, next) == len(c.ids) {
				visit(c)
			}
		}
		if len(next) < BlockTokens {
			return
		}
		b := n.blocks[pathHash(&parent.hash, next)]
		if b == nil || b.parent != parent || !slices.Equal(b.ids, next) {
			return
		}
		visit(b)
		parent, ids = b, ids[BlockTokens:]
	}
}

// trail is every path that a conversation ever went, block by block: what follows a path hash, at most 64 tokens each, in
// lexical order.
type trail map[Hash][][]int32

// trailOf follows a conversation back through all that it has forgotten. Its cost is that of its tokens, each counted once.
func trailOf(c *Conversation, root Hash) trail {
	w := trailWalk{trail: trail{}, hashes: []Hash{root}}
	for _, t := range c.Turns {
		w.push(t.IDs)
	}
	w.end()
	for _, f := range slices.Backward(c.forgotten) {
		w.keep(f.keep)
		for _, ids := range f.turns {
			w.push(ids)
		}
		w.end()
	}
	for _, follow := range w.trail {
		slices.SortFunc(follow, slices.Compare)
	}
	return w.trail
}

// has reports whether a block of these ids below parent lies on the trail; without ids, parent.
func (t trail) has(parent *Hash, ids []int32) bool {
	follow, on := t[*parent]
	if len(ids) == 0 {
		return on
	}
	i, _ := slices.BinarySearchFunc(follow, ids, slices.Compare) // what begins with ids is not before ids
	return i < len(follow) && commonPrefix(follow[i], ids) == len(ids)
}

type trailWalk struct {
	trail  trail
	ids    []int32
	turns  []int  // positions at which turns end
	hashes []Hash // of the root and of the blocks before the position
}

func (w *trailWalk) push(ids []int32) {
	w.ids = append(w.ids, ids...)
	w.turns = append(w.turns, len(w.ids))
	for len(w.hashes)*BlockTokens <= len(w.ids) {
		h := w.note(BlockTokens)
		w.hashes = append(w.hashes, h)
		if _, on := w.trail[h]; !on {
			w.trail[h] = nil // also if nothing follows: a snapshot may be here
		}
	}
}

// end notes the tokens behind the last full block.
func (w *trailWalk) end() {
	if n := len(w.ids) % BlockTokens; n > 0 {
		w.note(n)
	}
}

// note puts the next n tokens on the trail and returns the path hash behind them.
func (w *trailWalk) note(n int) Hash {
	last := len(w.hashes) - 1
	parent := w.hashes[last]
	next := slices.Clone(w.ids[last*BlockTokens:][:n])
	w.trail[parent] = append(w.trail[parent], next)
	return pathHash(&parent, next)
}

// keep goes back to the end of the first n turns.
func (w *trailWalk) keep(n int) {
	w.turns = w.turns[:n]
	at := 0
	if n > 0 {
		at = w.turns[n-1]
	}
	w.ids, w.hashes = w.ids[:at], w.hashes[:at/BlockTokens+1]
}
