package token

import (
	"fmt"
	"strings"
	"testing"
)

// The vocabularies of these tests are made here, from byte characters and a few merges or pieces.

// byteChar is the character that byte-level BPE writes for a byte.
func byteChar(b byte) string {
	for r, v := range byteOfRune {
		if int(v) == int(b) {
			return string(rune(r))
		}
	}
	panic("no character for a byte")
}

func byteLevel(s string) string {
	var sb strings.Builder
	for i := range len(s) {
		sb.WriteString(byteChar(s[i]))
	}
	return sb.String()
}

// smallBPE has the 256 bytes as ids 0 to 255, then the results of the merges, then specials.
func smallBPE(pre string) Vocab {
	v := Vocab{Model: "gpt2", Pre: pre, BOS: -1, EOS: -1, EOT: -1, EOM: -1, UNK: -1, PAD: -1, SEP: -1}
	add := func(s string, kind int32) {
		v.Tokens = append(v.Tokens, s)
		v.Types = append(v.Types, kind)
	}
	for b := range 256 {
		add(byteChar(byte(b)), TypeNormal)
	}
	for _, m := range []string{"h e", "l l", "he ll", "hell o", "Ġ w", "o r", "Ġw or", "l d", "Ġwor ld", "a a", "aa aa", "1 2", "12 3", "Ġ Ġ", "ĠĠ ĠĠ",
		byteChar(0xc3) + " " + byteChar(0xa9), "a b", "b c", "c a", "ab c", "ca b", "n s", "Ġ a", "i n", "in g", "' s"} {
		v.Merges = append(v.Merges, m)
		add(strings.ReplaceAll(m, " ", ""), TypeNormal)
	}
	for _, s := range []string{"<|im_start|>", "<|im_end|>", "<|im", "<|x|>", "<|x|><|y|>"} {
		add(s, TypeControl)
	}
	add("<think>", TypeUserDefined)
	add("ÿ!", TypeUserDefined)
	return v
}

// smallSPM has <unk>, <s>, </s>, the 256 bytes from id 3, then pieces whose scores fall with their id.
func smallSPM() Vocab {
	v := Vocab{Model: "llama", BOS: 1, EOS: 2, UNK: 0, EOT: -1, EOM: -1, PAD: -1, SEP: -1, AddBOS: true, AddSpacePrefix: true}
	add := func(s string, score float32, kind int32) {
		v.Tokens = append(v.Tokens, s)
		v.Scores = append(v.Scores, score)
		v.Types = append(v.Types, kind)
	}
	add("<unk>", 0, TypeUnknown)
	add("<s>", 0, TypeControl)
	add("</s>", 0, TypeControl)
	for b := range 256 {
		add(fmt.Sprintf("<0x%02X>", b), 0, TypeByte)
	}
	for i, s := range []string{"▁▁", "he", "ll", "hell", "hello", "▁hello", "wo", "or", "▁w", "▁wor", "ld", "▁world", "▁▁▁▁", "aa", "aaaa", "ab", "bc", "abc", "</", "s>", "▁a"} {
		add(s, float32(-i), TypeNormal)
	}
	for _, s := range strings.Split("▁ h e l o w r d a b c < / s > é 中 . ,", " ") {
		add(s, -1000, TypeNormal)
	}
	add("<think>", 0, TypeUserDefined)
	add("  !", 0, TypeUserDefined)
	return v
}

func mustNew(tb testing.TB, v Vocab) *Tokenizer {
	tb.Helper()
	t, err := New(v)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// ids of tokens by their stored text.
func idsOf(tb testing.TB, v Vocab, texts ...string) []int32 {
	tb.Helper()
	var ids []int32
next:
	for _, s := range texts {
		for id, tok := range v.Tokens {
			if tok == s {
				ids = append(ids, int32(id))
				continue next
			}
		}
		tb.Fatalf("no token %q", s)
	}
	return ids
}

// A naiveBPE merges strings pair by pair, the lowest rank first and the leftmost of equals, as the method is defined.
func naiveBPE(v Vocab, word string) []string {
	rank := map[string]int{}
	for i, m := range v.Merges {
		if _, ok := rank[m]; !ok {
			rank[m] = i
		}
	}
	var syms []string
	for i := range len(word) {
		syms = append(syms, byteChar(word[i]))
	}
	return naiveMerge(syms, func(l, r string) (float64, bool) { k, ok := rank[l+" "+r]; return float64(k), ok })
}

// naiveSPM merges by score, on text with "▁" for each space.
func naiveSPM(v Vocab, text string) []string {
	score := map[string]float64{}
	for id, s := range v.Tokens {
		if v.Types[id] == TypeNormal {
			score[s] = float64(v.Scores[id])
		}
	}
	var syms []string
	for _, r := range text {
		syms = append(syms, string(r))
	}
	syms = naiveMerge(syms, func(l, r string) (float64, bool) { s, ok := score[l+r]; return -s, ok })
	var out []string
	for _, s := range syms {
		if _, ok := score[s]; ok {
			out = append(out, s)
			continue
		}
		for i := range len(s) {
			out = append(out, fmt.Sprintf("<0x%02X>", s[i]))
		}
	}
	return out
}

func naiveMerge(syms []string, rank func(l, r string) (float64, bool)) []string {
	for {
		best, at := 0.0, -1
		for i := 0; i+1 < len(syms); i++ {
			if k, ok := rank(syms[i], syms[i+1]); ok && (at < 0 || k < best) {
				best, at = k, i
			}
		}
		if at < 0 {
			return syms
		}
		syms = append(append(append([]string{}, syms[:at]...), syms[at]+syms[at+1]), syms[at+2:]...)
	}
}
