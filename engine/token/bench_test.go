package token

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// englishMB is one megabyte of English.
func englishMB(tb testing.TB) string {
	b, err := os.ReadFile(filepath.Join(sharedDir(tb), "text", "war-and-peace.txt"))
	if err != nil {
		tb.Fatal(err)
	}
	return string(bytes.Repeat(b, 3)[:1<<20])
}

func BenchmarkEncodeEnglish(b *testing.B) {
	text := englishMB(b)
	for _, name := range oracleNames {
		b.Run(name, func(b *testing.B) {
			tok := oracleTokenizer(b, name)
			var dst []int32
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				dst, _ = tok.AppendEncode(dst[:0], text, Options{})
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	for _, name := range oracleNames {
		b.Run(name, func(b *testing.B) {
			v := loadVocab(b, filepath.Join(sharedDir(b), "oracle", "tokenizers", name+".gguf"))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := New(v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkStream(b *testing.B) {
	tok := oracleTokenizer(b, "llama-bpe")
	ids, err := tok.Encode(englishMB(b)[:1<<16], Options{})
	if err != nil {
		b.Fatal(err)
	}
	s := tok.NewStream(DecodeOptions{})
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = dst[:0]
		for _, id := range ids {
			dst = s.Append(dst, id)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(ids)), "ns/token")
}
