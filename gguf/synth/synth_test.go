package synth

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"testing"

	"kvasir/gguf"
	"kvasir/quant"
)

// Random blocks of every type decode to finite values with mean 0 and the deviation that was asked for.
func TestBlocksHaveTheSpreadAskedFor(t *testing.T) {
	for _, typ := range quant.Types() {
		for _, fan := range []int{64, 576, 8192} {
			const n = 1 << 16
			size, _ := typ.RowBytes(n)
			b, x := make([]byte, size), make([]float32, n)
			if err := FillBlocks(b, typ, fan, NewRand(typ.String())); err != nil {
				t.Fatal(err)
			}
			if err := typ.Decode(x, b); err != nil {
				t.Fatal(err)
			}
			var sum, sq, most float64
			for _, v := range x {
				sum += float64(v)
				sq += float64(v) * float64(v)
				most = max(most, math.Abs(float64(v)))
			}
			sigma := 1 / math.Sqrt(float64(fan))
			dev, mean := math.Sqrt(sq/n), sum/n
			// MXFP4's powers of two meet a deviation only to a factor of sqrt(2).
			if tol := map[bool]float64{true: 0.5, false: 0.12}[typ == quant.MXFP4]; !(math.Abs(dev/sigma-1) < tol) {
				t.Errorf("%v, fan %d: deviation %.3g times what was asked for", typ, fan, dev/sigma)
			}
			if !(math.Abs(mean) < 0.2*sigma) || !(most < 12*sigma) {
				t.Errorf("%v, fan %d: mean %.3g, largest %.3g deviations", typ, fan, mean/sigma, most/sigma)
			}
		}
	}
}

// Blocks of one tensor have different scales, so that a program that takes a neighbour's scale is found out.
func TestScalesDiffer(t *testing.T) {
	for typ, f := range fillers {
		size := typ.Geometry().BlockBytes
		b := make([]byte, 64*size)
		if err := FillBlocks(b, typ, 256, NewRand("x")); err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for i := 0; i < len(b); i += size {
			seen[string(b[i+f.scale:i+f.scale+2])] = true
		}
		if len(seen) < 8 {
			t.Errorf("%v: %d different scales in 64 blocks", typ, len(seen))
		}
	}
}

func TestFillBlocksRefuses(t *testing.T) {
	for _, c := range []struct {
		n, fan int
		t      quant.Type
	}{{17, 64, quant.Q4_0}, {18, 0, quant.Q4_0}, {18, 64, 4}, {18, 64, 1000}} {
		if FillBlocks(make([]byte, c.n), c.t, c.fan, NewRand("x")) == nil {
			t.Errorf("%+v accepted", c)
		}
	}
}

// A synthetic file has the shape's tensors, types by the mix, and the size announced.
func TestWriteGivesAReadableModel(t *testing.T) {
	s, err := Named("tiny")
	if err != nil {
		t.Fatal(err)
	}
	for _, arch := range []string{"llama", "qwen2", "qwen3", "gemma3"} {
		s.Arch = arch
		for _, name := range append([]string{"q4_k_m"}, typeNames()...) {
			m, err := ParseMix(name)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			n, err := Write(&out, s, m)
			if err != nil {
				t.Fatal(err)
			}
			if want, err := Bytes(s, m); err != nil || n != want || n != int64(out.Len()) {
				t.Fatalf("%s: wrote %d of %d bytes, %v", name, n, want, err)
			}
			f, err := gguf.Parse(out.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if len(f.Tensors()) != len(s.Tensors()) || len(f.Warnings) != 0 {
				t.Errorf("%s: %d tensors, %q", name, len(f.Tensors()), f.Warnings)
			}
			types := map[string]quant.Type{"blk.0.attn_norm.weight": quant.F32, "token_embd.weight": m.single, "blk.1.ffn_down.weight": m.single}
			if name == "q4_k_m" {
				types = map[string]quant.Type{"token_embd.weight": quant.Q6_K, "output.weight": quant.Q6_K, "blk.0.attn_v.weight": quant.Q6_K,
					"blk.0.ffn_down.weight": quant.Q6_K, "blk.1.ffn_down.weight": quant.Q4_K, "blk.0.attn_q.weight": quant.Q4_K}
			}
			for name, want := range types {
				if x, ok := f.Tensor(name); !ok || x.Type != want {
					t.Errorf("%s: %v", name, x)
				}
			}
		}
	}
}

func typeNames() (names []string) {
	for _, t := range quant.Types() {
		names = append(names, t.String())
	}
	return names
}

// Rows that a block does not divide fall back to Q8_0, or to F16.
func TestMixFallsBack(t *testing.T) {
	m, _ := ParseMix("q4_k_m")
	for d, want := range map[uint64]quant.Type{256: quant.Q4_K, 576: quant.Q8_0, 80: quant.F16} {
		if got := m.Type(Tensor{Name: "blk.1.attn_q.weight", Dims: []uint64{d, 2}}); got != want {
			t.Errorf("rows of %d: %v, expected %v", d, got, want)
		}
	}
	if _, err := ParseMix("q9_9"); err == nil {
		t.Error("q9_9 accepted")
	}
}

// The same bytes on every machine and in every version: benchmarks and tests refer to these files.
func TestFilesAreStable(t *testing.T) {
	s, _ := Named("tiny")
	for name, want := range map[string]string{
		"q4_k_m": "56c439408dabe862963b3fefb0d3c7a72a739c011172bf4df96e28fff5df4caf",
		"f16":    "c36fe9e0154598578f2996599545e924e897dffb2b4dd7ab5c3d3b36fe745cda",
	} {
		m, _ := ParseMix(name)
		h := sha256.New()
		if _, err := Write(h, s, m); err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != want {
			t.Errorf("%s: SHA-256 %s, expected %s", name, got, want)
		}
	}
}

func TestShapesAreConsistent(t *testing.T) {
	for _, s := range Shapes() {
		if s.Heads%s.KVHeads != 0 || s.Layers < 1 {
			t.Errorf("%+v", s)
		}
		if got, err := Named(s.Name); err != nil || got != s {
			t.Errorf("%s: %v", s.Name, err)
		}
	}
	if _, err := Named("gpt-5"); err == nil {
		t.Error("unknown shape accepted")
	}
}

func BenchmarkWrite(b *testing.B) {
	s, _ := Named("smollm2-135m")
	for _, name := range []string{"q4_0", "q8_0", "q4_k_m", "f16"} {
		b.Run(name, func(b *testing.B) {
			m, _ := ParseMix(name)
			n, _ := Bytes(s, m)
			b.SetBytes(n)
			for b.Loop() {
				if _, err := Write(io.Discard, s, m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func ExampleNamed() {
	s, _ := Named("qwen2.5-0.5b")
	m, _ := ParseMix("q4_0")
	n, _ := Bytes(s, m)
	fmt.Println(s.Layers, "layers,", n>>20, "MiB")
	// Output: 24 layers, 269 MiB
}
