package token

// symbol is a stretch of a word that merging treats as one.
type symbol struct {
	start      int32  // first byte in the word
	id         int32  // token, virtual symbol, or -1: a character that is no token
	rank       uint32 // of the merge with the next symbol, noRank for none
	result     int32  // what that merge makes
	prev, next int32  // neighbours, -1 for none; used by mergeLong only
}

// longWord is the number of symbols from which a heap beats looking at all pairs before each merge.
const longWord = 40

// merge applies the merges of the vocabulary to the symbols of a word: at each step the lowest rank, the leftmost where
// ranks are equal, until no pair merges. It returns the symbols left. A word of n symbols takes O(n log n).
func (t *Tokenizer) merge(sc *scratch, word []byte, syms []symbol) []symbol {
	if len(syms) < 2 {
		return syms
	}
	for i := range syms[:len(syms)-1] {
		t.pair(word, syms, i)
	}
	syms[len(syms)-1].rank = noRank
	if len(syms) >= longWord {
		return t.mergeLong(sc, word, syms)
	}
	for {
		best, at := noRank, 0
		for i := range syms[:len(syms)-1] {
			if syms[i].rank < best {
				best, at = syms[i].rank, i
			}
		}
		if best == noRank {
			return syms
		}
		syms[at].id = syms[at].result
		copy(syms[at+1:], syms[at+2:])
		syms = syms[:len(syms)-1]
		if at+1 < len(syms) {
			t.pair(word, syms, at)
		} else {
			syms[at].rank = noRank
		}
		if at > 0 {
			t.pair(word, syms, at-1)
		}
	}
}

// pair sets the merge of symbol i with symbol i+1.
func (t *Tokenizer) pair(word []byte, syms []symbol, i int) {
	end := int32(len(word))
	if i+2 < len(syms) {
		end = syms[i+2].start
	}
	syms[i].rank, syms[i].result = t.mergeOf(word, syms[i].start, end, syms[i].id, syms[i+1].id)
}

// mergeOf returns the merge of two neighbouring symbols that together are word[start:end].
func (t *Tokenizer) mergeOf(word []byte, start, end, left, right int32) (uint32, int32) {
	if t.bpe {
		return t.pairs.find(left, right)
	}
	if int(end-start) > t.longest {
		return noRank, -1
	}
	id := t.text.find(word[start:end])
	if id < 0 {
		return noRank, -1
	}
	return t.ranks[id], id
}

// mergeLong is merge for long words: symbols in a linked list, candidates in a heap ordered by rank and position.
// An entry of the heap counts if its symbol still has that rank.
func (t *Tokenizer) mergeLong(sc *scratch, word []byte, syms []symbol) []symbol {
	h := sc.heap[:0]
	for i := range syms {
		syms[i].prev, syms[i].next = int32(i)-1, int32(i)+1
		if syms[i].rank != noRank {
			h = append(h, uint64(syms[i].rank)<<32|uint64(i))
		}
	}
	syms[len(syms)-1].next = -1
	for i := len(h)/2 - 1; i >= 0; i-- {
		siftDown(h, i)
	}
	refresh := func(i int32) {
		s := &syms[i]
		s.rank = noRank
		if s.next < 0 {
			return
		}
		right := &syms[s.next]
		end := int32(len(word))
		if right.next >= 0 {
			end = syms[right.next].start
		}
		s.rank, s.result = t.mergeOf(word, s.start, end, s.id, right.id)
		if s.rank != noRank {
			h = append(h, uint64(s.rank)<<32|uint64(i))
			siftUp(h, len(h)-1)
		}
	}
	for len(h) > 0 {
		top := h[0]
		h[0] = h[len(h)-1]
		h = h[:len(h)-1]
		siftDown(h, 0)
		i := int32(uint32(top))
		s := &syms[i]
		if s.rank != uint32(top>>32) {
			continue
		}
		gone := &syms[s.next]
		s.id = s.result
		s.next = gone.next
		gone.rank = noRank
		if s.next >= 0 {
			syms[s.next].prev = i
		}
		refresh(i)
		if s.prev >= 0 {
			refresh(s.prev)
		}
	}
	sc.heap = h
	out := syms[:0]
	for i := int32(0); i >= 0; {
		s := syms[i]
		out = append(out, s)
		i = s.next
	}
	return out
}

func siftUp(h []uint64, i int) {
	for i > 0 {
		p := (i - 1) / 2
		if h[p] <= h[i] {
			return
		}
		h[p], h[i] = h[i], h[p]
		i = p
	}
}

func siftDown(h []uint64, i int) {
	for {
		c := 2*i + 1
		if c >= len(h) {
			return
		}
		if c+1 < len(h) && h[c+1] < h[c] {
			c++
		}
		if h[i] <= h[c] {
			return
		}
		h[c], h[i] = h[i], h[c]
		i = c
	}
}
