package gguf

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"kvasir/internal/guardmem"
)

// bigVocab is the head of a file with the metadata of a model of 151,936 tokens: tokens, types and merges.
func bigVocab(tb testing.TB) []byte {
	const n = 151936
	tokens, types, merges := make([]string, n), make([]int32, n), make([]string, n-549)
	for i := range tokens {
		tokens[i] = fmt.Sprintf("Ġtok%dx", i)
		types[i] = 1
	}
	for i := range merges {
		merges[i] = fmt.Sprintf("Ġto k%dx", i)
	}
	var out bytes.Buffer
	_, err := Write(&out, []KV{{"general.architecture", "qwen2"}, {"tokenizer.ggml.model", "gpt2"}, {"tokenizer.ggml.tokens", tokens},
		{"tokenizer.ggml.token_type", types}, {"tokenizer.ggml.merges", merges}}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// A vocabulary opens without an allocation per token, and its elements are read without any.
func TestBigVocabularyAllocatesLittle(t *testing.T) {
	b := bigVocab(t)
	var f *File
	if n := testing.AllocsPerRun(3, func() {
		var err error
		if f, err = Parse(b); err != nil {
			t.Fatal(err)
		}
	}); n > 60 {
		t.Errorf("%v allocations, limit 60", n)
	}
	toks, err := f.Strings("tokenizer.ggml.tokens")
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	if n := testing.AllocsPerRun(1, func() {
		for i := range toks.Len() {
			sum += len(toks.At(i))
		}
	}); n != 0 {
		t.Errorf("%v allocations to read the tokens", n)
	}
	if toks.Len() != 151936 || toks.At(0) != "Ġtok0x" || toks.At(151935) != "Ġtok151935x" {
		t.Errorf("%d tokens, %q to %q", toks.Len(), toks.At(0), toks.At(toks.Len()-1))
	}
	best := time.Hour
	for range 5 {
		start := time.Now()
		if _, err := Parse(b); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(start))
	}
	t.Logf("%d bytes of metadata parsed in %v", len(b), best)
	if best > 30*time.Millisecond && !guardmem.Emulated() {
		t.Errorf("took %v, limit 30 ms", best)
	}
}

func BenchmarkParseBigVocabulary(b *testing.B) {
	file := bigVocab(b)
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(file); err != nil {
			b.Fatal(err)
		}
	}
}
