package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"kvasir/internal/testmodel"
	"kvasir/kvcache"
	"kvasir/quant"
	"kvasir/quant/kernel"
)

var update = flag.Bool("update", false, "write testdata/logits.json from the reference kernels")

const goldenPath = "testdata/logits.json"

// Cases of the golden file: every architecture in float32 with every KV format, two with a mixture of them, one model in
// every weight format.
type bitCase struct {
	model string
	typ   quant.Type
	kv    quant.KVFormat // 0: the mixture
}

func (c bitCase) String() string {
	if c.kv == 0 {
		return fmt.Sprintf("%s/%v/mixed", c.model, c.typ)
	}
	return fmt.Sprintf("%s/%v/%v", c.model, c.typ, c.kv)
}

// geometry of the mixture: K and V of a layer by turns f16 and int8, int8 and f16, both f16, both int8.
func (c bitCase) geometry(m *Model) kvcache.Geometry {
	if c.kv != 0 {
		return m.Geometry(c.kv)
	}
	var r Recipe
	for layer := range m.Config.NLayers {
		r.F16 = append(r.F16, [][]RowSet{{{layer, kvcache.K}}, {{layer, kvcache.V}}, {{layer, kvcache.K}, {layer, kvcache.V}}, nil}[layer%4]...)
	}
	return m.RecipeGeometry(r)
}

func architectureCases() []bitCase {
	var cs []bitCase
	for _, name := range testmodel.Names() {
		for _, kv := range []quant.KVFormat{quant.KVInt8, quant.KVF16, quant.KVF32} {
			cs = append(cs, bitCase{name, quant.F32, kv})
		}
	}
	for _, name := range []string{"qwen2-gqa", "gemma3-window"} {
		cs = append(cs, bitCase{name, quant.F32, 0})
	}
	return cs
}

func formatCases() []bitCase {
	var cs []bitCase
	for _, typ := range quant.Types() {
		cs = append(cs, bitCase{"llama-gqa", typ, quant.KVInt8})
	}
	return cs
}

