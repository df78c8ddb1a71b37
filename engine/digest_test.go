package engine_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kvasir/engine"
	"kvasir/internal/testmodel"
)

// A file is known again without reading it whole, but not when other weights of the same size were put into it, whatever its
// modification time says.
func TestDigestIsNotThatOfTheWeightsBefore(t *testing.T) {
	b, err := testmodel.Named("qwen2-gqa").Spec().Bytes()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path, cache := filepath.Join(dir, "m.gguf"), filepath.Join(dir, "digests.json")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	digest := func() (sum [32]byte, read bool) {
		t.Helper()
		m, err := engine.Open(path, engine.Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		sum, err = m.Digest(context.Background(), cache, func(int64, int64) { read = true })
		if err != nil {
			t.Fatal(err)
		}
		return sum, read
	}
	first, read := digest()
	if again, readAgain := digest(); !read || readAgain || again != first {
		t.Fatalf("read %v, and again %v; the same digest: %v", read, readAgain, again == first)
	}

	b[len(b)-100] ^= 1
	time.Sleep(20 * time.Millisecond) // a tick of the file system's clock
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	second, read := digest()
	if !read || second == first {
		t.Errorf("other weights, old modification time: read %v, the same digest %v", read, second == first)
	}

	// As if two images had been made with the same times: what the file itself holds tells them apart.
	stored, err := os.ReadFile(cache)
	if err != nil {
		t.Fatal(err)
	}
	var entries []map[string]any
	if err := json.Unmarshal(stored, &entries); err != nil || len(entries) != 2 {
		t.Fatalf("%v: %s", err, stored)
	}
	if a, b := entries[0]["sample"], entries[1]["sample"]; a == b {
		t.Errorf("samples %v and %v", a, b)
	}
	if strings.Contains(string(stored), `"ctime_ns": 0`) {
		t.Errorf("no time of change: %s", stored)
	}
}
