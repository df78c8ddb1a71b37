package token

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// Hostile and broken vocabularies are refused with an error that names the key, or repaired with a warning.
func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		base func() Vocab
		set  func(*Vocab)
		want error
		text string
	}{
		{"no vocabulary", smallSPM, func(v *Vocab) { *v = Vocab{Model: "no_vocab"} }, ErrNoVocab, ""},
		{"nothing at all", smallSPM, func(v *Vocab) { *v = Vocab{} }, ErrNoVocab, ""},
		{"unknown model", smallSPM, func(v *Vocab) { v.Model = "t5\n" + strings.Repeat("x", 1000) }, ErrUnsupported, `tokenizer.ggml.model is "t5\n`},
		{"unknown pre", func() Vocab { return smallBPE("gpt-2") }, func(v *Vocab) { v.Pre = "nope" }, ErrUnsupported, `tokenizer.ggml.pre is "nope", expected one of a.x-4.0, chatglm-bpe`},
		{"no tokens", smallSPM, func(v *Vocab) { v.Tokens = nil }, ErrBadVocab, "tokenizer.ggml.tokens"},
		{"few scores", smallSPM, func(v *Vocab) { v.Scores = v.Scores[1:] }, ErrBadVocab, "tokenizer.ggml.scores"},
		{"no scores", smallSPM, func(v *Vocab) { v.Scores = nil }, ErrBadVocab, "tokenizer.ggml.scores"},
		{"nan score", smallSPM, func(v *Vocab) { v.Scores[7] = float32(math.NaN()) }, ErrBadVocab, "tokenizer.ggml.scores[7]"},
		{"infinite score", smallSPM, func(v *Vocab) { v.Scores[7] = float32(math.Inf(-1)) }, ErrBadVocab, "tokenizer.ggml.scores[7]"},
		{"many types", smallSPM, func(v *Vocab) { v.Types = append(v.Types, 1) }, ErrBadVocab, "tokenizer.ggml.token_type"},
		{"byte token", smallSPM, func(v *Vocab) { v.Tokens[3] = "<0x-1>" }, ErrBadVocab, `tokenizer.ggml.tokens[3] is of type byte and reads "<0x-1>"`},
		{"byte token", smallSPM, func(v *Vocab) { v.Tokens[3] = "<0x100>" }, ErrBadVocab, "tokenizer.ggml.tokens[3]"},
		{"byte token", smallSPM, func(v *Vocab) { v.Tokens[3] = "<0x 1>" }, ErrBadVocab, "tokenizer.ggml.tokens[3]"},
		{"no merges", func() Vocab { return smallBPE("gpt-2") }, func(v *Vocab) { v.Merges = nil }, ErrBadVocab, "tokenizer.ggml.merges"},
		{"merge without space", func() Vocab { return smallBPE("gpt-2") }, func(v *Vocab) { v.Merges[2] = "a" }, ErrBadVocab, `tokenizer.ggml.merges[2] is "a"`},
		{"empty merge", func() Vocab { return smallBPE("gpt-2") }, func(v *Vocab) { v.Merges[2] = "" }, ErrBadVocab, "tokenizer.ggml.merges[2]"},
		{"merge of a space", func() Vocab { return smallBPE("gpt-2") }, func(v *Vocab) { v.Merges[2] = " " }, ErrBadVocab, "tokenizer.ggml.merges[2]"},
		{"half a merge", func() Vocab { return smallBPE("gpt-2") }, func(v *Vocab) { v.Merges[2] = "a " }, ErrBadVocab, "tokenizer.ggml.merges[2]"},
		{"three in a merge", func() Vocab { return smallBPE("gpt-2") }, func(v *Vocab) { v.Merges[2] = "a b c" }, ErrBadVocab, "tokenizer.ggml.merges[2]"},
		{"bos without one", smallSPM, func(v *Vocab) { v.BOS = 1 << 30 }, ErrBadVocab, "add_bos_token"},
		{"eos without one", smallSPM, func(v *Vocab) { v.EOS, v.AddEOS = -1, true }, ErrBadVocab, "add_eos_token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := c.base()
			c.set(&v)
			_, err := New(v)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("error %v, want %v with %q", err, c.want, c.text)
			}
			if err != nil && len(err.Error()) > 1200 {
				t.Errorf("error of %d bytes", len(err.Error()))
			}
		})
	}
}

