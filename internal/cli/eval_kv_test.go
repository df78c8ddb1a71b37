package cli

import (
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kvasir/engine"
	"kvasir/internal/testmodel"
	"kvasir/kvcache"
	"kvasir/platform/vfs"
)

// biasedModel is a model like Qwen2.5, whose keys at one layer have biases hundreds of times what else they hold. They lie
// in the slowest pair of the rotation, so that they are nearly the same at every position and attention does not see
// them, but the scale of an int8 row does.
func biasedModel(t testing.TB, bias float32, layers ...int) string {
	t.Helper()
	const hd = 64
	c := testmodel.Config{Arch: "qwen2", Layers: 4, Embd: 128, Heads: 2, KVHeads: 1, HeadDim: hd, FFN: 128, Vocab: 288, Context: 600, RopeBase: 1e6, Text: true}
	s := c.Spec().Edited("output.weight", func(w []float32) { // surer of itself than random weights are
		for i := range w {
			w[i] *= 3
		}
	})
	for _, layer := range layers {
		s = s.Edited(fmt.Sprintf("blk.%d.attn_q.weight", layer), func(w []float32) {
			for i := range w {
				w[i] *= 2
			}
		}).Edited(fmt.Sprintf("blk.%d.attn_k.bias", layer), func(b []float32) {
			for h := 0; h < len(b); h += hd {
				b[h+hd/2-1], b[h+hd-1] = bias, -bias/2
			}
		})
	}
	b, err := s.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return file(t, "biased.gguf", string(b))
}

func someText(n int) string {
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for b.Len() < n {
		for range 2 + r.IntN(6) {
			b.WriteByte(byte('a' + r.IntN(26)))
		}
		b.WriteByte(' ')
	}
	return b.String()
}

// evalKV runs eval kv in the home as it is.
func evalKV(t *testing.T, args ...string) kvResult {
	t.Helper()
	return decode[kvResult](t, plain("", append([]string{"eval", "kv", "-t", "2", "-o", "json"}, args...)...))
}

