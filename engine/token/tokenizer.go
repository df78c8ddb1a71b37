package token

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
)

// Tokenizer encodes and decodes with one vocabulary. It does not change after New and is safe for concurrent use.
type Tokenizer struct {
	bpe        bool
	pre        preTokenizer
	nTokens    int
	types      []uint8 // by id
	pieces     arena   // by id: the bytes that a token stands for
	text       index   // pieces that plain text can become
	all        trie    // special tokens that parsing recognises: control, unknown and user-defined
	user       trie    // the user-defined ones, recognised in any text
	byteID     [256]int32
	rstrip     []bool // by id; nil: none
	eog        []int32
	bos, eos   int32
	eot, eom   int32
	unk, pad   int32
	sep        int32
	addBOS     bool
	addEOS     bool
	prefix     bool // put a space before a text
	warnings   []string
	scratchBuf sync.Pool

	// Byte-level BPE: ids from nTokens up are virtual, symbols on the way to a token.
	pairs pairTable

	// SentencePiece
	ranks      []uint32 // by id: merge order, from the score
	longest    int      // bytes of the longest piece in text
	spaceAfter [256]bool
	space      [3]int32 // what a space becomes where no token is one: the bytes of "▁"
	hasSpace   bool
}

// blank is SentencePiece's mark for a space.
const blank = "▁"

