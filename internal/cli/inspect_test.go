package cli

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kvasir/engine"
	"kvasir/gguf"
	"kvasir/internal/testmodel"
)

var update = flag.Bool("update", false, "write testdata again")

// golden compares got with a file of testdata; go test ./internal/cli -update writes it again.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs:\n%s\nwant\n%s", path, got, want)
	}
}

func TestInspectReport(t *testing.T) {
	spec := testmodel.Named("gemma3-window").Spec().With("general.name", "tiny\x1b[31m model").With("test.array", []int32{1, -2, 3})
	b, err := spec.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.OpenBytes("some model.gguf", b)
	if err != nil {
		t.Fatal(err)
	}
	m, err := engine.OpenBytes("some model.gguf", b, engine.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	r := describe(f)
	if err := r.addModel(m, 0, memoryText{Total: 64 << 20, Usable: 32 << 20, Limit: 48 << 20, LimitLeft: 32 << 20, Known: true}, nil); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := r.print(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, "inspect-gemma3.txt", out.String())
	if strings.Contains(out.String(), "\x1b") {
		t.Error("a control character of the file reaches the terminal")
	}
}

func TestInspectJSON(t *testing.T) {
	path := modelFile(t, "llama-gqa")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{path, "-o", "json"}, {"-o", "json", path}, {"-m", path, "-o=json"}, {"--o", "json", "--", path}} {
		r := decode[inspection](t, kvasir(t, "", append([]string{"inspect"}, args...)...))
		// Q and O 256x256, K and V 256x64, three of 256x384 (two layers), embedding and output 128x256, norms: as package testmodel has them.
		c := testmodel.Named("llama-gqa")
		perLayer := 2*256*256 + 2*256*64 + 3*256*c.FFN + 2*256
		if want := uint64(2*perLayer + 2*128*256 + 256); r.Parameters != want || r.TensorBytes != int64(4*want) || r.FileBytes != info.Size() {
			t.Errorf("%v: %d parameters in %d of %d bytes, want %d", args, r.Parameters, r.TensorBytes, r.FileBytes, want)
		}
		// Read per token: everything but the embeddings' other rows.
		if want := r.TensorBytes - 4*127*256; r.Run == nil || r.Run.DecodeBytes != want {
			t.Errorf("%v: %+v, want %d bytes per token", args, r.Run, want)
		}
		// Two layers of two heads of 32 values, K and V: 34 bytes each as int8, 64 as f16.
		for i, want := range []int64{2 * 2 * 2 * 34, 2 * 2 * 2 * 64} {
			if k := r.Run.KV[i]; k.TokenBytes != want || k.Bytes < 128*want || !k.Fits || k.Largest != 128 || k.Verdict != "fits" {
				t.Errorf("%v: %+v, want %d bytes per token", args, k, want)
			}
		}
		if r.Architecture != "llama" || r.Reason != "" || r.Run.Tokenizer == "" {
			t.Errorf("%v: %+v", args, r)
		}
	}
}

// The embeddings of a model without an output matrix are read whole for the logits, and one row of them for the token.
func TestInspectTiedModel(t *testing.T) {
	r := decode[inspection](t, kvasir(t, "", "inspect", modelFile(t, "llama-tied"), "-o", "json"))
	if want := r.TensorBytes + 4*256; r.Run.DecodeBytes != want {
		t.Errorf("%d bytes per token, want %d", r.Run.DecodeBytes, want)
	}
}

func TestInspectWhatCannotRun(t *testing.T) {
	spec := testmodel.Named("llama-gqa").Spec()
	for name, s := range map[string]*testmodel.Spec{
		"mamba":       spec.With("general.architecture", "mamba"),
		"no name":     spec.Without("general.architecture"),
		"no tensors":  {KV: spec.KV},
		"lacks one":   spec.Without("blk.1.attn_q.weight"),
		"bad numbers": spec.With("llama.attention.head_count", uint32(0)),
	} {
		b, err := s.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		path := file(t, "m.gguf", string(b))
		r := decode[inspection](t, kvasir(t, "", "inspect", path, "-o", "json"))
		if r.Run != nil || r.Reason == "" || len(r.Metadata) != len(s.KV) {
			t.Errorf("%s: %+v", name, r)
		}
		if text := kvasir(t, "", "inspect", path); text.code != 0 || !strings.Contains(text.out, "cannot run this file: "+r.Reason) {
			t.Errorf("%s: exit code %d\n%s", name, text.code, text.out)
		}
	}
}

func TestFit(t *testing.T) {
	const block = 64 * 1000
	mem := func(n int64) memoryText { return memoryText{Usable: n, Known: true} }
	for _, c := range []struct {
		name    string
		nCtx    int
		mem     memoryText
		fits    bool
		largest int
		verdict string
	}{
		{"all of it", 1000, mem(2_100_000), true, 1000, "fits"},
		{"exactly", 960, mem(1_000_000 + 15*block), true, 960, "fits"},
		{"a byte less", 960, mem(1_000_000 + 15*block - 1), false, 896, "fits with a context of up to 896 tokens (-c 896)"},
		{"more than trained", 2000, mem(10_000_000), true, 1000, "fits, though the model was trained for 1000 tokens only"},
		{"no block", 1000, mem(1_000_000 + block - 1), false, 0, "does not fit: 1 B more needed even for the shortest context; weights would be read from disk for every token"},
		{"not the weights", 64, mem(500_000), false, 0, "does not fit: 550.8 KiB more needed even for the shortest context; weights would be read from disk for every token"},
		{"unknown", 64, memoryText{}, false, 0, "unknown: this system does not say how much memory there is"},
	} {
		k, err := fit(1_000_000, block, c.nCtx, 1000, c.mem)
		if err != nil || k.Fits != c.fits || k.Largest != c.largest || k.Verdict != c.verdict {
			t.Errorf("%s: %+v, %v; want fits %v, largest %d, %q", c.name, k, err, c.fits, c.largest, c.verdict)
		}
		// A context that is said to fit does.
		if k.Largest > 0 {
			if again, err := fit(1_000_000, block, k.Largest, 1000, c.mem); err != nil || !again.Fits && k.Largest < 1000 {
				t.Errorf("%s: the context of %d that it names does not fit: %+v, %v", c.name, k.Largest, again, err)
			}
		}
	}
}

func TestPattern(t *testing.T) {
	for name, want := range map[string]string{
		"blk.12.attn_q.weight": "blk.*.attn_q.weight", "blk.x.attn_q": "blk.x.attn_q", "blk..w": "blk..w", "output.weight": "output.weight",
		"a.1.b": "a.1.b", "blk.1": "blk.1",
	} {
		if got := pattern(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestSizesForPeople(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1 << 20: "1.0 MiB", 1<<63 - 1: "8.0 EiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", 100000: "100,000"} {
		if got := countText(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
