package token

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// Options say how a text is encoded. The zero value is for text from a user: no token is added and no control token
// can come out of it.
type Options struct {
	AddBOS, AddEOS bool // put the token before or after the text, if the vocabulary has one
	ParseSpecial   bool // recognise control tokens that the text spells out
	NoSpacePrefix  bool // the text continues another: no space before its start
}

// scratch is the memory of one call.
type scratch struct {
	text, frag []byte
	syms       []symbol
	heap       []uint64
	dst        []int32
}

// Encode returns the tokens of text.
func (t *Tokenizer) Encode(text string, opts Options) ([]int32, error) {
	return t.AppendEncode(nil, text, opts)
}

// AppendEncode appends the tokens of text to dst. It allocates nothing once dst and the memory it keeps between calls
// are large enough. The error wraps ErrTextTooLong.
//
// User-defined tokens are recognised in every text, control tokens with ParseSpecial: from left to right, the longest
// at each place. llama.cpp recognises the longest of all first, which differs only where two of them overlap. A text
// never merges into a control token, where llama.cpp's SentencePiece can. Bytes that are not UTF-8 are encoded as they
// are. A byte that the vocabulary cannot express becomes UNK, or nothing where there is no UNK.
func (t *Tokenizer) AppendEncode(dst []int32, text string, opts Options) ([]int32, error) {
	if len(text) > MaxTextBytes {
		return dst, fmt.Errorf("%w: %d bytes, limit %d", ErrTextTooLong, len(text), MaxTextBytes)
	}
	sc := t.scratchBuf.Get().(*scratch)
	dst = t.encode(sc, dst, text, opts)
	t.scratchBuf.Put(sc)
	return dst, nil
}

func (t *Tokenizer) encode(sc *scratch, dst []int32, text string, opts Options) []int32 {
	sc.dst = dst
	atStart := !opts.NoSpacePrefix // or just after a special token
	if opts.AddBOS && t.bos >= 0 {
		sc.dst = append(sc.dst, t.bos)
	}
	specials := &t.user
	if opts.ParseSpecial {
		specials = &t.all
	}
	sc.text = append(sc.text[:0], text...)
	for pos := 0; pos < len(sc.text); {
		start, end, id := specials.next(sc.text, pos)
		if start > pos {
			t.encodeText(sc, sc.text[pos:start], atStart)
		}
		if id < 0 {
			break
		}
		sc.dst = append(sc.dst, id)
		atStart = true
		pos = end
		if t.rstrip != nil && t.rstrip[id] {
			for pos < len(sc.text) && isCSpace(sc.text[pos]) {
				pos++
			}
		}
	}
	if opts.AddEOS && t.eos >= 0 {
		sc.dst = append(sc.dst, t.eos)
	}
	dst, sc.dst = sc.dst, nil
	return dst
}

// isCSpace is C's isspace in the C locale.
func isCSpace(b byte) bool { return b == ' ' || b >= '\t' && b <= '\r' }

// encodeText encodes a fragment without special tokens.
func (t *Tokenizer) encodeText(sc *scratch, frag []byte, atStart bool) {
	if t.bpe {
		split(t.pre.scanners, frag, func(word []byte) { t.encodeBytes(sc, word) })
		return
	}
	sc.frag = sc.frag[:0]
	if t.prefix && atStart {
		sc.frag = append(sc.frag, ' ')
	}
	for {
		i := bytes.Index(frag, []byte(blank))
		if i < 0 {
			break
		}
		sc.frag = append(append(sc.frag, frag[:i]...), ' ')
		frag = frag[i+len(blank):]
	}
	sc.frag = append(sc.frag, frag...)
	// No merge crosses the boundary before a space unless some token has a space after that byte: encode word by word.
	from := 0
	for i := 1; i < len(sc.frag); i++ {
		if sc.frag[i] == ' ' && !t.spaceAfter[sc.frag[i-1]] {
			t.encodePieces(sc, sc.frag[from:i])
			from = i
		}
	}
	t.encodePieces(sc, sc.frag[from:])
}

// encodeBytes encodes a word of byte-level BPE.
func (t *Tokenizer) encodeBytes(sc *scratch, word []byte) {
	if t.pre.ignoreMerges {
		if id := t.text.find(word); id >= 0 {
			sc.dst = append(sc.dst, id)
			return
		}
	}
	syms := sc.syms[:0]
	for i, b := range word {
		syms = append(syms, symbol{start: int32(i), id: t.byteID[b]})
	}
	sc.syms = syms
	syms = t.merge(sc, word, syms)
	for i, s := range syms {
		if int(s.id) < t.nTokens {
			sc.dst = append(sc.dst, s.id)
			continue
		}
		end := len(word)
		if i+1 < len(syms) {
			end = int(syms[i+1].start)
		}
		for _, b := range word[s.start:end] {
			t.appendByte(sc, t.byteID[b])
		}
	}
}

// encodePieces encodes a word of SentencePiece.
func (t *Tokenizer) encodePieces(sc *scratch, word []byte) {
	syms := sc.syms[:0]
	for i := 0; i < len(word); {
		n := 1
		if word[i] >= utf8.RuneSelf {
			_, n = utf8.DecodeRune(word[i:])
		}
		syms = append(syms, symbol{start: int32(i), id: t.text.find(word[i : i+n])})
		i += n
	}
	sc.syms = syms
	syms = t.merge(sc, word, syms)
	for i, s := range syms {
		if s.id >= 0 {
			sc.dst = append(sc.dst, s.id)
			continue
		}
		end := len(word)
		if i+1 < len(syms) {
			end = int(syms[i+1].start)
		}
		for _, b := range word[s.start:end] {
			if b == ' ' {
				for _, id := range t.space {
					t.appendByte(sc, id)
				}
				continue
			}
			t.appendByte(sc, t.byteID[b])
		}
	}
}

// appendByte appends the token of a byte, or UNK if there is none.
func (t *Tokenizer) appendByte(sc *scratch, id int32) {
	if id < 0 || int(id) >= t.nTokens {
		id = t.unk
	}
	if id >= 0 {
		sc.dst = append(sc.dst, id)
	}
}
