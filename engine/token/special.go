package token

import (
	"cmp"
	"slices"
)

// trie recognises special tokens in a text. Nodes lie in breadth-first order with the children of a node side by side,
// sorted by their byte.
type trie struct {
	nodes []trieNode
	first [256]bool // bytes that some token starts with
	size  int       // tokens
}

type trieNode struct {
	child int32 // index of the first child
	n     int16 // number of children
	b     byte
	id    int32 // token that ends here, -1 for none
}

type trieEntry struct {
	text []byte
	id   int32
}

// newTrie builds a trie; of two entries with the same text the lowest id stays. Entries are reordered.
func newTrie(entries []trieEntry) trie {
	slices.SortFunc(entries, func(a, b trieEntry) int {
		return cmp.Or(slices.Compare(a.text, b.text), cmp.Compare(a.id, b.id))
	})
	t := trie{nodes: []trieNode{{id: -1}}, size: len(entries)}
	type span struct{ node, lo, hi, depth int }
	queue := []span{{0, 0, len(entries), 0}}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		lo := s.lo
		for lo < s.hi && len(entries[lo].text) == s.depth {
			if t.nodes[s.node].id < 0 {
				t.nodes[s.node].id = entries[lo].id
			}
			lo++
		}
		t.nodes[s.node].child = int32(len(t.nodes))
		for lo < s.hi {
			b, end := entries[lo].text[s.depth], lo
			for end < s.hi && entries[end].text[s.depth] == b {
				end++
			}
			t.nodes[s.node].n++
			queue = append(queue, span{len(t.nodes), lo, end, s.depth + 1})
			t.nodes = append(t.nodes, trieNode{b: b, id: -1})
			if s.depth == 0 {
				t.first[b] = true
			}
			lo = end
		}
	}
	return t
}

func (t *trie) step(node int32, b byte) int32 {
	nd := t.nodes[node]
	lo, hi := nd.child, nd.child+int32(nd.n)
	for hi-lo > 8 {
		if mid := (lo + hi) / 2; t.nodes[mid].b > b {
			hi = mid
		} else {
			lo = mid
		}
	}
	for ; lo < hi; lo++ {
		if t.nodes[lo].b == b {
			return lo
		}
	}
	return -1
}

// next finds the first special token in text at or after from, the longest where several start at the same byte. It
// returns id -1 where there is none.
func (t *trie) next(text []byte, from int) (start, end int, id int32) {
	if t.size == 0 {
		return len(text), len(text), -1
	}
	for start = from; start < len(text); start++ {
		if !t.first[text[start]] {
			continue
		}
		id = -1
		node := int32(0)
		for i := start; i < len(text); i++ {
			if node = t.step(node, text[i]); node < 0 {
				break
			}
			if t.nodes[node].id >= 0 {
				id, end = t.nodes[node].id, i+1
			}
		}
		if id >= 0 {
			return start, end, id
		}
	}
	return len(text), len(text), -1
}

// lookup returns the id of the token that is exactly text, or -1.
func (t *trie) lookup(text []byte) int32 {
	if t.size == 0 {
		return -1
	}
	node := int32(0)
	for _, b := range text {
		if node = t.step(node, b); node < 0 {
			return -1
		}
	}
	return t.nodes[node].id
}
