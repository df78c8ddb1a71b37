package cli

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kvasir/platform/cpu"
)

func TestBenchJSON(t *testing.T) {
	r := kvasir(t, "", "bench", "-p", "70", "-n", "4", "-d", "0,100", "-r", "3", "-t", "1", "-o", "json")
	if r.code != 0 || r.err != "" {
		t.Fatalf("exit code %d, %s", r.code, r.err)
	}
	lines := strings.Split(strings.TrimSuffix(r.out, "\n"), "\n")
	want := []string{"pp70", "tg4", "pp70@d100", "tg4@d100"}
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(lines), len(want), r.out)
	}
	read := map[string]int64{}
	for i, line := range lines {
		var b benchResult
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&b); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if b.Test != want[i] || len(b.Runs) != 3 || b.TokS != median(b.Runs) || b.TokS <= 0 || b.Threads != 1 || b.KV != "int8" || b.Kernels == "" || b.Model != demoName {
			t.Errorf("%s, want %s", line, want[i])
		}
		if strings.HasPrefix(b.Test, "tg") != (b.TokenBytes > 0) || math.Abs(b.GBs-float64(b.TokenBytes)*b.TokS/1e9) > 1e-9 {
			t.Errorf("%s: bytes per token", line)
		}
		if strings.HasPrefix(b.Test, "tg") != (b.LimitGBs > 0) || b.LimitGBs > 0 && math.Abs(b.Share-b.GBs/b.LimitGBs) > 1e-9 {
			t.Errorf("%s: share of the reading limit", line)
		}
		if known := cpu.LastCache() > 0; b.FromCache != (known && b.LimitGBs > 0) { // the model has 2 MB
			t.Errorf("%s: read from the cache", line)
		}
		read[b.Test] = b.TokenBytes
	}
	// 100 positions more: two layers, K and V, two heads of 64 values and a scale.
	if got := read["tg4@d100"] - read["tg4"]; got != 100*2*2*2*66 {
		t.Errorf("100 positions are %d bytes, want %d", got, 100*2*2*2*66)
	}
}

func TestBenchTable(t *testing.T) {
	r := kvasir(t, "", "bench", "-p", "0", "-n", "3", "-r", "2", "-t", "2", "--kv", "f16")
	if r.code != 0 || !strings.HasPrefix(r.out, `"demo", 2 threads, `) || !strings.Contains(r.out, "\ntg3 ") || !strings.Contains(r.out, " LIMIT ") ||
		strings.Contains(r.out, "last cache") != (cpu.LastCache() > 0) {
		t.Errorf("exit code %d, %s\n%s", r.code, r.err, r.out)
	}
}

// A model without a vocabulary is measured too.
func TestBenchWithoutVocabulary(t *testing.T) {
	r := kvasir(t, "", "bench", "-m", modelFile(t, "qwen3-gqa"), "-p", "8", "-n", "2", "-r", "1", "-o", "json")
	if r.code != 0 || strings.Count(r.out, "\n") != 2 {
		t.Errorf("exit code %d, %s\n%s", r.code, r.err, r.out)
	}
}

func TestBenchSynthetic(t *testing.T) {
	dir := t.TempDir()
	r := kvasir(t, "", "bench", "--synthetic", "tiny:q4_0", "--dir", dir, "-p", "8", "-n", "2", "-r", "1", "-o", "json")
	if r.code != 0 || strings.Count(r.out, `"model":"tiny:q4_0"`) != 2 || !strings.Contains(r.err, "random weights") {
		t.Errorf("exit code %d, %s\n%s", r.code, r.err, r.out)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 0 {
		t.Errorf("left behind: %v, %v", names, err)
	}
	r = kvasir(t, "", "bench", "--synthetic", "tiny:q4_0", "--dir", filepath.Join(dir, "absent"))
	if r.code != exitFailed || !strings.Contains(r.err, "no such file") {
		t.Errorf("exit code %d, %s", r.code, r.err)
	}
}

func TestBenchTests(t *testing.T) {
	for _, c := range []struct {
		p, n, d []int
		want    string // names, or part of the message
		size    int
	}{
		{[]int{512}, []int{128}, []int{0}, "pp512 tg128", 512},
		{[]int{0}, []int{128}, []int{0}, "tg128", 129},
		{[]int{256, 512}, []int{0}, []int{8192}, "pp256@d8192 pp512@d8192", 8704},
		{[]int{1}, []int{1}, []int{0, 5}, "pp1 tg1 pp1@d5 tg1@d5", 7},
		{[]int{0}, []int{0}, []int{0}, "nothing to measure", 0},
		{[]int{-1}, []int{1}, []int{0}, "-p -1", 0},
		{[]int{1}, []int{1}, []int{maxContext + 1}, "-d 2097153", 0},
	} {
		tests, err := benchTests(c.p, c.n, c.d)
		var names []string
		size := 0
		for _, b := range tests {
			names = append(names, b.String())
			size = max(size, b.size())
		}
		got := strings.Join(names, " ")
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) || size != c.size {
			t.Errorf("%v %v %v: %q of %d positions, want %q of %d", c.p, c.n, c.d, got, size, c.want, c.size)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		xs   []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{9, 1}, 5}, {[]float64{5, 1, 9}, 5}, {[]float64{4, 1, 3, 2}, 2.5}} {
		before := slices.Clone(c.xs)
		if got := median(c.xs); got != c.want || !slices.Equal(before, c.xs) {
			t.Errorf("%v: %v, want %v", before, got, c.want)
		}
	}
}
