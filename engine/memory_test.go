package engine

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"kvasir/internal/testmodel"
	"kvasir/quant"
)

// maxHeap is what a 0.5B model may take on the Go heap beside its mapped weights and its mapped cache.
const maxHeap = 64 << 20

// The weights of a 0.5B model and its cache stay in mappings; the heap holds activations, vocabulary and index.
func TestHeapStaysSmallBesideMappedWeightsAndCache(t *testing.T) {
	if testing.Short() {
		t.Skip("writes a model of 282 MB; runs without -short")
	}
	path := filepath.Join(t.TempDir(), "model.gguf")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := testmodel.Big("qwen2.5-0.5b", "q4_0", f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	before := heap()
	m, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	w, err := OpenMemory(context.Background(), m, MemoryOptions{Home: t.TempDir(), Format: quant.KVInt8})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	c := w.NewContext(m, 2048, 0)
	defer c.Close()
	opened := heap()
	ids := bitTokens(600, 1000)
	if err := c.Extend(context.Background(), ids, nil); err != nil {
		t.Fatal(err)
	}
	decode := func(n int) {
		for range n {
			if err := c.Extend(context.Background(), ids[:1], nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	decode(2) // grows what grows with the context
	var stats, after runtime.MemStats
	runtime.ReadMemStats(&stats)
	const n = 32 // stays inside a block of the store
	decode(n)
	runtime.ReadMemStats(&after)
	used := heap()
	t.Logf("heap: %.1f MB opened, %.1f MB after a prompt of 600 tokens; RAM of unfinished KV blocks included", mb(opened-before), mb(used-before))
	if used-before > maxHeap {
		t.Errorf("heap grew by %.1f MB, at most %d allowed", mb(used-before), maxHeap>>20)
	}
	// One allocation per layer would be 24 a token. The runtime makes a few of its own when workers sleep, on a machine
	// that has other work.
	if d := after.Mallocs - stats.Mallocs; d > 4*n {
		t.Errorf("%d allocations for %d decoded tokens", d, n)
	}
}

// heap returns the bytes in use behind a full collection.
func heap() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapInuse + s.StackInuse
}

func mb(b uint64) float64 { return float64(b) / (1 << 20) }