// A model with huge K biases at two layers does not pass as int8. --fix finds the keys of these layers and nothing else,
// in fewer passes than there are candidates; with that recipe the model passes, and every command uses it.
func TestEvalKVFixesTheRowsThatNeedIt(t *testing.T) {
	home := homeFor(t)
	model, text := biasedModel(t, 605, 1, 3), file(t, "text", someText(1400))
	before := evalKV(t, "-m", model, "--file", text)
	if f := before.Figures; len(f) != 3 || before.Recipe != nil || before.Search != nil || f[0].KV != "int8" || f[0].Context != 512 || f[1].KV != "f32" ||
		f[2].KV != "int8" || f[2].Context != 600 {
		t.Fatalf("%+v", before)
	}
	for _, f := range before.Figures {
		if f.Passes != (f.KV == "f32") || f.Tokens < 500 {
			t.Errorf("int8 alone: %+v", f)
		}
	}
	if _, err := os.Stat(filepath.Join(home, "recipes")); err == nil {
		t.Error("without --fix a recipe was written")
	}

	fixed := evalKV(t, "-m", model, "--file", text, "--fix")
	if r := fixed.Recipe; r == nil || !r.Written || r.KV != "int8+2 f16" || !slices.Equal(r.F16, []string{"1.K", "3.K"}) || filepath.Dir(r.File) != filepath.Join(home, "recipes") {
		t.Fatalf("recipe %+v", fixed.Recipe)
	}
	if c := fixed.Search; c == nil || c.AtMost != 22 || c.Passes > c.AtMost {
		t.Errorf("search %+v", c)
	} else {
		t.Logf("%d passes of at most %d", c.Passes, c.AtMost)
	}
	if f := fixed.Figures[len(fixed.Figures)-2:]; f[0].Context != 512 || f[1].Context != 600 || f[0].KV != "int8+2 f16" || !f[0].Passes || !f[1].Passes ||
		f[0].KLMean > gateMean || f[0].KLP99 > gateP99 {
		t.Errorf("with the recipe: %+v", f)
	}

	// It passes: nothing is to be done, and nothing is written.
	wrote, err := os.Stat(fixed.Recipe.File)
	if err != nil || wrote.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", wrote, err)
	}
	again := evalKV(t, "-m", model, "--file", text, "--fix")
	if r := again.Recipe; r == nil || r.Written || again.Search != nil || len(again.Figures) != 5 || again.Figures[1].KV != "int8+2 f16" || !again.Figures[1].Passes {
		t.Errorf("a second time: %+v", again)
	}
	if now, err := os.Stat(fixed.Recipe.File); err != nil || !now.ModTime().Equal(wrote.ModTime()) {
		t.Errorf("the recipe was written again: %v", err)
	}

	for _, c := range []struct{ kv, want string }{{"", "int8+2 f16"}, {"auto", "int8+2 f16"}, {"int8", "int8"}, {"f16", "f16"}} {
		args := []string{"run", "-m", model, "-n", "3", "--seed", "1", "--stats", "-", "once upon a time"}
		if c.kv != "" {
			args = append(args, "--kv", c.kv)
		}
		if r := plain("", args...); r.code != 0 || !strings.Contains(r.err, fmt.Sprintf(`"kv":%q`, c.want)) {
			t.Errorf("run --kv %q: exit code %d, %s, want %s", c.kv, r.code, r.err, c.want)
		}
	}
	r := decode[inspection](t, plain("", "inspect", model, "-o", "json"))
	if k := r.Run; k.InUse != "int8+2 f16" || k.Recipe != fixed.Recipe.File || len(k.KV) != 3 || k.KV[2].Format != k.InUse ||
		k.KV[2].TokenBytes != k.KV[0].TokenBytes+2*(128-66) {
		t.Errorf("inspect: %+v", r.Run)
	}
	if d := plain("", "doctor", "-o", "json"); !strings.Contains(d.out, `"kv": "int8+2 f16"`) {
		t.Errorf("doctor: %s", d.out)
	}
	// Other models do not use it.
	if r := decode[inspection](t, plain("", "inspect", "demo", "-o", "json")); r.Run.InUse != "int8" || r.Run.Recipe != "" {
		t.Errorf("another model: %+v", r.Run)
	}
}

