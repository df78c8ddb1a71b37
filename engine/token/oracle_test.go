package token

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kvasir/gguf"
)

// oracleNames are vocabularies of published models with texts and the ids llama.cpp gives for them.
var oracleNames = []string{"llama-bpe", "gpt-2", "deepseek-llm", "falcon", "llama-spm", "phi-3"}

func sharedDir(tb testing.TB) string {
	tb.Helper()
	dir := os.Getenv("KVASIR_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		tb.Skip("no shared oracles: " + dir + " does not exist; set KVASIR_SHARED")
	}
	return dir
}

// loadVocab reads the tokenizer keys of a GGUF file.
func loadVocab(tb testing.TB, path string) Vocab {
	tb.Helper()
	m, err := gguf.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { m.Close() })
	str := func(key string) string {
		s, _ := m.String(key)
		return s
	}
	strs := func(key string) []string {
		if !m.Has(key) {
			return nil
		}
		s, err := m.Strings(key)
		if err != nil {
			tb.Fatal(err)
		}
		return s.Slice()
	}
	v := Vocab{Model: str("tokenizer.ggml.model"), Pre: str("tokenizer.ggml.pre"),
		Tokens: strs("tokenizer.ggml.tokens"), Merges: strs("tokenizer.ggml.merges")}
	v.Scores, _ = m.Float32s("tokenizer.ggml.scores")
	v.Types, _ = m.Int32s("tokenizer.ggml.token_type")
	d := DefaultsFor(v.Model, v.Pre)
	id := func(key string, def int32) int32 {
		if n, err := m.Uint32("tokenizer.ggml." + key); err == nil {
			return int32(n)
		}
		return def
	}
	flag := func(key string, def bool) bool {
		if b, err := m.Bool("tokenizer.ggml." + key); err == nil {
			return b
		}
		return def
	}
	v.BOS, v.EOS, v.UNK = id("bos_token_id", d.BOS), id("eos_token_id", d.EOS), id("unknown_token_id", d.UNK)
	v.EOT, v.EOM, v.PAD, v.SEP = id("eot_token_id", -1), id("eom_token_id", -1), id("padding_token_id", -1), -1
	v.AddBOS, v.AddEOS = flag("add_bos_token", d.AddBOS), flag("add_eos_token", d.AddEOS)
	v.AddSpacePrefix = flag("add_space_prefix", d.AddSpacePrefix)
	return v
}

func oracleTokenizer(tb testing.TB, name string) *Tokenizer {
	tb.Helper()
	t, err := New(loadVocab(tb, filepath.Join(sharedDir(tb), "oracle", "tokenizers", name+".gguf")))
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// Every text of the published vocabularies gets llama.cpp's ids, and decodes to itself.
func TestOracle(t *testing.T) {
	dir := filepath.Join(sharedDir(t), "oracle", "tokenizers")
	for _, name := range oracleNames {
		t.Run(name, func(t *testing.T) {
			tok := oracleTokenizer(t, name)
			in, err := os.ReadFile(filepath.Join(dir, name+".gguf.inp"))
			if err != nil {
				t.Fatal(err)
			}
			out, err := os.ReadFile(filepath.Join(dir, name+".gguf.out"))
			if err != nil {
				t.Fatal(err)
			}
			texts := strings.Split(strings.TrimSuffix(string(in), "\n__ggml_vocab_test__\n"), "\n__ggml_vocab_test__\n")
			lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
			if len(texts) != len(lines) || len(texts) < 40 {
				t.Fatalf("%d texts, %d lines of ids", len(texts), len(lines))
			}
			for i, text := range texts {
				var want []int32
				for _, f := range strings.Fields(lines[i]) {
					id, err := strconv.Atoi(f)
					if err != nil {
						t.Fatal(err)
					}
					want = append(want, int32(id))
				}
				got, err := tok.Encode(text, Options{})
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got, want) {
					t.Errorf("text %d %q\n got %v\nwant %v", i, text, got, want)
				}
				if back := string(tok.AppendDecode(nil, got, DecodeOptions{Start: true})); back != text {
					t.Errorf("text %d: decoded to %q, want %q", i, back, text)
				}
			}
			if w := tok.Warnings(); len(w) > 0 {
				t.Logf("warnings: %q", w)
			}
		})
	}
}
