package token

import (
	"bytes"
	"fmt"
	"math"
	"strings"
)

// What New makes of scores and merges: the order in which pairs merge.

// setScores prepares SentencePiece's merging: a rank from each score, the highest score first.
func (t *Tokenizer) setScores(scores []float32, reach []bool) {
	t.ranks = make([]uint32, t.nTokens)
	for id, s := range scores {
		bits := math.Float32bits(s + 0) // +0 makes -0 equal to 0
		if bits>>31 != 0 {
			bits = ^bits
		} else {
			bits |= 1 << 31
		}
		t.ranks[id] = ^bits
		if !reach[id] {
			continue
		}
		p := t.pieces.at(int32(id))
		t.longest = max(t.longest, len(p))
		for i := 1; i < len(p); i++ {
			if p[i] == ' ' {
				t.spaceAfter[p[i-1]] = true
			}
		}
	}
	for b := range t.byteID {
		if t.byteID[b] < 0 {
			t.byteID[b] = t.text.find([]byte{byte(b)})
		}
	}
	t.hasSpace = t.text.find([]byte{' '}) >= 0
	for i := range t.space {
		t.space[i] = t.byteID[blank[i]]
	}
}

// setMerges prepares byte-level merging. A half or a result that is no token gets a virtual id, so that merges through
// it work as they do on strings.
func (t *Tokenizer) setMerges(merges []string, reach []bool) error {
	for b := range t.byteID {
		if t.byteID[b] < 0 {
			t.byteID[b] = int32(t.nTokens + b)
		}
	}
	virtual := map[string]int32{}
	intern := func(s []byte) int32 {
		if len(s) == 1 {
			return t.byteID[s[0]]
		}
		if id := t.text.find(s); id >= 0 {
			return id
		}
		id, ok := virtual[string(s)]
		if !ok {
			id = int32(t.nTokens + 256 + len(virtual))
			virtual[string(s)] = id
		}
		return id
	}
	// Merges come in the order of their results, so the result is most often that of the merge before or the token after
	// it: looking there first spares a third of the searches.
	last := int32(0)
	result := func(s []byte) int32 {
		for id := last; id <= last+1 && int(id) < t.nTokens; id++ {
			if reach[id] && bytes.Equal(t.pieces.at(id), s) {
				last = id
				return id
			}
		}
		id := intern(s)
		if int(id) < t.nTokens {
			last = id
		}
		return id
	}
	t.pairs = newPairTable(len(merges))
	var buf []byte
	skipped := 0
	for rank, m := range merges {
		at := strings.IndexByte(m, ' ')
		if at <= 0 || at == len(m)-1 || strings.IndexByte(m[at+1:], ' ') >= 0 {
			return fmt.Errorf("%w: tokenizer.ggml.merges[%d] is %s, expected two tokens with one space between them", ErrBadVocab, rank, quote(m))
		}
		left, ok := appendByteLevel(buf[:0], m[:at])
		both, ok2 := appendByteLevel(left, m[at+1:])
		buf = both[:0]
		if !ok || !ok2 {
			skipped++
			continue
		}
		if t.nTokens+256+len(virtual)+3 >= 1<<symbolBits {
			return fmt.Errorf("%w: tokens and tokenizer.ggml.merges name more than %d different strings", ErrBadVocab, 1<<symbolBits)
		}
		t.pairs.add(intern(left), intern(both[len(left):]), uint32(rank), result(both))
	}
	if skipped > 0 {
		t.warn("%d merges name characters that stand for no byte: ignored", skipped)
	}
	return nil
}
