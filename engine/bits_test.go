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
	"kvasir/quant"
	"kvasir/quant/kernel"
)

var update = flag.Bool("update", false, "write testdata/logits.json from the reference kernels")

const goldenPath = "testdata/logits.json"

// Cases of the golden file: every architecture in float32, one model in every weight type, every KV format.
type bitCase struct {
	model string
	typ   quant.Type
	kv    quant.KVFormat
}

func (c bitCase) String() string { return fmt.Sprintf("%s/%v/%v", c.model, c.typ, c.kv) }

func bitCases() []bitCase {
	var cs []bitCase
	for _, name := range testmodel.Names() {
		for _, kv := range []quant.KVFormat{quant.KVInt8, quant.KVF16, quant.KVF32} {
			cs = append(cs, bitCase{name, quant.F32, kv})
		}
	}
	for _, typ := range quant.Types() {
		if typ != quant.F32 {
			cs = append(cs, bitCase{"llama-gqa", typ, quant.KVInt8}, bitCase{"gemma3-window", typ, quant.KVInt8})
		}
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

// The logits are the same bytes for every kernel variant, batch size and thread count, and on every instruction set:
// the golden file was written with the reference kernels on amd64 (go test ./engine -run SameBits -update).
func TestLogitsAreTheSameBitsForEveryKernelBatchAndThreadCount(t *testing.T) {
	golden := map[string]string{}
	if b, err := os.ReadFile(goldenPath); err == nil {
		if err := json.Unmarshal(b, &golden); err != nil {
			t.Fatal(err)
		}
	} else if !*update {
		t.Fatal(err)
	}
	type run struct{ batch, threads int }
	for _, c := range bitCases() {
		t.Run(c.String(), func(t *testing.T) {
			file := c.file(t)
			hash := func(variant string, r run) string {
				m := open(t, file, Options{Kernels: variant, Threads: r.threads})
				return hashLogits(allLogits(t, m, bitTokens(c.tokens(), m.Config.NVocab), c.kv, r.batch))
			}
			if *update {
				golden[c.String()] = hash("reference", run{48, 2})
				return
			}
			runs := []run{{48, 4}, {1, 1}}
			if c.tokens() > 100 && !testing.Short() {
				runs = append(runs, run{7, 2}, run{270, 3})
			}
			if testing.Short() && c.model != "llama-gqa" && c.kv != quant.KVInt8 {
				t.Skip("a case of few: the others run without -short")
			}
			for i, v := range kernel.Variants() {
				if v.Name == "reference" || testing.Short() && i > 0 {
					continue // slow, and compared with the others by the kernels' own tests
				}
				for _, r := range runs {
					if got := hash(v.Name, r); got != golden[c.String()] {
						t.Errorf("%s, batch %d, %d threads: %.12s, want %.12s", v.Name, r.batch, r.threads, got, golden[c.String()])
					}
				}
			}
		})
	}
	if *update {
		b, err := json.MarshalIndent(golden, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(goldenPath), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(goldenPath, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	names := make([]string, 0, 4)
	for _, v := range kernel.Variants() {
		names = append(names, v.Name)
	}
	t.Logf("variants: %q", names)
}
