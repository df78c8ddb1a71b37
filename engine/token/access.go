package token

import "slices"

// Roles and properties of single tokens.

// NumTokens returns the size of the vocabulary.
func (t *Tokenizer) NumTokens() int { return t.nTokens }

// BOS, EOS, EOT, EOM, UNK, PAD and SEP return the token with that role, -1 for none.
func (t *Tokenizer) BOS() int32 { return t.bos }

// EOS is documented at BOS.
func (t *Tokenizer) EOS() int32 { return t.eos }

// EOT is documented at BOS.
func (t *Tokenizer) EOT() int32 { return t.eot }

// EOM is documented at BOS.
func (t *Tokenizer) EOM() int32 { return t.eom }

// UNK is documented at BOS.
func (t *Tokenizer) UNK() int32 { return t.unk }

// PAD is documented at BOS.
func (t *Tokenizer) PAD() int32 { return t.pad }

// SEP is documented at BOS.
func (t *Tokenizer) SEP() int32 { return t.sep }

// AddsBOS reports whether the model wants BOS before a text.
func (t *Tokenizer) AddsBOS() bool { return t.addBOS }

// AddsEOS reports whether the model wants EOS after a text.
func (t *Tokenizer) AddsEOS() bool { return t.addEOS }

// Warnings lists what New ignored or repaired.
func (t *Tokenizer) Warnings() []string { return slices.Clone(t.warnings) }

// IsEOG reports whether a token ends an answer.
func (t *Tokenizer) IsEOG(id int32) bool {
	_, ok := slices.BinarySearch(t.eog, id)
	return ok
}

// EOG returns the tokens that end an answer, in ascending order.
func (t *Tokenizer) EOG() []int32 { return slices.Clone(t.eog) }

// Type returns the type of a token (TypeNormal...), TypeUndefined for an id outside the vocabulary.
func (t *Tokenizer) Type(id int32) int {
	if id < 0 || int(id) >= t.nTokens {
		return TypeUndefined
	}
	return int(t.types[id])
}

// IsControl reports whether a token is a control or unknown token, which has no text of its own.
func (t *Tokenizer) IsControl(id int32) bool {
	k := t.Type(id)
	return k == TypeControl || k == TypeUnknown
}

// Lookup returns the token that stands for exactly this text, special tokens first, -1 for none.
func (t *Tokenizer) Lookup(text string) int32 {
	if id := t.all.lookup([]byte(text)); id >= 0 {
		return id
	}
	return t.text.find([]byte(text))
}
