package arch

import (
	"errors"

	"kvasir/engine/token"
	"kvasir/gguf"
)

// Vocab collects what the file says about its tokenizer, with GGUF's conventions where it is silent. A model without a
// vocabulary gives a Vocab that token.New answers with token.ErrNoVocab.
func Vocab(f *gguf.File) (token.Vocab, error) {
	r := vocabReader{f: f}
	model := r.text("tokenizer.ggml.model")
	pre := r.text("tokenizer.ggml.pre")
	def := token.DefaultsFor(model, pre)
	v := token.Vocab{
		Model: model, Pre: pre,
		Tokens: r.list("tokenizer.ggml.tokens"),
		Merges: r.list("tokenizer.ggml.merges"),
		BOS:    r.id("tokenizer.ggml.bos_token_id", def.BOS),
		EOS:    r.id("tokenizer.ggml.eos_token_id", def.EOS),
		EOT:    r.id("tokenizer.ggml.eot_token_id", -1),
		EOM:    r.id("tokenizer.ggml.eom_token_id", -1),
		UNK:    r.id("tokenizer.ggml.unknown_token_id", def.UNK),
		PAD:    r.id("tokenizer.ggml.padding_token_id", -1),
		SEP:    r.id("tokenizer.ggml.seperator_token_id", -1), // the format's own spelling
		AddBOS: r.flag("tokenizer.ggml.add_bos_token", def.AddBOS),
		AddEOS: r.flag("tokenizer.ggml.add_eos_token", def.AddEOS),

		AddSpacePrefix: r.flag("tokenizer.ggml.add_space_prefix", def.AddSpacePrefix),
	}
	v.Scores = keep(&r, "tokenizer.ggml.scores", f.Float32s)
	v.Types = keep(&r, "tokenizer.ggml.token_type", f.Int32s)
	return v, r.err
}

// ChatTemplate returns the model's chat template, "" if it has none.
func ChatTemplate(f *gguf.File) (string, error) {
	s, err := f.String("tokenizer.chat_template")
	if errors.Is(err, gguf.ErrAbsent) {
		return "", nil
	}
	return s, err
}

// vocabReader reads optional keys; the first fault stays.
type vocabReader struct {
	f   *gguf.File
	err error
}

// keep returns what get finds under key, nil if the key is absent.
func keep[T any](r *vocabReader, key string, get func(string) (T, error)) T {
	v, err := get(key)
	if err != nil && !errors.Is(err, gguf.ErrAbsent) && r.err == nil {
		r.err = err
	}
	return v
}

func (r *vocabReader) text(key string) string { return keep(r, key, r.f.String) }

func (r *vocabReader) list(key string) []string {
	if !r.f.Has(key) {
		return nil
	}
	return keep(r, key, r.f.Strings).Slice()
}

// id reads a token id. One that no vocabulary can have counts as none: files in the wild hold 2^32-1 there.
func (r *vocabReader) id(key string, def int32) int32 {
	if !r.f.Has(key) {
		return def
	}
	v := keep(r, key, r.f.Uint)
	if v >= maxVocab {
		return -1
	}
	return int32(v)
}

func (r *vocabReader) flag(key string, def bool) bool {
	if !r.f.Has(key) {
		return def
	}
	return keep(r, key, r.f.Bool)
}
