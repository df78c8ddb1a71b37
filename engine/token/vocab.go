// Package token turns text into token ids and back.
//
// Two kinds of tokenizer are known: SentencePiece's BPE by score with byte fallback ("llama") and byte-level BPE by
// merge rank with a pre-tokenizer ("gpt2"). Both take their data from a [Vocab], a plain struct, and copy what they
// keep, so that a Tokenizer does not depend on the mapping the strings came from. A [Tokenizer] is immutable and safe
// for concurrent use; a [Stream] belongs to one goroutine.
//
// Sources: Sennrich et al. 2016 (BPE), Kudo and Richardson 2018 (SentencePiece), Radford et al. 2019 (byte-level BPE).
// Ids are those that llama.cpp computes, with the differences named at [Tokenizer.AppendEncode].
package token

import (
	"errors"
	"fmt"
	"math"
)

// Token types as GGUF's tokenizer.ggml.token_type numbers them. A type outside this range counts as TypeNormal.
const (
	TypeUndefined   = 0
	TypeNormal      = 1
	TypeUnknown     = 2
	TypeControl     = 3
	TypeUserDefined = 4
	TypeUnused      = 5
	TypeByte        = 6
)

// Bounds on what New accepts, far above any published vocabulary.
const (
	MaxTokens     = 1 << 20
	MaxMerges     = 1 << 21
	MaxVocabBytes = 1 << 28 // all token strings together, and all merges together
	MaxTextBytes  = 1 << 26 // one text given to Encode
)

// maxSpecialBytes is the longest control or user-defined token that is recognised inside a text. It bounds the work per
// byte of text whatever the vocabulary holds.
const maxSpecialBytes = 256

var (
	// ErrNoVocab says that the model carries no vocabulary: it can be run on ids, not on text.
	ErrNoVocab = errors.New("token: model has no vocabulary")
	// ErrUnsupported says that the tokenizer model or the pre-tokenizer is not one that this package implements.
	ErrUnsupported = errors.New("token: unsupported tokenizer")
	// ErrBadVocab says that the vocabulary contradicts itself.
	ErrBadVocab = errors.New("token: bad vocabulary")
	// ErrTextTooLong says that a text exceeds MaxTextBytes.
	ErrTextTooLong = errors.New("token: text too long")
)

// Vocab is what a model file says about its tokenizer. New copies what it keeps.
type Vocab struct {
	Model string // "llama": SentencePiece; "gpt2": byte-level BPE; "no_vocab", "none" or "": none
	Pre   string // pre-tokenizer of byte-level BPE, see PreTokenizers; "" is "default"

	Tokens []string  // by id, as stored: "▁" for a space (llama), byte characters (gpt2)
	Scores []float32 // by id; required for "llama", ignored for "gpt2"
	Types  []int32   // by id; nil: all normal
	Merges []string  // by rank: left, one space, right; required for "gpt2"

	// Ids with a role, -1 for none. One outside the vocabulary is ignored with a warning.
	BOS, EOS, EOT, EOM, UNK, PAD, SEP int32
	EOG                               []int32 // further ids that end an answer; the well-known ones are found by their text

	AddBOS, AddEOS bool // what the model asks for; the caller of Encode decides
	AddSpacePrefix bool // "llama": put a space before a text and after each special token

	// SpecialRStrip makes special tokens swallow the white space that follows them in a text, as the Phi-3 family wants;
	// tokens named "<unk>", "<s>" and "<|endoftext|>" do not.
	SpecialRStrip bool
}

// Defaults are the values in force where a model file is silent.
type Defaults struct {
	BOS, EOS, UNK                  int32
	AddBOS, AddEOS, AddSpacePrefix bool
}

// DefaultsFor returns the conventions of GGUF for a tokenizer model and pre-tokenizer.
func DefaultsFor(model, pre string) Defaults {
	switch model {
	case "llama":
		return Defaults{BOS: 1, EOS: 2, UNK: 0, AddBOS: true, AddSpacePrefix: true}
	case "gpt2":
		return Defaults{BOS: 11, EOS: 11, UNK: -1, AddBOS: preTokenizers[preName(pre)].addBOS}
	}
	return Defaults{BOS: -1, EOS: -1, UNK: -1}
}

// check verifies the sizes of v and the numbers in it. It returns ErrNoVocab where there is nothing to check.
func (v *Vocab) check() error {
	switch v.Model {
	case "", "no_vocab", "none":
		return ErrNoVocab
	case "llama", "gpt2":
	default:
		return fmt.Errorf("%w: tokenizer.ggml.model is %s, expected \"llama\" or \"gpt2\"", ErrUnsupported, quote(v.Model))
	}
	n := len(v.Tokens)
	if n == 0 {
		return fmt.Errorf("%w: tokenizer.ggml.tokens is empty", ErrBadVocab)
	}
	if n > MaxTokens {
		return fmt.Errorf("%w: tokenizer.ggml.tokens has %d entries, limit %d", ErrBadVocab, n, MaxTokens)
	}
	if len(v.Merges) > MaxMerges {
		return fmt.Errorf("%w: tokenizer.ggml.merges has %d entries, limit %d", ErrBadVocab, len(v.Merges), MaxMerges)
	}
	if len(v.Types) != 0 && len(v.Types) != n {
		return fmt.Errorf("%w: tokenizer.ggml.token_type has %d entries, expected %d", ErrBadVocab, len(v.Types), n)
	}
	if err := checkBytes("tokenizer.ggml.tokens", v.Tokens); err != nil {
		return err
	}
	if err := checkBytes("tokenizer.ggml.merges", v.Merges); err != nil {
		return err
	}
	if v.Model == "gpt2" {
		if len(v.Merges) == 0 {
			return fmt.Errorf("%w: tokenizer.ggml.merges is empty, byte-level BPE needs it", ErrBadVocab)
		}
		return nil
	}
	if len(v.Scores) != n {
		return fmt.Errorf("%w: tokenizer.ggml.scores has %d entries, expected %d", ErrBadVocab, len(v.Scores), n)
	}
	for id, s := range v.Scores {
		if f := float64(s); math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("%w: tokenizer.ggml.scores[%d] is %v, expected a finite number", ErrBadVocab, id, s)
		}
	}
	return nil
}

func checkBytes(key string, list []string) error {
	total := 0
	for _, s := range list {
		if len(s) > MaxVocabBytes-total {
			return fmt.Errorf("%w: %s holds more than %d bytes", ErrBadVocab, key, MaxVocabBytes)
		}
		total += len(s)
	}
	return nil
}

// quote renders a string from a file for an error message.
func quote(s string) string {
	if len(s) > 128 {
		return fmt.Sprintf("%q...", s[:128])
	}
	return fmt.Sprintf("%q", s)
}
