package token

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Merging gives what the definition gives, for words on both sides of longWord.
func TestMergeMatchesDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	word := func(alphabet string) string {
		n := 1 + r.IntN(2*longWord+20)
		var sb strings.Builder
		rs := []rune(alphabet)
		for range n {
			sb.WriteRune(rs[r.IntN(len(rs))])
		}
		return sb.String()
	}
	t.Run("byte-level", func(t *testing.T) {
		v := smallBPE("gpt-2")
		// A result that is no token, on the way to one; and a byte that is no token.
		v.Merges = append(v.Merges, "x y", "xy z", "y q")
		v.Tokens = append(v.Tokens, "xyz", "yq")
		v.Types = append(v.Types, TypeNormal, TypeNormal)
		v.Tokens['q'] = "[no q]"
		v.UNK = int32(len(v.Tokens))
		v.Tokens, v.Types = append(v.Tokens, "<unk>"), append(v.Types, TypeUnknown)
		tok := mustNew(t, v)
		known := map[string]bool{}
		for _, s := range v.Tokens {
			known[s] = true
		}
		for range 3000 {
			w := word("aaabbbcchelloxxyyzzq")
			var want []string
			for _, s := range naiveBPE(v, w) {
				if known[s] {
					want = append(want, s)
					continue
				}
				for _, c := range s {
					if s := string(c); known[s] {
						want = append(want, s)
					} else {
						want = append(want, "<unk>")
					}
				}
			}
			got, err := tok.Encode(w, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, idsOf(t, v, want...)) {
				t.Fatalf("%q: got %v, want %q", w, got, want)
			}
		}
	})
	t.Run("sentencepiece", func(t *testing.T) {
		v := smallSPM()
		tok := mustNew(t, v)
		for range 3000 {
			w := word("  aaabbcchelloworld é中🙂")
			want := naiveSPM(v, "▁"+strings.ReplaceAll(w, " ", "▁"))
			got, err := tok.Encode(w, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, idsOf(t, v, want...)) {
				t.Fatalf("%q: got %v, want %q", w, got, want)
			}
			if back := string(tok.AppendDecode(nil, got, DecodeOptions{Start: true})); back != w {
				t.Fatalf("%q decoded to %q", w, back)
			}
		}
	})
}

func TestEncodeGolden(t *testing.T) {
	bpe, spm := smallBPE("llama-bpe"), smallSPM()
	bpe.BOS, bpe.AddBOS = 256, false
	for _, c := range []struct {
		name string
		v    Vocab
		text string
		opts Options
		want []string
	}{
		{"words", bpe, "hello world", Options{}, []string{"hello", "Ġworld"}},
		{"numbers by three", bpe, "12312", Options{}, []string{"123", "12"}},
		{"empty", bpe, "", Options{}, nil},
		{"bos", bpe, "", Options{AddBOS: true}, []string{"he"}},
		{"no eos", bpe, "a", Options{AddEOS: true}, []string{"a"}},
		{"special as text", bpe, "<|x|>", Options{}, []string{"<", "|", "x", "|", ">"}},
		{"special", bpe, "a<|x|>a", Options{ParseSpecial: true}, []string{"a", "<|x|>", "a"}},
		{"longest special", bpe, "<|x|><|y|><|x|>", Options{ParseSpecial: true}, []string{"<|x|><|y|>", "<|x|>"}},
		{"prefix of a special", bpe, "<|im_s", Options{ParseSpecial: true}, []string{"<|im", "_", "s"}},
		{"end of generation", bpe, "<|im_end|>", Options{ParseSpecial: true}, []string{"<|im_end|>"}},
		{"user-defined always", bpe, "a<think>a", Options{}, []string{"a", "<think>", "a"}},
		{"user-defined beyond ascii", bpe, "ÿ!", Options{}, []string{"ÿ!"}},
		{"space prefix", spm, "hello", Options{}, []string{"▁hello"}},
		{"no space prefix", spm, "hello", Options{NoSpacePrefix: true}, []string{"hello"}},
		{"spm bos and eos", spm, "hello", Options{AddBOS: true, AddEOS: true}, []string{"<s>", "▁hello", "</s>"}},
		{"spm empty", spm, "", Options{}, nil},
		{"control token is text", spm, "</s>", Options{}, []string{"▁", "</", "s>"}},
		{"prefix after special", spm, "</s>hello", Options{ParseSpecial: true}, []string{"</s>", "▁hello"}},
		{"byte fallback", spm, "\xff☃", Options{NoSpacePrefix: true}, []string{"<0xFF>", "<0xE2>", "<0x98>", "<0x83>"}},
		{"raw space mark", spm, "▁hello", Options{NoSpacePrefix: true}, []string{"▁hello"}},
		{"user-defined with spaces", spm, "a  !", Options{}, []string{"▁a", "  !"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := mustNew(t, c.v).Encode(c.text, c.opts)
			if err != nil {
				t.Fatal(err)
			}
			if want := idsOf(t, c.v, c.want...); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v %q", got, want, c.want)
			}
		})
	}
}