// A recipe is added to, never taken from: what an earlier text needed stays.
func TestEvalKVAddsToARecipe(t *testing.T) {
	home := homeFor(t)
	model, text := biasedModel(t, 605, 2), file(t, "text", someText(1500))
	m, err := engine.Open(model, engine.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	fp, err := m.FingerprintIn(t.Context(), "", nil)
	if err == nil {
		err = engine.NewRecipes(vfs.OS(), home).Write(fp, &engine.SavedRecipe{Recipe: engine.Recipe{}.With(engine.RowSet{Layer: 1, Side: kvcache.V}), NLayers: 4})
	}
	if err = errors.Join(err, m.Close()); err != nil {
		t.Fatal(err)
	}
	r := evalKV(t, "-m", model, "--file", text, "--fix", "-c", "128")
	if r.Recipe == nil || !r.Recipe.Written || !slices.Equal(r.Recipe.F16, []string{"1.V", "2.K"}) {
		t.Errorf("%+v", r.Recipe)
	}
	if f := r.Figures; len(f) != 4 || f[0].Passes || f[1].KV != "int8+1 f16" || f[1].Passes || !f[3].Passes {
		t.Errorf("%+v", f)
	}
	// A damaged recipe is named, not overwritten.
	if err := os.WriteFile(r.Recipe.File, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := plain("", "eval", "kv", "-m", model, "--file", text, "--fix", "-c", "128"); r.code != exitBadData || !strings.Contains(r.err, home) {
		t.Errorf("a damaged recipe: exit code %d, %s", r.code, r.err)
	}
	if r := plain("", "run", "-m", model, "-n", "1", "--stats", "-", "a"); r.code != 0 || !strings.Contains(r.err, `"kv":"f16"`) || !strings.Contains(r.err, home) {
		t.Errorf("a damaged recipe: exit code %d, %s", r.code, r.err)
	}
	if r := decode[inspection](t, plain("", "inspect", model, "-o", "json")); r.Run.InUse != "f16" || !strings.Contains(r.Run.RecipeError, home) {
		t.Errorf("a damaged recipe: %+v", r.Run)
	}
	if d := plain("", "doctor", "-o", "json"); d.code != 0 || !strings.Contains(d.out, "cannot be used") {
		t.Errorf("a damaged recipe: exit code %d, %s", d.code, d.out)
	}
}

// A model that needs nothing gets no recipe, and is told so.
func TestEvalKVOfAModelThatNeedsNothing(t *testing.T) {
	home := homeFor(t)
	text := file(t, "text", someText(1000))
	r := plain("", "eval", "kv", "--file", text, "--fix", "-c", "128")
	if r.code != 0 || !strings.Contains(r.out, "passes") || !strings.Contains(r.out, "int8 passes: the model needs no recipe") {
		t.Errorf("exit code %d, %s%s", r.code, r.out, r.err)
	}
	if _, err := os.Stat(filepath.Join(home, "recipes")); err == nil {
		t.Error("a recipe was written")
	}
}

// The search finds exactly the rows that do harm, whichever they are, and within its bound, when harm adds up; and it ends
// when nothing is ever enough.
func TestRecipeSearchFindsTheCulprits(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for n := 1; n <= 64; n++ {
		for _, nCulprits := range []int{1, 2, min(n, 5), n} {
			if nCulprits > n {
				continue
			}
			rows, harm := make([]engine.RowSet, n), map[engine.RowSet]float64{}
			for i := range rows {
				rows[i] = engine.RowSet{Layer: i}
				harm[rows[i]] = 0.5 / float64(n) // all together pass
			}
			var want []engine.RowSet
			for _, i := range r.Perm(n)[:nCulprits] {
				harm[rows[i]] = 1.5 + r.Float64()
				want = append(want, rows[i])
			}
			slices.SortFunc(want, func(a, b engine.RowSet) int { return int(1e6 * (harm[b] - harm[a])) })
			s := &recipeSearch{atMost: searchBound(n)}
			sum := func(set []engine.RowSet) (h float64) {
				for _, row := range set {
					h += harm[row]
				}
				return h
			}
			s.measure = func(sets ...[]engine.RowSet) (hs []float64, err error) {
				for _, set := range sets {
					hs = append(hs, sum(set))
				}
				return hs, nil
			}
			s.enough = func(f16 []engine.RowSet) (bool, error) {
				left := slices.DeleteFunc(slices.Clone(rows), func(x engine.RowSet) bool { return slices.Contains(f16, x) })
				hs, err := s.measure(left)
				return hs[0] <= 1, err
			}
			got, err := s.run(rows)
			if err != nil || !slices.Equal(got, want) || s.passes > s.atMost {
				t.Fatalf("%d rows: %v in %d passes of at most %d, %v; want %v", n, got, s.passes, s.atMost, err, want)
			}
			if most := nCulprits*(2*bits.Len(uint(n))+1) + 2; nCulprits <= 2 && s.passes > most {
				t.Errorf("%d rows, %d to blame: %d passes, expected at most %d", n, nCulprits, s.passes, most)
			}
			s = &recipeSearch{atMost: s.atMost, measure: s.measure, enough: func([]engine.RowSet) (bool, error) { return false, nil }}
			if got, err := s.run(rows); err != nil || len(got) != n || s.passes > s.atMost {
				t.Fatalf("never enough: %d of %d rows in %d passes, %v", len(got), n, s.passes, err)
			}
		}
	}
}