func TestNewRepairs(t *testing.T) {
	for _, c := range []struct {
		name  string
		v     Vocab
		set   func(*Vocab)
		warns string
		check func(*testing.T, *Tokenizer)
	}{
		{"ids outside", smallSPM(), func(v *Vocab) { v.UNK, v.PAD, v.EOG = 1<<30, -7, []int32{5, 1 << 29} }, "unknown_token_id is 1073741824", func(t *testing.T, tok *Tokenizer) {
			if tok.UNK() != -1 || tok.PAD() != -1 || !slices.Equal(tok.EOG(), []int32{2, 5}) {
				t.Errorf("unk %d, pad %d, eog %v", tok.UNK(), tok.PAD(), tok.EOG())
			}
		}},
		{"duplicates", smallSPM(), func(v *Vocab) { v.Tokens[len(v.Tokens)-3] = "hello" }, "1 tokens have the text of an earlier token", func(t *testing.T, tok *Tokenizer) {
			if ids, _ := tok.Encode("hello", Options{NoSpacePrefix: true}); len(ids) != 1 || ids[0] != idsOf(t, smallSPM(), "hello")[0] {
				t.Errorf("hello is %v", ids)
			}
		}},
		{"foreign merges", smallBPE("gpt-2"), func(v *Vocab) { v.Merges = append(v.Merges, "中 文") }, "1 merges name characters", nil},
		{"types out of range", smallSPM(), func(v *Vocab) { v.Types[260], v.Types[261], v.Types[262] = 0, -1, 1<<31-1 }, "", func(t *testing.T, tok *Tokenizer) {
			if tok.Type(260) != TypeNormal || tok.Type(-1) != TypeUndefined || tok.Type(1<<30) != TypeUndefined {
				t.Error("types")
			}
		}},
		{"odd tokens", smallBPE("gpt-2"), func(v *Vocab) {
			for _, s := range []string{"", "\x00", "\xff\xfe", strings.Repeat("x", 1<<20), "a b"} {
				v.Tokens, v.Types = append(v.Tokens, s), append(v.Types, TypeControl)
				v.Tokens, v.Types = append(v.Tokens, s+"n"), append(v.Types, TypeNormal)
			}
		}, "1 tokens have the text of an earlier", func(t *testing.T, tok *Tokenizer) {
			text := "a b\x00\xff\xfexxx"
			ids, _ := tok.Encode(text, Options{ParseSpecial: true})
			if got := string(tok.AppendDecode(nil, ids, DecodeOptions{Special: true})); got != text {
				t.Errorf("%q", got)
			}
		}},
		{"one token", smallSPM(), func(v *Vocab) {
			*v = Vocab{Model: "llama", Tokens: []string{"<unk>"}, Scores: []float32{0}, BOS: -1, EOS: -1, UNK: 0}
		}, "", func(t *testing.T, tok *Tokenizer) {
			if ids, err := tok.Encode("é", Options{}); err != nil || !slices.Equal(ids, []int32{0, 0}) {
				t.Errorf("%v %v", ids, err)
			}
		}},
		{"cyclic merges", smallBPE("gpt-2"), func(v *Vocab) { v.Merges = append(v.Merges, "aa a", "a aa", "aaa aaa", "aaaaaa a") }, "", func(t *testing.T, tok *Tokenizer) {
			text := strings.Repeat("a", 1001)
			ids, _ := tok.Encode(text, Options{})
			if got := string(tok.AppendDecode(nil, ids, DecodeOptions{})); got != text {
				t.Errorf("%d bytes came back", len(got))
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.set(&c.v)
			tok, err := New(c.v)
			if err != nil {
				t.Fatal(err)
			}
			if w := strings.Join(tok.Warnings(), "\n"); !strings.Contains(w, c.warns) || c.warns == "" && w != "" {
				t.Errorf("warnings %q, want %q", w, c.warns)
			}
			if c.check != nil {
				c.check(t, tok)
			}
		})
	}
}

func TestRolesByName(t *testing.T) {
	v := smallBPE("qwen2")
	for _, s := range []string{"<|return|>", "<|call|>", "<|end|>", "<|channel|>", "<|endoftext|>"} {
		v.Tokens, v.Types = append(v.Tokens, s), append(v.Types, TypeNormal)
	}
	tok := mustNew(t, v)
	at := func(s string) int32 { return idsOf(t, v, s)[0] }
	for s, want := range map[string]bool{"<|im_end|>": true, "<|im_start|>": false, "<|return|>": true, "<|end|>": false, "<|channel|>": false, "<|endoftext|>": true, "hello": false} {
		if tok.IsEOG(at(s)) != want {
			t.Errorf("%s ends an answer: %v", s, !want)
		}
	}
	for s, want := range map[string]int{"<|endoftext|>": TypeControl, "<|channel|>": TypeUserDefined, "<|end|>": TypeUserDefined, "hello": TypeNormal} {
		if got := tok.Type(at(s)); got != want {
			t.Errorf("%s has type %d, want %d", s, got, want)
		}
	}
	if tok.IsEOG(-1) || tok.IsEOG(1<<30) {
		t.Error("an id outside the vocabulary ends an answer")
	}
	for _, s := range []string{"hello", "<|im_end|>", "<think>"} {
		if got := tok.Lookup(s); got != at(s) {
			t.Errorf("Lookup(%q) is %d, want %d", s, got, at(s))
		}
	}
	if got := tok.Lookup("no such token"); got != -1 {
		t.Errorf("Lookup of nothing is %d", got)
	}
}

func TestDefaultsFor(t *testing.T) {
	for _, c := range []struct {
		model, pre string
		want       Defaults
	}{
		{"llama", "default", Defaults{BOS: 1, EOS: 2, UNK: 0, AddBOS: true, AddSpacePrefix: true}},
		{"gpt2", "llama-bpe", Defaults{BOS: 11, EOS: 11, UNK: -1, AddBOS: true}},
		{"gpt2", "qwen2", Defaults{BOS: 11, EOS: 11, UNK: -1}},
		{"gpt2", "", Defaults{BOS: 11, EOS: 11, UNK: -1}},
		{"none", "", Defaults{BOS: -1, EOS: -1, UNK: -1}},
	} {
		if got := DefaultsFor(c.model, c.pre); got != c.want {
			t.Errorf("%s %s: %+v, want %+v", c.model, c.pre, got, c.want)
		}
	}
}

// FuzzNew builds tokenizers from arbitrary tokens, types and merges: no panic, and what is built works.
func FuzzNew(f *testing.F) {
	f.Add("a\nb\nab\n<0x41>", "a b\nab a", []byte{1, 1, 1, 6}, "abab")
	f.Add("▁\n▁▁\n<s>\n\xff", "", []byte{1, 4, 3, 2}, "  <s>\xff")
	f.Fuzz(func(t *testing.T, tokens, merges string, types []byte, text string) {
		for _, model := range []string{"llama", "gpt2"} {
			v := Vocab{Model: model, Tokens: strings.Split(tokens, "\n"), Merges: strings.Split(merges, "\n"), BOS: -1, EOS: 1, UNK: int32(len(types)) - 1, AddSpacePrefix: true}
			for i := range v.Tokens {
				k := int32(1)
				if i < len(types) {
					k = int32(types[i]) - 1
				}
				v.Types = append(v.Types, k)
				v.Scores = append(v.Scores, float32(len(v.Tokens[i])))
			}
			tok, err := New(v)
			if err != nil {
				continue
			}
			for _, special := range []bool{false, true} {
				ids, err := tok.Encode(text, Options{ParseSpecial: special, AddEOS: true})
				if err != nil {
					t.Fatal(err)
				}
				s := tok.NewStream(DecodeOptions{Special: special, Start: true})
				for _, id := range ids {
					if id < 0 || int(id) >= tok.NumTokens() {
						t.Fatalf("id %d of %d", id, tok.NumTokens())
					}
					s.Append(nil, id)
				}
				s.Flush(nil)
			}
		}
	})
}
