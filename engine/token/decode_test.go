package token

import (
	"math/rand/v2"
	"testing"
	"unicode/utf8"
)

// byteTokens has one token per byte string.
func byteTokens(t *testing.T, parts [][]byte) (*Tokenizer, []int32) {
	v := smallBPE("gpt-2")
	var ids []int32
	for _, p := range parts {
		ids = append(ids, int32(len(v.Tokens)))
		v.Tokens, v.Types = append(v.Tokens, byteLevel(string(p))), append(v.Types, TypeNormal)
	}
	return mustNew(t, v), ids
}

// However a text is cut into tokens, the stream gives out whole characters only, each as soon as it is complete, and in
// the end what decoding everything at once gives.
func TestStreamIsDecodingInParts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 9))
	for range 2000 {
		text := []byte(torture(r))
		for range r.IntN(3) {
			text[r.IntN(len(text))] = byte(r.Uint32())
		}
		if r.IntN(3) == 0 {
			text = text[:r.IntN(len(text)+1)]
		}
		var parts [][]byte
		for rest := text; len(rest) > 0; {
			n := 1 + r.IntN(min(5, len(rest)))
			parts = append(parts, rest[:n])
			rest = rest[n:]
		}
		tok, ids := byteTokens(t, parts)
		s := tok.NewStream(DecodeOptions{})
		var out, fed []byte
		for i, id := range ids {
			fed = append(fed, parts[i]...)
			n := len(out)
			out = s.Append(out, id)
			if !utf8.Valid(out[n:]) {
				t.Fatalf("%q: gave out %q", fed, out[n:])
			}
			whole := fed
			for k := 1; k < utf8.UTFMax && k <= len(fed); k++ {
				if tail := fed[len(fed)-k:]; utf8.RuneStart(tail[0]) {
					if !utf8.FullRune(tail) {
						whole = fed[:len(fed)-k]
					}
					break
				}
			}
			if string(out) != string([]rune(string(whole))) {
				t.Fatalf("%q: has given out %q, want %q", fed, out, whole)
			}
			if s.Held() != len(fed)-len(whole) {
				t.Fatalf("%q: holds %d bytes", fed, s.Held())
			}
		}
		if out = s.Flush(out); string(out) != string([]rune(string(text))) {
			t.Fatalf("%q became %q", text, out)
		}
		if s.Held() != 0 {
			t.Fatal("holds bytes after Flush")
		}
	}
}

func TestStreamWaitsForTheRestOfACharacter(t *testing.T) {
	tok, ids := byteTokens(t, [][]byte{{0xf0, 0x9f}, {0x99}, {0x82, 'x', 0xc3}, {'y'}, {0xe4, 0xb8}})
	s := tok.NewStream(DecodeOptions{})
	for i, want := range []string{"", "", "🙂x", "\ufffdy", ""} {
		if got := string(s.Append(nil, ids[i])); got != want {
			t.Errorf("token %d gave %q, want %q", i, got, want)
		}
	}
	if got := string(s.Flush(nil)); got != "\ufffd\ufffd" {
		t.Errorf("flush gave %q", got)
	}
}

func TestDecodeLeadingSpaceAndControlTokens(t *testing.T) {
	v := smallSPM()
	tok := mustNew(t, v)
	ids := idsOf(t, v, "<s>", "▁hello", "▁world", "</s>", "▁hello")
	for _, c := range []struct {
		opts DecodeOptions
		want string
	}{
		{DecodeOptions{Start: true}, "hello world hello"},
		{DecodeOptions{}, " hello world hello"},
		{DecodeOptions{Special: true, Start: true}, "<s>hello world</s> hello"},
	} {
		if got := string(tok.AppendDecode(nil, ids, c.opts)); got != c.want {
			t.Errorf("%+v: %q, want %q", c.opts, got, c.want)
		}
		s := tok.NewStream(c.opts)
		for range 2 {
			var got []byte
			for _, id := range ids {
				got = s.Append(got, id)
			}
			if got = s.Flush(got); string(got) != c.want {
				t.Errorf("stream %+v: %q, want %q", c.opts, got, c.want)
			}
			s.Reset()
		}
	}
	for _, id := range []int32{-1, 1 << 30} {
		if p := tok.Piece(id, true); p != nil {
			t.Errorf("id %d stands for %q", id, p)
		}
	}
	if p := tok.Piece(3+0x41, false); string(p) != "A" {
		t.Errorf("<0x41> stands for %q", p)
	}
}