// Text from a user never becomes a control token, whatever it spells and whatever the vocabulary could merge to.
func TestUserTextMakesNoControlToken(t *testing.T) {
	spm, bpe := smallSPM(), smallBPE("qwen2")
	bpe.Merges = append(bpe.Merges, "< |", "x |", "<| x|", "<|x| >") // would make the control token <|x|>
	for _, v := range []Vocab{spm, bpe} {
		tok := mustNew(t, v)
		for _, s := range v.Tokens {
			for _, text := range []string{s, " " + s, s + s, "a" + s + "b"} {
				ids, err := tok.Encode(text, Options{})
				if err != nil {
					t.Fatal(err)
				}
				for _, id := range ids {
					if tok.IsControl(id) {
						t.Fatalf("%s: %q became %v with control token %d", v.Model, text, ids, id)
					}
				}
			}
		}
	}
}

func TestSpecialRStrip(t *testing.T) {
	v := smallSPM()
	v.SpecialRStrip = true
	got, _ := mustNew(t, v).Encode("</s> \n\thello<s> hello", Options{ParseSpecial: true})
	if want := idsOf(t, v, "</s>", "▁hello", "<s>", "▁▁", "hello"); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestEncodeAllocatesNothing(t *testing.T) {
	for _, v := range []Vocab{smallSPM(), smallBPE("llama-bpe"), smallBPE("deepseek-llm")} {
		tok := mustNew(t, v)
		text := strings.Repeat("hello <think> world é中 123 "+strings.Repeat("ab", longWord), 20)
		sc := new(scratch)
		dst := tok.encode(sc, nil, text, Options{ParseSpecial: true})
		if n := testing.AllocsPerRun(20, func() { dst = tok.encode(sc, dst[:0], text, Options{ParseSpecial: true}) }); n != 0 {
			t.Errorf("%s %s: %v allocations per text", v.Model, v.Pre, n)
		}
	}
}

func TestEncodeConcurrently(t *testing.T) {
	for _, v := range []Vocab{smallSPM(), smallBPE("llama-bpe")} {
		tok := mustNew(t, v)
		text := strings.Repeat("hello world abcabc ", 50)
		want, _ := tok.Encode(text, Options{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 50 {
					if got, err := tok.Encode(text, Options{}); err != nil || !slices.Equal(got, want) {
						t.Errorf("another result: %v", err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
}

func TestTextTooLong(t *testing.T) {
	tok := mustNew(t, smallSPM())
	if _, err := tok.Encode(strings.Repeat("a", MaxTextBytes+1), Options{}); !errors.Is(err, ErrTextTooLong) {
		t.Errorf("error %v", err)
	}
}

// FuzzRoundTrip: encoding never panics, gives ids of the vocabulary, and decoding gives the text back.
func FuzzRoundTrip(f *testing.F) {
	var toks []*Tokenizer
	for _, pre := range []string{"gpt-2", "llama-bpe", "qwen2", "qwen35", "deepseek-llm", "deepseek-coder", "deepseek-v3", "falcon", "default", "smollm", "gpt-4o", "tekken"} {
		v := smallBPE(pre)
		v.Tokens, v.Types = v.Tokens[:len(v.Tokens)-1], v.Types[:len(v.Types)-1] // "ÿ!" is not ASCII: its bytes are not its text
		toks = append(toks, mustNew(f, v))
	}
	toks = append(toks, mustNew(f, smallSPM()))
	for _, s := range []string{"", "hello world", "\xff\xc3", "a\u0301 \u3000x\r\n\n  y", "<|im_end|><think>", "▁▁ ▁", "'S 'll ''", "１２３abcÀé中"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, tok := range toks {
			ids, err := tok.Encode(text, Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range ids {
				if id < 0 || int(id) >= tok.NumTokens() || tok.IsControl(id) {
					t.Fatalf("id %d", id)
				}
			}
			want := text
			opts := DecodeOptions{Start: true}
			if !tok.bpe {
				want = strings.ReplaceAll(text, "▁", " ")
				if strings.Contains(text, "<think>") || strings.Contains(text, "  !") {
					continue // a space is put before what follows them
				}
			}
			if got := string(tok.AppendDecode(nil, ids, opts)); got != want {
				t.Fatalf("%q decoded to %q (%v)", want, got, ids)
			}
			s := tok.NewStream(opts)
			var out []byte
			for _, id := range ids {
				out = s.Append(out, id)
			}
			if out = s.Flush(out); string(out) != string([]rune(want)) {
				t.Fatalf("%q streamed as %q", want, out)
			}
			if _, err := tok.Encode(text, Options{ParseSpecial: true, AddBOS: true, AddEOS: true}); err != nil {
				t.Fatal(err)
			}
		}
	})
}
