package engine

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"kvasir/kvcache"
	"kvasir/quant"
)

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
func allLogits(t testing.TB, m *Model, ids []int32, kv quant.KVFormat, batch int) [][]float32 {
	g := m.Geometry(kv)
	ns, err := kvcache.NewRAM(g)
	if err != nil {
		t.Fatal(err)
	}
	c := m.NewContext(ns, g, 0, batch)
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

func TestX(t *testing.T) {
	dir := shared(t)
	files, _ := filepath.Glob("/tmp/oracle/*.gguf")
	for _, f := range files {
		name := filepath.Base(f[:len(f)-5])
		m, err := Open(f, Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		ids, want := readLogits(t, filepath.Join(dir, "oracle", "archs", name+".logits"))
		for _, b := range []int{1, 7, 48} {
			fmt.Println(name, b, nmse(allLogits(t, m, ids, quant.KVF32, b), want), nmse(allLogits(t, m, ids, quant.KVInt8, b), want))
		}
		m.Close()
	}
	m, err := Open(filepath.Join(dir, "models", "stories260K.gguf"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	ids, want := readLogits(t, filepath.Join(dir, "models", "stories260K.logits"))
	fmt.Println("stories", nmse(allLogits(t, m, ids, quant.KVF32, 512), want), nmse(allLogits(t, m, ids, quant.KVInt8, 512), want))
}
