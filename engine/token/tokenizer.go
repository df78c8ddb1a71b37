package token

import (
	"fmt"
	"slices"
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
		if v.Pre == "" {
			t.warn("tokenizer.ggml.pre is missing: \"default\" is used, and may not be what the model was trained with")
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
		err = t.setMerges(v.Merges, reach)
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

func (t *Tokenizer) warn(format string, args ...any) {
	t.warnings = append(t.warnings, fmt.Sprintf("token: "+format, args...))
}
