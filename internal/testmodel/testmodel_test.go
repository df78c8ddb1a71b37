package testmodel

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kvasir/gguf"
	"kvasir/quant"
)

// shared returns the folder of other programs' answers, or skips.
func shared(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("KVASIR_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	if _, err := os.Stat(filepath.Join(dir, "oracle")); err != nil {
		t.Skipf("no shared oracles: %v", err)
	}
	return dir
}

// The files are byte for byte those of the reference program: `mkoracle.py model NAME.json OUT; sha256sum OUT`.
func TestFromSpecEqualsReference(t *testing.T) {
	dir := shared(t)
	for name, want := range map[string]string{
		"llama-gqa":    "d1289cadf344d2e38503ccf89f5d74ccf3c04c0f5cc23751cf08e65c7b6386f5",
		"gemma3-dense": "76413c02f8f5a92aba620f07e46c05fbfd938d6839876101641e34f02851dd2d",
		"mamba2-dense": "dc798aefa1c691da8d09d27aacde1e4b7c19e03eed34fa1ef90fd09eabaee67a",
		"qwen35-dense": "b68ca76e2f6397422770680233f69a36cd648ee7cc63655803720f74254782e1",
		"gpt-oss-moe":  "71ba2ed5f94049c41225a7a31d7817aedc9cccbff48e99b05f2b6b67ac20b36f",
		"phi3-dense":   "0dc9e044a63f8d1fe70992f878b1e00574e27d88dbb254949b3b81ad068af9a2",
	} {
		spec, err := os.ReadFile(filepath.Join(dir, "oracle", "archs", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		b, err := FromSpec(spec)
		if err != nil {
			t.Fatal(err)
		}
		if got := hash(b); got != want {
			t.Errorf("%s: SHA-256 %s, expected %s", name, got, want)
		}
	}
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// A description that uses every value type and every branch of the rule; its hash is that of the reference program's
// file, made as above from testdata/rule.json.
func TestFromSpecCoversTheRule(t *testing.T) {
	spec, err := os.ReadFile(filepath.Join("testdata", "rule.json"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := FromSpec(spec)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := hash(b), "75e55c9456607ffcc534e3f5359e67c7ef5e63f870df246652c40483dd9dfd6d"; got != want {
		t.Errorf("SHA-256 %s, expected %s", got, want)
	}
	f, err := gguf.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[gguf.ValueType]bool{}
	for _, v := range f.All() {
		seen[v.Type()] = true
	}
	if len(seen) != 13 {
		t.Errorf("%d value types, expected all 13", len(seen))
	}
}

func TestParseSpecRefuses(t *testing.T) {
	for _, spec := range []string{``, `{`, `{"kv":[["k",99,1]]}`, `{"kv":[["k",9,[9,[]]]]}`, `{"kv":[["k",0,256]]}`, `{"kv":[["k",9,[0,[256]]]]}`,
		`{"kv":[["k",4,1.5]]}`, `{"kv":[["k",8,1]]}`, `{"kv":[[1,8,"x"]]}`, `{"tensors":[["a","b"]]}`, `{"tensors":[["a",[0]]]}`, `{"tensors":[["a",[]]]}`} {
		if _, err := FromSpec([]byte(spec)); err == nil {
			t.Errorf("%s accepted", spec)
		}
	}
}

// Every own model, in every tensor type, parses, has the tensors of its description, and holds only finite weights of
// about the size that the rule gives.
func TestModelsInEveryType(t *testing.T) {
	for _, name := range Names() {
		for _, typ := range quant.Types() {
			s := Named(name).Spec().WithType(typ)
			b, err := s.Bytes()
			if err != nil {
				t.Fatalf("%s %v: %v", name, typ, err)
			}
			f, err := gguf.Parse(b)
			if err != nil {
				t.Fatalf("%s %v: %v", name, typ, err)
			}
			for _, want := range s.Tensors {
				x, ok := f.Tensor(want.Name)
				if !ok || x.Type != want.Type || x.Values() == 0 {
					t.Fatalf("%s %v: tensor %s: %v", name, typ, want.Name, x)
				}
				values := make([]float32, x.Values())
				if err := x.Type.Decode(values, f.Data(x)); err != nil {
					t.Fatal(err)
				}
				var sq float64
				for _, v := range values {
					sq += float64(v) * float64(v)
				}
				fan := 1.0
				if len(want.Shape) > 1 {
					fan = float64(want.Shape[1])
				} else if strings.Contains(want.Name, "bias") {
					fan = 300 // 0.1u
				} else if strings.Contains(want.Name, "rope_freqs") {
					fan = 1 / 2.3
				}
				if rms := math.Sqrt(sq / float64(len(values)) * fan); !(rms > 0.6 && rms < 1.5) {
					t.Errorf("%s %v: %s: root mean square %.3g of what is expected", name, typ, want.Name, rms)
				}
			}
		}
	}
}

// What package quant can encode holds the rule's weights, not random ones.
func TestEncodedTypesFollowTheRule(t *testing.T) {
	for _, typ := range []quant.Type{quant.F16, quant.BF16, quant.Q8_0, quant.Q4_0} {
		s := Named("llama-gqa").Spec().WithType(typ)
		b, err := s.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		f, err := gguf.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		x, _ := f.Tensor("blk.1.ffn_up.weight")
		got, want := make([]float32, x.Values()), Weights(x.Name, []int{512, 256})
		if err := typ.Decode(got, f.Data(x)); err != nil {
			t.Fatal(err)
		}
		var diff, all float64
		for i := range got {
			diff += math.Pow(float64(got[i]-want[i]), 2)
			all += math.Pow(float64(want[i]), 2)
		}
		if !(diff/all < 0.01) {
			t.Errorf("%v: error %.3g of the weights' energy", typ, diff/all)
		}
	}
}

// The models are the same bytes on every machine. The F32 ones are those of the reference program, from the description
// that specJSON gives (checked for all names; mkoracle.py as above).
func TestModelsAreStable(t *testing.T) {
	for id, want := range map[string]string{
		"llama-gqa":      "d2fabde961732cb80545d507f7dad8febc31c084195992a14a53566ccc1a7ff1",
		"llama-gqa Q8_0": "15b7addaa4613fde4160edd0003fc4abca73ad6374a9db302f1021dd48362d89",
		"llama-gqa Q4_0": "aa9003c1505aafc224646e81e5b367767b61b6b5ad897ba8afa56df6b15ff8c1",
		"qwen3-gqa Q4_K": "f05710ec7ebe21a78dd9af11c6e88fc68ed7182767983b5a4afbefa1f546acc7",
		"gemma3-window":  "c55b6f6100ed2dbf56fda2a0823d8d3e85f8b4d4536186a83577db6006ba2220",
		"llama-text":     "0ebdf34a545bcb269beceaaa1d58b228e0e3d59cce32012ce64dd13573348344",
	} {
		name, typName, _ := strings.Cut(id, " ")
		s := Named(name).Spec()
		for _, typ := range quant.Types() {
			if typ.String() == typName {
				s = s.WithType(typ)
			}
		}
		b, err := s.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if got := hash(b); got != want {
			t.Errorf("%s: SHA-256 %s, expected %s", id, got, want)
		}
	}
}

func TestWithAndWithout(t *testing.T) {
	s := Named("llama-gqa").Spec()
	b, err := s.With("llama.block_count", uint32(9)).With("extra", "x").Without("llama.context_length", "output.weight").Bytes()
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := f.Uint32("llama.block_count")
	_, out := f.Tensor("output.weight")
	if x, _ := f.String("extra"); n != 9 || x != "x" || f.Has("llama.context_length") || out {
		t.Errorf("block_count %d, extra %q", n, x)
	}
	if n := fmt.Sprint(s.KV[5].Value); n != "2" {
		t.Errorf("the original changed: block_count %s", n)
	}
}

func TestBigKnowsItsNames(t *testing.T) {
	if _, err := Big("none", "q4_0", nil); err == nil {
		t.Error("unknown shape accepted")
	}
	if _, err := Big("tiny", "none", nil); err == nil {
		t.Error("unknown type accepted")
	}
	var h = sha256.New()
	if n, err := Big("tiny", "q4_0", h); err != nil || n < 1<<19 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// specJSON writes a spec in the form that FromSpec reads, to show that the two forms say the same.
func specJSON(t *testing.T, s *Spec) []byte {
	t.Helper()
	b, err := s.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	kv, tensors := [][3]any{}, [][2]any{}
	for k, v := range f.All() {
		var x any = v.Index(0)
		if v.Type() == gguf.Array {
			xs := []any{}
			for i := range v.Len() {
				xs = append(xs, v.Index(i))
			}
			x = [2]any{v.Elem(), xs}
		}
		kv = append(kv, [3]any{k, v.Type(), x})
	}
	for _, x := range s.Tensors {
		tensors = append(tensors, [2]any{x.Name, x.Shape})
	}
	out, err := json.Marshal(map[string]any{"kv": kv, "tensors": tensors})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSpecsInJSONSayTheSame(t *testing.T) {
	for _, name := range Names() {
		s := Named(name).Spec()
		a, err := s.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		b, err := FromSpec(specJSON(t, s))
		if err != nil {
			t.Fatal(err)
		}
		if hash(a) != hash(b) {
			t.Errorf("%s: the description in JSON gives another file", name)
		}
	}
}
