package token

import (
	"fmt"
	"strings"
)

// What New makes of the tokens: the bytes each stands for, and which of them plain text can become.

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
