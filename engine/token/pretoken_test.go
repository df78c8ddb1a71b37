package token

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// Each pre-tokenizer as the regular expressions its models publish, for Go's engine, which takes alternatives in order
// as they do. Go lacks \s for all of Unicode (S below) and the look-ahead of \s+(?!\S): a run of white space in group
// "run" that something follows gives its last character back.
const (
	exS    = `\t-\r \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}`
	exGPT2 = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^` + exS + `\p{L}\p{N}]+|(?P<run>[` + exS + `]+)`
	exTail = `|[` + exS + `]*[\r\n]+|(?P<run>[` + exS + `]+)`
	exFold = `(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])`
	exUp   = `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`
	exLow  = `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`
)

var preExpressions = map[string][]string{
	"gpt-2":     {exGPT2},
	"llama-bpe": {exFold + `|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^` + exS + `\p{L}\p{N}]+[\r\n]*` + exTail},
	"qwen2":     {exFold + `|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^` + exS + `\p{L}\p{N}]+[\r\n]*` + exTail},
	"qwen35":    {exFold + `|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^` + exS + `\p{L}\p{M}\p{N}]+[\r\n]*` + exTail},
	"smollm":    {`\p{N}`, exGPT2},
	"falcon":    {"[\\p{P}$+<=>^~|`]+", exGPT2, `[0-9][0-9][0-9]`},
	"default":   {`[\p{P}$+<=>^~|]+`, exGPT2, `\p{N}+`, `[0-9][0-9][0-9]`},
	"deepseek-coder": {`[\r\n]`, `[` + exS + `]?\p{L}+`, `[` + exS + `]?\p{P}+`,
		`[\x{800}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{9fa5}\x{ac00}-\x{d7ff}]+`, `\p{N}`},
	"deepseek-v3": {`\p{N}{1,3}`, `[\x{4e00}-\x{9fa5}\x{3040}-\x{309f}\x{30a0}-\x{30ff}]+`,
		"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*" + exTail},
	"gpt-4o": {`[^\r\n\p{L}\p{N}]?` + exUp + `*` + exLow + `+` + exFold + `?|[^\r\n\p{L}\p{N}]?` + exUp + `+` + exLow + `*` + exFold +
		`?|\p{N}{1,3}| ?[^` + exS + `\p{L}\p{N}]+[\r\n/]*` + exTail},
	"tekken": {`[^\r\n\p{L}\p{N}]?` + exUp + `*` + exLow + `+|[^\r\n\p{L}\p{N}]?` + exUp + `+` + exLow + `*|\p{N}| ?[^` + exS + `\p{L}\p{N}]+[\r\n/]*` + exTail},
}

func splitByExpressions(list []*regexp.Regexp, frag string) []string {
	if len(list) == 0 {
		return []string{frag}
	}
	re, group := list[0], list[0].SubexpIndex("run")
	var out []string
	between, i := 0, 0
	for i < len(frag) {
		m := re.FindStringSubmatchIndex(frag[i:])
		if m == nil {
			break
		}
		start, end := i+m[0], i+m[1]
		if group >= 0 && m[2*group] >= 0 && end < len(frag) {
			if _, n := utf8.DecodeLastRuneInString(frag[start:end]); end-n > start {
				end -= n
			}
		}
		if between < start {
			out = append(out, splitByExpressions(list[1:], frag[between:start])...)
		}
		out = append(out, splitByExpressions(list[1:], frag[start:end])...)
		between, i = end, end
	}
	if between < len(frag) {
		out = append(out, splitByExpressions(list[1:], frag[between:])...)
	}
	return out
}

func splitAll(pre string, text string) (out []string) {
	split(preTokenizers[pre].scanners, []byte(text), func(w []byte) { out = append(out, string(w)) })
	return out
}

