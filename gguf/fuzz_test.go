package gguf

import (
	"runtime/metrics"
	"testing"
)

// FuzzParse: whatever the bytes, no panic, an error of the documented form or a file that can be used, memory bounded
// by the size of the input, and what parsed can be written and parsed again to the same contents.
func FuzzParse(f *testing.F) {
	for _, c := range corpus() {
		if len(c.bytes) <= 1<<14 {
			f.Add(c.bytes)
		}
	}
	allocated := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	heap := func() uint64 {
		metrics.Read(allocated)
		return allocated[0].Value.Uint64()
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := heap()
		file, err := Parse(b)
		if grown := heap() - before; grown > uint64(16<<20+4*len(b)) {
			t.Fatalf("allocated %d bytes for an input of %d", grown, len(b))
		}
		if err != nil {
			checkError(t, err)
			return
		}
		useEverything(t, file)
		again := rewrite(t, file)
		file2, err := Parse(again)
		if err != nil {
			t.Fatalf("what was written does not parse: %v", err)
		}
		sameContents(t, file, file2)
		if third := rewrite(t, file2); string(third) != string(again) {
			t.Fatal("writing is not stable")
		}
	})
}
