package kvcache

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// kvClaim is how much of a path must be found in images of the calls [from, to].
type kvClaim struct {
	from, to    int
	ns          int
	salt        []byte
	ids         []int32
	kill, power tokensFound
}

// tokensFound is a length, and the snapshot that finding it depends on; nil: none.
type tokensFound struct {
	n        int
	snapshot *state
}

const forever = math.MaxInt

// claim records what must be found of the path of an open sequence from here on; flushed: all that is stored is durable.
func (w *world) claim(t *dialogue, flushed bool) {
	stored := 0
	n := t.seq.ns
	n.mu.Lock()
	for _, e := range t.seq.entries {
		if e.block == nil || e.block.seg == nil || e.block.dropped {
			break
		}
		stored += BlockTokens
	}
	usable := func(tokens int) int {
		return n.lay.usable(tokens, func(b int) bool { return !t.seq.entries[b].block.windowless })
	}
	stored = usable(stored)
	found, earlier := tokensFound{n: stored}, tokensFound{}
	if c := t.claimNow(); c != nil {
		earlier = c.power
	}
	if n.lay.state == nil {
		earlier.n = usable(min(earlier.n, stored))
	} else {
		found = tokensFound{}
		if s := w.lastSnapshot(t.seq, stored); s != nil {
			found = tokensFound{s.pos(), s}
		}
		if earlier.n > stored {
			earlier = tokensFound{}
		}
	}
	n.mu.Unlock()
	w.unclaim(t)
	c := kvClaim{from: w.now(), to: forever, ns: t.ns, salt: t.salt, ids: slices.Clone(t.seq.ids[:stored]), kill: found, power: earlier}
	if flushed {
		c.power = found
		if found.snapshot != nil {
			w.did["durable snapshot"]++
		}
	}
	t.claims = append(t.claims, c)
}

// claimNow returns the claim that holds now, or nil.
func (t *dialogue) claimNow() *kvClaim {
	if last := len(t.claims) - 1; last >= 0 && t.claims[last].to == forever {
		return &t.claims[last]
	}
	return nil
}

// dropped reports whether the store has taken a snapshot that the claim depends on for another one.
func (c *kvClaim) dropped() bool {
	gone := func(s *state) bool { return s != nil && s.dropped }
	return gone(c.kill.snapshot) || gone(c.power.snapshot)
}

// lastSnapshot returns the stored snapshot at which a path of n positions will be taken up, if there is one: one that this process was given or
// has read. Of others there may be no more than the header. Its rows of the window are kept: no script goes as far beyond it as it takes to
// lose them. Needs n.mu.
func (w *world) lastSnapshot(q *Sequence, n int) (last *state) {
	for b := n / BlockTokens; b >= 0 && last == nil; b-- {
		node := q.ns.node(q.parent(b))
		if node == nil {
			continue
		}
		for _, s := range node.states {
			end := b*BlockTokens + len(s.ids)
			if end <= n && s.seg != nil && !s.seg.failed && (s.proven || w.given[s.hash]) && slices.Equal(s.ids, q.ids[b*BlockTokens:end]) && (last == nil || last.pos() < end) {
				last = s
			}
		}
	}
	return last
}

// disclaim ends, as of the call before what was just done, the claims whose snapshot it has taken for another one: rows are held, snapshots are not.
func (w *world) disclaim(begun int) {
	for _, t := range w.talks {
		if c := t.claimNow(); c != nil && c.dropped() {
			c.to = begun
		}
	}
}

// put takes a snapshot of the state, as an engine does now and then.
func (w *world) put(t *dialogue) {
	if t.seq.ns.lay.state == nil || t.seq.Len() == 0 {
		return
	}
	begun := w.now()
	w.must(t.seq.PutState(w.rows.state(t.seq, t.seq.ids)))
	b := t.seq.Len() / BlockTokens
	w.given[stateHash(&t.seq.parent(b).hash, t.seq.ids[b*BlockTokens:])] = true
	w.disclaim(begun)
	w.did["snapshot"]++
}

// took follows a call that may have moved the sequence: its state is known, either from a snapshot or because it is where it was.
func (w *world) took(t *dialogue) {
	switch {
	case t.seq.ns.lay.state == nil:
		return
	case t.seq.State() != nil:
		w.did["restored snapshot"]++
	case t.seq.Len() > 0 && !slices.Equal(t.behind, t.seq.ids):
		w.must(fmt.Errorf("%s: at %d tokens without a state, which is known behind %d", t.name, t.seq.Len(), len(t.behind)))
	}
	t.behind = slices.Clone(t.seq.ids)
}

// unclaim ends the claim on the path: the next call may shorten or give up the sequence.
func (w *world) unclaim(t *dialogue) {
	if c := t.claimNow(); c != nil {
		c.to = w.now()
	}
}

// match makes the sequence hold what is stored of the path.
func (w *world) match(t *dialogue) {
	ids := t.ids()
	if commonPrefix(t.seq.ids, ids) < len(t.seq.ids) {
		w.unclaim(t)
	}
	_, err := t.seq.Match(ids)
	w.must(err)
	w.checkRows(t)
	w.claim(t, false)
}

// compute makes the rows that are missing of the path.
func (w *world) compute(t *dialogue) {
	ids := t.ids()
	for t.seq.Len() < len(ids) {
		begun, n := w.now(), min(1+w.r.IntN(130), len(ids)-t.seq.Len())
		err := t.seq.Reserve(n)
		w.took(t)
		if errors.Is(err, ErrLost) && w.faulty {
			w.unclaim(t)
			continue
		}
		w.must(err)
		at := t.seq.Len()
		w.rows.write(t.seq, ids, at, n)
		w.must(t.seq.Commit(ids[at : at+n]))
		t.behind = slices.Clone(t.seq.ids)
		if w.r.IntN(2) == 0 {
			w.put(t)
		}
		w.disclaim(begun)
	}
	if w.r.IntN(3) == 0 {
		w.put(t)
	}
	w.checkRows(t)
	w.claim(t, false)
}

func (w *world) checkRows(t *dialogue) {
	w.took(t)
	if at := w.rows.wrong(t.seq); at >= 0 {
		w.must(fmt.Errorf("%s: rows of the block at %d are not those of its tokens", t.name, at))
	}
}