// torture is text with every property that pre-tokenizers look at.
func torture(r *rand.Rand) string {
	pools := []string{"abcXYZ", "0123456789", "     ", " \n\r\t", "\u00a0\u3000\u2003\u2028\u0085", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "éèÀßŁſİıǅ", "бгБГ", "אב",
		"٠١कखीिु१", "กข่้", "你世界一龥丂", "ひカー", "한국", "🚀👨👩🏽", "\u200d\ufe0f\u0301", "①½²Ⅷ", "—“”。！～", "€±∑", "\x00\x1b\x7f\u00ad\ufeff", "𝒜𝟘𠀀𐐀", "ʰˈ", "\ue000\U0010ffff"}
	words := []string{"don't", "I'LL", "'Ve", "'ſ", "'", "CamelCASEWord", "HTTPServer", "中ABC", "ABC中d", "\r\n", "\n\n ", "   x", "1234567", "12 34", "...\r\n", "//\n/", "a\u0301b", " \u0301"}
	var sb strings.Builder
	for range 1 + r.IntN(30) {
		switch k := r.IntN(10); {
		case k < 2:
			sb.WriteByte(' ')
		case k < 4:
			sb.WriteString(words[r.IntN(len(words))])
		default:
			p := []rune(pools[r.IntN(len(pools))])
			for range 1 + r.IntN(4) {
				sb.WriteRune(p[r.IntN(len(p))])
			}
		}
	}
	return sb.String()
}

// Every pre-tokenizer cuts where its regular expressions do.
func TestSplitMatchesExpressions(t *testing.T) {
	for pre, exprs := range preExpressions {
		t.Run(pre, func(t *testing.T) {
			var list []*regexp.Regexp
			for _, e := range exprs {
				list = append(list, regexp.MustCompile(e))
			}
			r := rand.New(rand.NewPCG(1, uint64(len(pre))))
			for range 3000 {
				text := torture(r)
				got, want := splitAll(pre, text), splitByExpressions(list, text)
				if !slices.Equal(got, want) {
					t.Fatalf("%q\n got %q\nwant %q", text, got, want)
				}
			}
		})
	}
}

func TestSplitDeepSeekLLM(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"Hello  world 12", []string{"Hello", " ", " world", " ", "12"}},
		{"a\r\nb", []string{"a", "\r", "\n", "b"}},
		{"x = y;  ", []string{"x", " =", " y", ";", "  "}},
		{"世界abc한국", []string{"世界", "abc", "한국"}},
		{"привет, мир", []string{"привет", ",", " мир"}},
	} {
		if got := splitAll("deepseek-llm", c.text); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}

// The pieces of any bytes, valid UTF-8 or not, are those bytes; none is empty.
func TestSplitLosesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for _, pre := range PreTokenizers() {
		for range 300 {
			b := []byte(torture(r))
			for range r.IntN(4) {
				b[r.IntN(len(b))] = byte(r.Uint32())
			}
			got := splitAll(pre, string(b))
			if strings.Join(got, "") != string(b) || slices.Contains(got, "") {
				t.Fatalf("%s: %q cut into %q", pre, b, got)
			}
		}
	}
}

// adversarial texts are hard on a scanner or a merger that looks at anything twice.
func adversarial(n int) map[string]string {
	rep := func(s string) string { return strings.Repeat(s, n/len(s)) }
	return map[string]string{
		"letter": rep("a"), "space": rep(" "), "spaces then a letter": rep(" ") + "x", "newline": rep("\n"), "crlf": rep("\r\n"), "space newline": rep(" \n"),
		"newlines then spaces": rep("\n")[:n/2] + rep(" ")[:n/2] + "x", "digit": rep("1"), "punctuation": rep("!"), "apostrophe": rep("'"), "mark": rep("\u0301"), "han": rep("中"),
		"han capital": rep("中A"), "capital": rep("A"), "capital han": rep("A") + "中" + rep("A"), "emoji": rep("👨‍👩‍👧"), "invalid": rep("\xff"), "half runes": rep("\xe4\xb8"),
		"surrogates": rep("\xed\xa0\x80"), "ideographic space": rep("\u3000") + "x", "words": rep("hello world "), "pairs": rep("ab"), "special start": rep("<|im_star"), "nul": rep("\x00"),
	}
}

// Time grows about linearly: a quadratic step would take minutes on these texts.
func TestAdversarialTextsAreLinear(t *testing.T) {
	const n, limit = 1 << 16, 3 * time.Second
	toks := map[string]*Tokenizer{"sentencepiece": mustNew(t, smallSPM())}
	for pre := range preExpressions {
		toks[pre] = mustNew(t, smallBPE(pre))
	}
	toks["deepseek-llm"] = mustNew(t, smallBPE("deepseek-llm"))
	var dst []int32
	for what, text := range adversarial(n) {
		for name, tok := range toks {
			start := time.Now()
			dst, _ = tok.AppendEncode(dst[:0], text, Options{ParseSpecial: true})
			if d := time.Since(start); d > limit {
				t.Errorf("%s: %d bytes of %s took %v", name, len(text), what, d)
			}
		}
	}
}
