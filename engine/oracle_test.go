package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kvasir/engine/arch"
	"kvasir/engine/sample"
	"kvasir/internal/testmodel"
	"kvasir/kvcache"
	"kvasir/quant"
)

// open opens a model file in memory for the time of a test.
func open(t testing.TB, file []byte, opt Options) *Model {
	m, err := OpenBytes(t.Name(), file, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// shared returns the folder of oracles, or skips.
func shared(t testing.TB) string {
	dir := os.Getenv("KVASIR_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared")
	}
	if _, err := os.Stat(filepath.Join(dir, "oracle")); err != nil {
		t.Skip("no shared oracles: ", err)
	}
	return dir
}

// readLogits reads the oracle's form: int32 n, int32 vocab, n int32 ids, n*vocab float32.
func readLogits(t testing.TB, path string) (ids []int32, logits [][]float32) {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n, vocab := int(binary.LittleEndian.Uint32(b)), int(binary.LittleEndian.Uint32(b[4:]))
	b = b[8:]
	for range n {
		ids = append(ids, int32(binary.LittleEndian.Uint32(b)))
		b = b[4:]
	}
	for range n {
		row := make([]float32, vocab)
		for i := range row {
			row[i] = math.Float32frombits(binary.LittleEndian.Uint32(b))
			b = b[4:]
		}
		logits = append(logits, row)
	}
	return ids, logits
}

// allLogits runs ids through a fresh context and returns the logits of every position.
func allLogits(t testing.TB, m *Model, ids []int32, g kvcache.Geometry, batch int) [][]float32 {
	ns, err := kvcache.NewRAM(g)
	if err != nil {
		t.Fatal(err)
	}
	c := m.NewContext(ns, g, len(ids), batch)
	defer c.Close()
	var got [][]float32
	err = c.Each(context.Background(), ids, func(_ int, l []float32) error {
		got = append(got, append([]float32(nil), l...))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func nmse(got, want [][]float32) float64 {
	var num, den float64
	for i := range want {
		for j, w := range want[i] {
			d := float64(got[i][j]) - float64(w)
			num += d * d
			den += float64(w) * float64(w)
		}
	}
	return num / den
}

// The architectures that the oracle has and this engine runs.
var oracles = []string{"llama-dense", "llama-gqa", "llama-hd80", "llama-ropefreqs", "llama-tied", "qwen2-dense", "qwen2-gqa",
	"qwen3-dense", "qwen3-gqa", "gemma3-dense"}

// llama.cpp's logits of 48 tokens, float32 weights and KV. Gemma's distance comes from llama.cpp's GELU, a table of fp16
// values; the others agree to rounding.
func TestLogitsAreLlamaCppsWithinRounding(t *testing.T) {
	dir := shared(t)
	for _, name := range oracles {
		t.Run(name, func(t *testing.T) {
			spec, err := os.ReadFile(filepath.Join(dir, "oracle", "archs", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			file, err := testmodel.FromSpec(spec)
			if err != nil {
				t.Fatal(err)
			}
			m := open(t, file, Options{})
			ids, want := readLogits(t, filepath.Join(dir, "oracle", "archs", name+".logits"))
			e := nmse(allLogits(t, m, ids, m.Geometry(quant.KVF32), 48), want)
			limit := 1e-11
			if m.Config.Act == arch.GeGLU {
				limit = 1e-6
			}
			if !(e < limit) {
				t.Errorf("NMSE %g, want below %g", e, limit)
			}
			t.Logf("NMSE %.3g", e)
		})
	}
}

func TestStoriesModelWritesWhatLlamaCppWrites(t *testing.T) {
	dir := shared(t)
	m, err := Open(filepath.Join(dir, "models", "stories260K.gguf"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ids, want := readLogits(t, filepath.Join(dir, "models", "stories260K.logits"))
	if e := nmse(allLogits(t, m, ids, m.Geometry(quant.KVF32), 512), want); !(e < 1e-11) {
		t.Errorf("NMSE %g, want below 1e-11", e)
	}
	const story = ", there was a little girl named Lily. She loved to play outside in the park."
	for _, f := range []quant.KVFormat{quant.KVF16, quant.KVInt8} {
		w, err := OpenMemory(context.Background(), m, MemoryOptions{Format: f})
		if err != nil {
			t.Fatal(err)
		}
		c, err := m.NewConversation(w, ConversationOptions{Raw: true, Sample: sample.Greedy()})
		if err != nil {
			t.Fatal(err)
		}
		var text string
		_, err = c.Say(context.Background(), "Once upon a time", 32, nil, func(s string) error { text += s; return nil })
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(text, story) {
			t.Errorf("%v: %q, want %q", f, text, story)
		}
		if err := errors.Join(c.Close(), w.Close()); err != nil {
			t.Fatal(err)
		}
	}
}