// New builds a tokenizer. The error is ErrNoVocab, or wraps ErrUnsupported or ErrBadVocab. Time and memory grow with
// the size of v only.
func New(v Vocab) (*Tokenizer, error) {
	if err := v.check(); err != nil {
		return nil, err
	}
	n := len(v.Tokens)
	t := &Tokenizer{bpe: v.Model == "gpt2", nTokens: n, prefix: v.AddSpacePrefix && v.Model == "llama"}
	t.scratchBuf.New = func() any { return new(scratch) }
	if t.bpe {
		p, ok := preTokenizers[preName(v.Pre)]
		if !ok {
			return nil, fmt.Errorf("%w: tokenizer.ggml.pre is %s, expected one of %s", ErrUnsupported, quote(v.Pre), knownPreTokenizers())
		}
		t.pre = p
	}
	eog := t.setTypes(&v)
	if err := t.setRoles(&v, eog); err != nil {
		return nil, err
	}
	reach, err := t.setPieces(&v)
	if err != nil {
		return nil, err
	}
	t.setIndex(reach)
	t.setSpecials(&v)
	if t.bpe {
		err = t.setMerges(v.Merges)
	} else {
		t.setScores(v.Scores, reach)
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// setTypes fills types and returns the ids known by name to end an answer.
func (t *Tokenizer) setTypes(v *Vocab) map[int32]bool {
	t.types = make([]uint8, t.nTokens)
	for id := range t.types {
		t.types[id] = TypeNormal
		if v.Types != nil {
			if k := v.Types[id]; k >= TypeNormal && k <= TypeByte {
				t.types[id] = uint8(k)
			}
		}
	}
	eog := map[int32]bool{}
	applyNames(v.Tokens, t.types, eog)
	return eog
}

// setRoles fills the ids with a role.
func (t *Tokenizer) setRoles(v *Vocab, eog map[int32]bool) error {
	check := func(key string, id int32) int32 {
		if id < -1 || int(id) >= t.nTokens {
			t.warn("%s is %d, outside the vocabulary of %d tokens: ignored", key, id, t.nTokens)
			return -1
		}
		return id
	}
	t.bos = check("tokenizer.ggml.bos_token_id", v.BOS)
	t.eos = check("tokenizer.ggml.eos_token_id", v.EOS)
	t.eot = check("tokenizer.ggml.eot_token_id", v.EOT)
	t.eom = check("tokenizer.ggml.eom_token_id", v.EOM)
	t.unk = check("tokenizer.ggml.unknown_token_id", v.UNK)
	t.pad = check("tokenizer.ggml.padding_token_id", v.PAD)
	t.sep = check("tokenizer.ggml.seperator_token_id", v.SEP)
	t.addBOS, t.addEOS = v.AddBOS, v.AddEOS
	if t.addBOS && t.bos < 0 {
		return fmt.Errorf("%w: tokenizer.ggml.add_bos_token is true, but no token has that role", ErrBadVocab)
	}
	if t.addEOS && t.eos < 0 {
		return fmt.Errorf("%w: tokenizer.ggml.add_eos_token is true, but no token has that role", ErrBadVocab)
	}
	for _, id := range append([]int32{t.eos, t.eot, t.eom}, v.EOG...) {
		if id = check("end-of-generation id", id); id >= 0 {
			eog[id] = true
		}
	}
	for id := range eog {
		t.eog = append(t.eog, id)
	}
	slices.Sort(t.eog)
	return nil
}

// setPieces fills pieces and byteID. It returns which tokens plain text can become.
func (t *Tokenizer) setPieces(v *Vocab) ([]bool, error) {
	total := 0
	for _, s := range v.Tokens {
		total += len(s)
	}
	t.pieces = newArena(t.nTokens, total)
	for b := range t.byteID {
		t.byteID[b] = -1
	}
	reach := make([]bool, t.nTokens)
	for id, s := range v.Tokens {
		reach[id] = len(s) > 0 && (t.types[id] == TypeNormal || t.types[id] == TypeUserDefined || t.types[id] == TypeUnused)
		if t.bpe {
			t.addByteLevel(int32(id), s, reach)
		} else if err := t.addSentencePiece(int32(id), s, v.Types == nil, reach); err != nil {
			return nil, err
		}
		t.pieces.seal()
	}
	return reach, nil
}

// addByteLevel appends the piece of a byte-level token. Control and user-defined tokens stand for their own text.
func (t *Tokenizer) addByteLevel(id int32, s string, reach []bool) {
	mark := len(t.pieces.data)
	data, ok := appendByteLevel(t.pieces.data, s)
	if ok && reach[id] && len(data) == mark+1 && t.byteID[data[mark]] < 0 {
		t.byteID[data[mark]] = id
	}
	switch t.types[id] {
	case TypeControl, TypeUserDefined, TypeUnknown:
		if !ok || string(data[mark:]) != s {
			ok, data = false, append(data[:mark], s...)
		}
	default:
		if !ok {
			data = append(data, s...)
		}
	}
	t.pieces.data = data
	reach[id] = reach[id] && ok
}

// addSentencePiece appends the piece of a SentencePiece token.
func (t *Tokenizer) addSentencePiece(id int32, s string, untyped bool, reach []bool) error {
	b, isByte := parseByteToken(s)
	switch {
	case t.types[id] == TypeByte && !isByte:
		return fmt.Errorf("%w: tokenizer.ggml.tokens[%d] is of type byte and reads %s, expected \"<0xNN>\"", ErrBadVocab, id, quote(s))
	case isByte && (untyped || t.types[id] == TypeByte):
		t.types[id] = TypeByte
		reach[id] = false
		t.pieces.data = append(t.pieces.data, b)
		if t.byteID[b] < 0 {
			t.byteID[b] = id
		}
		return nil
	case t.types[id] == TypeNormal || t.types[id] == TypeUnused:
		if strings.Contains(s, " ") {
			reach[id] = false // a space is written "▁" before the vocabulary is searched
		}
		for {
			before, after, found := strings.Cut(s, blank)
			t.pieces.data = append(t.pieces.data, before...)
			if !found {
				return nil
			}
			t.pieces.data = append(t.pieces.data, ' ')
			s = after
		}
	}
	if strings.Contains(s, " ") || strings.Contains(s, blank) {
		reach[id] = false
	}
	t.pieces.data = append(t.pieces.data, s...)
	return nil
}

func (t *Tokenizer) setIndex(reach []bool) {
	n := 0
	for _, ok := range reach {
		if ok {
			n++
		}
	}
	t.text = newIndex(&t.pieces, n)
	dups := 0
	for id, ok := range reach {
		if ok && t.text.add(int32(id)) != int32(id) {
			reach[id] = false
			dups++
		}
	}
	if dups > 0 {
		t.warn("%d tokens have the text of an earlier token, which is used", dups)
	}
}

func (t *Tokenizer) setSpecials(v *Vocab) {
	var all, user []trieEntry
	for id, k := range t.types {
		if k != TypeControl && k != TypeUserDefined && k != TypeUnknown {
			continue
		}
		e := trieEntry{text: t.pieces.at(int32(id)), id: int32(id)}
		if len(e.text) == 0 || len(e.text) > maxSpecialBytes {
			continue
		}
		all = append(all, e)
		if k == TypeUserDefined {
			user = append(user, e)
		}
	}
	t.all, t.user = newTrie(all), newTrie(user)
	if !v.SpecialRStrip {
		return
	}
	t.rstrip = make([]bool, t.nTokens)
	for _, e := range all {
		switch string(e.text) {
		case "<unk>", "<s>", "<|endoftext|>":
		default:
			t.rstrip[e.id] = true
		}
	}
}

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
func (t *Tokenizer) setMerges(merges []string) error {
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
		t.pairs.add(intern(left), intern(both[len(left):]), uint32(rank), intern(both))
	}
	if skipped > 0 {
		t.warn("%d merges name characters that stand for no byte: ignored", skipped)
	}
	return nil
}

func (t *Tokenizer) warn(format string, args ...any) {
	t.warnings = append(t.warnings, fmt.Sprintf("token: "+format, args...))
}