func (c bitCase) file(t *testing.T) []byte {
	s := testmodel.Named(c.model).Spec()
	if c.typ != quant.F32 {
		s = s.WithType(c.typ)
	}
	b, err := s.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tokens is how many tokens a case takes: into a second attention tile for one model of each kind of attention, into a
// second block otherwise.
func (c bitCase) tokens() int {
	if c.typ == quant.F32 && (c.model == "llama-gqa" || c.model == "gemma3-window") {
		return 270
	}
	return 70
}

func bitTokens(n, vocab int) []int32 {
	ids := make([]int32, n)
	s := uint32(1)
	for i := range ids {
		s = s*1664525 + 1013904223
		ids[i] = int32(s>>8) % int32(vocab)
	}
	return ids
}

func hashLogits(l [][]float32) string {
	h := sha256.New()
	var b []byte
	for _, row := range l {
		b = b[:0]
		for _, v := range row {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// bitRun is one way to compute a case.
type bitRun struct{ batch, threads, tokens int }

// hash computes the logits of the case's first tokens.
func (r bitRun) hash(t *testing.T, c bitCase, file []byte, variant string) string {
	m := open(t, file, Options{Kernels: variant, Threads: r.threads})
	return hashLogits(allLogits(t, m, bitTokens(r.tokens, m.Config.NVocab), c.geometry(m), r.batch))
}

// golden reads the golden file, or returns what -update is to fill. Both tests write into the same file.
func golden(t *testing.T) map[string]string {
	g := map[string]string{}
	b, err := os.ReadFile(goldenPath)
	if err == nil {
		err = json.Unmarshal(b, &g)
	}
	if err != nil && !*update {
		t.Fatal(err)
	}
	return g
}

func writeGolden(t *testing.T, g map[string]string) {
	b, err := json.MarshalIndent(g, "", " ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(goldenPath), 0o755)
	}
	if err == nil {
		err = os.WriteFile(goldenPath, append(b, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The logits of every architecture and KV format are the same bytes for every kernel variant, and on every instruction
// set: the golden file was written with the reference kernels on amd64 (go test ./engine -run SameBits -update).
func TestLogitsAreTheSameBitsForEveryArchitectureAndKVFormat(t *testing.T) {
	want := golden(t)
	for _, c := range architectureCases() {
		t.Run(c.String(), func(t *testing.T) {
			file, n := c.file(t), c.tokens()
			if *update {
				want[c.String()] = bitRun{48, 2, n}.hash(t, c, file, "reference")
				return
			}
			if testing.Short() && c.model != "llama-gqa" && c.kv != quant.KVInt8 && (c.kv != 0 || c.model != "qwen2-gqa") {
				t.Skip("a case of few: the others run without -short")
			}
			runs := []bitRun{{48, 4, n}, {1, 1, n}}
			if n > 100 && !testing.Short() && (c.kv == quant.KVInt8 || c.kv == 0) {
				runs = append(runs, bitRun{7, 2, n}, bitRun{270, 3, n})
			}
			for i, v := range kernel.Variants() {
				if v.Name == "reference" || i > 0 && (testing.Short() || n > 100 && v.Name == "portable") {
					continue // slow, and compared with the others by the kernels' own tests
				}
				for _, r := range runs {
					if got := r.hash(t, c, file, v.Name); got != want[c.String()] {
						t.Errorf("%s, %+v: %.12s, want %.12s", v.Name, r, got, want[c.String()])
					}
				}
			}
		})
	}
	if *update {
		writeGolden(t, want)
	}
}

// The logits of every weight format are the same bytes whatever the batch and the number of threads, for every kernel
// variant that runs here and on every instruction set. Two golden hashes a format: of the first tokens, two blocks of the
// store, for batches that take their time, and of all.
func TestLogitsAreTheSameBitsForEveryWeightFormatBatchAndThreadCount(t *testing.T) {
	const few, all = 70, 520 // more than the largest batch
	want := golden(t)
	key := func(c bitCase, n int) string {
		if n == all {
			return c.String() + "/all"
		}
		return c.String()
	}
	for _, c := range formatCases() {
		t.Run(c.typ.String(), func(t *testing.T) {
			file := c.file(t)
			first := few
			if n := c.tokens(); n > few {
				first = n // the architecture's own case
			}
			if *update {
				for _, n := range []int{first, all} {
					want[key(c, n)] = bitRun{48, 2, n}.hash(t, c, file, "reference")
				}
				return
			}
			for i, v := range kernel.Variants() {
				var runs []bitRun
				switch {
				case v.Name == "reference" || testing.Short() && i > 0:
					continue // slow, and compared with the others by the kernels' own tests
				case v.Name == "portable":
					runs = []bitRun{{64, 3, first}, {1, 1, first}}
				case testing.Short():
					runs = []bitRun{{64, 3, first}, {7, 2, first}}
					if c.typ == quant.Q4_0 || c.typ == quant.Q4_K {
						runs = append(runs, bitRun{512, 4, all}, bitRun{1, 1, first})
					}
				default:
					for threads := 1; threads <= 4; threads++ {
						runs = append(runs, bitRun{1, threads, first}, bitRun{7, threads, first}, bitRun{64, threads, all}, bitRun{512, threads, all})
					}
				}
				for _, r := range runs {
					if got := r.hash(t, c, file, v.Name); got != want[key(c, r.tokens)] {
						t.Errorf("%s, %+v: %.12s, want %.12s", v.Name, r, got, want[key(c, r.tokens)])
					}
				}
			}
		})
	}
	if *update {
		writeGolden(t, want)
		return
	}
	// Nothing is compared with nothing, and no entry is left that nobody compares.
	entries := len(architectureCases()) + 2*len(formatCases()) - 1 // llama-gqa/F32/int8 is in both
	if len(want) != entries {
		t.Errorf("the golden file has %d entries, the tests %d", len(want), entries)
	}
	var names []string
	for _, v := range kernel.Variants() {
		names = append(names, v.Name)
	}
	t.Logf("variants: %q", names)
}
