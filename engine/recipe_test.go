package engine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kvasir/engine"
	"kvasir/kvcache"
	"kvasir/platform/vfs"
	"kvasir/platform/vfs/memfs"
	"kvasir/quant"
)

// mixed keeps the keys of the first layer and the values of the last one as f16.
func mixed(m *engine.Model) engine.Recipe {
	return engine.Recipe{}.With(engine.RowSet{Layer: m.Config.NLayers - 1, Side: kvcache.V}, engine.RowSet{Side: kvcache.K})
}

// saveRecipe puts a recipe for m under home, as eval kv does.
func saveRecipe(t testing.TB, m *engine.Model, home string, r engine.Recipe) {
	t.Helper()
	digest, err := m.Digest(context.Background(), "", nil)
	if err == nil {
		fp, _ := m.Fingerprint(digest)
		err = engine.NewRecipes(vfs.OS(), home).Write(fp, &engine.SavedRecipe{Recipe: r, Model: m.Name(), NLayers: m.Config.NLayers})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestRecipeNames(t *testing.T) {
	m := resumeModel(t, "qwen2-gqa", 1)
	all := engine.Recipe{}.With(m.RowSets()...)
	for want, g := range map[string]kvcache.Geometry{
		"int8": m.RecipeGeometry(engine.Recipe{}), "int8+2 f16": m.RecipeGeometry(mixed(m)), "f16": m.RecipeGeometry(all), "f32": m.Geometry(quant.KVF32),
	} {
		if got := engine.FormatName(g); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	g := m.RecipeGeometry(mixed(m))
	if l := g.Layers; l[0].K != quant.KVF16 || l[0].V != quant.KVInt8 || l[1].K != quant.KVInt8 || l[1].V != quant.KVF16 {
		t.Errorf("%+v", l)
	}
}

// A recipe comes back as it was written; other models have none.
func TestRecipeFileRoundTrip(t *testing.T) {
	fsys := memfs.New()
	rs, fp := engine.NewRecipes(fsys, "/home"), kvcache.Fingerprint{1, 2, 3}
	if got, err := rs.Read(fp, 4); got != nil || err != nil {
		t.Errorf("without a file: %+v, %v", got, err)
	}
	if all, err := rs.List(); len(all) != 0 || err != nil {
		t.Errorf("without a directory: %+v, %v", all, err)
	}
	for _, sets := range [][]engine.RowSet{nil, {{Layer: 3, Side: kvcache.V}}, {{Layer: 0, Side: kvcache.K}, {Layer: 0, Side: kvcache.V}, {Layer: 2, Side: kvcache.K}}} {
		want := &engine.SavedRecipe{Recipe: engine.Recipe{F16: sets}, Model: "a \"model\"\n", NLayers: 4,
			Measured: []engine.RecipeFigures{{Text: "t", Context: 512, Tokens: 7, KV: "int8", KLMean: 0.5, KLP99: 1, SameTop: 0.25}}}
		if err := rs.Write(fp, want); err != nil {
			t.Fatal(err)
		}
		got, err := rs.Read(fp, 4)
		if err != nil || !slices.Equal(got.F16, sets) || got.Model != want.Model || !slices.Equal(got.Measured, want.Measured) {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
	if got, err := rs.Read(kvcache.Fingerprint{1, 2, 3, 0, 0, 0, 0, 0, 1}, 4); got != nil || !errors.Is(err, engine.ErrRecipe) {
		t.Errorf("another model whose file has the same name: %+v, %v", got, err)
	}
	if got, err := rs.Read(fp, 5); got != nil || !errors.Is(err, engine.ErrRecipe) {
		t.Errorf("a model of 5 layers: %+v, %v", got, err)
	}
	if err := rs.Write(fp, &engine.SavedRecipe{Recipe: engine.Recipe{F16: []engine.RowSet{{Layer: 4}}}, NLayers: 4}); !errors.Is(err, engine.ErrRecipe) {
		t.Errorf("layer 4 of 4 written: %v", err)
	}
	all, err := rs.List()
	if err != nil || len(all) != 1 || all[0].Err != nil || all[0].Path != rs.Path(fp) || len(all[0].Recipe.F16) != 3 {
		t.Errorf("%+v, %v", all, err)
	}
}

// validRecipe is a file for four layers and the fingerprint 01 00...; its parts are replaced by what is wrong.
const validRecipe = `{"kvasir_recipe": 1, "fingerprint": "0100000000000000000000000000000000000000000000000000000000000000",
 "model": "m", "layers": 4, "f16": ["0.K", "3.V"]}`

// A recipe file is taken as it is meant or refused with the field at fault; nothing in it is guessed.
func TestRecipeFilesAreReadStrictly(t *testing.T) {
	for _, c := range []struct{ old, new, err string }{
		{"", "", ""},
		{`"layers": 4, "f16": ["0.K", "3.V"]`, `"layers": 4, "f16": []`, ""},
		{`"m"`, `"m", "measured": [{"text": "t", "context": 512}]`, ""},
		{validRecipe, "", "EOF"},
		{validRecipe, "[]", "cannot unmarshal array"},
		{validRecipe, "\x00\x01", "invalid character"},
		{`"3.V"]}`, `"3.V"]`, "EOF"},
		{`"3.V"]}`, `"3.V"]} {}`, "more behind"},
		{`"kvasir_recipe": 1`, `"kvasir_recipe": 2`, `"kvasir_recipe": found version 2`},
		{`"kvasir_recipe": 1, `, ``, `found version 0`},
		{`"model"`, `"modell"`, `unknown field "modell"`},
		{`"01000000`, `"0x000000`, `"fingerprint": found`},
		{`"01000000`, `"010000`, `"fingerprint": found`},
		{`"01000000`, `"0100000000`, `"fingerprint": found`},
		{`"01000000`, `"02000000`, `"fingerprint": found 02`},
		{`"layers": 4`, `"layers": 5`, `"layers": found 5, the model has 4`},
		{`"layers": 4`, `"layers": 3`, `"3.V": expected a layer from 0 to 2`},
		{`"layers": 4`, `"layers": 0`, `"layers": found 0`},
		{`"layers": 4`, `"layers": 1000000000`, `"layers": found 1000000000`},
		{`"layers": 4`, `"layers": 4.5`, `cannot unmarshal number`},
		{`"3.V"`, `"0.K"`, `"0.K" stands behind "0.K"`},
		{`"0.K", "3.V"`, `"3.V", "0.K"`, "ascending"},
		{`"3.V"`, `"3.v"`, `found "3.v"`},
		{`"3.V"`, `"+3.V"`, `found "+3.V"`},
		{`"3.V"`, `"03.V"`, `found "03.V"`},
		{`"3.V"`, `"3.V.V"`, `found "3.V.V"`},
		{`"3.V"`, `"-1.V"`, "expected a layer"},
		{`"3.V"`, `"4.V"`, "expected a layer"},
		{`"3.V"`, `"99999999999999999999.V"`, "found"},
		{`"3.V"`, `3`, "cannot unmarshal"},
		{`"m"`, `"` + strings.Repeat("m", 1<<20) + `"`, "bytes, want at most"},
		{validRecipe, strings.Repeat("[", 100_000), "exceeded max depth"},
	} {
		home := t.TempDir()
		rs, fp := engine.NewRecipes(vfs.OS(), home), kvcache.Fingerprint{1}
		if err := os.MkdirAll(filepath.Join(home, "recipes"), 0o700); err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(validRecipe, c.old, c.new, 1)
		if err := os.WriteFile(rs.Path(fp), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := rs.Read(fp, 4)
		switch {
		case c.err == "":
			if err != nil || got == nil {
				t.Errorf("%.300s: %v", text, err)
			}
		case got != nil || err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), rs.Path(fp)):
			t.Errorf("%.300s: %+v, %v; want an error with %q and the path", text, got, err, c.err)
		}
	}
}

// FuzzRecipe: no bytes make a recipe that a model of the stated layers could not be run with.
func FuzzRecipe(f *testing.F) {
	f.Add([]byte(validRecipe))
	f.Add([]byte(`{"kvasir_recipe": 1}`))
	home := f.TempDir()
	rs, fp := engine.NewRecipes(vfs.OS(), home), kvcache.Fingerprint{1}
	if err := os.MkdirAll(filepath.Join(home, "recipes"), 0o700); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(rs.Path(fp), b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := rs.Read(fp, 4)
		if err != nil {
			return
		}
		for i, set := range s.F16 {
			if set.Layer < 0 || set.Layer >= 4 || set.Side > kvcache.V || i > 0 && slices.Contains(s.F16[:i], set) {
				t.Fatalf("%q: %v", b, s.F16)
			}
		}
		if err := rs.Write(fp, s); err != nil {
			t.Fatalf("%q is read but cannot be written: %v", b, err)
		}
		if again, err := rs.Read(fp, 4); err != nil || !slices.Equal(again.F16, s.F16) {
			t.Fatalf("%q: %v, %v", b, again, err)
		}
	})
}

// P3: rows that were stored by one recipe are not found by another one, nor by the plain formats; they are there when
// the recipe is the same again. Without a format given, the recipe of the home is what counts.
func TestBlocksOfOneRecipeAreNotFoundByAnother(t *testing.T) {
	m := resumeModel(t, "qwen2-gqa", 2)
	home := t.TempDir()
	ids := randomIDs(m, 100, 5)
	last := m.Config.NLayers - 1
	recipes := []struct {
		name   string
		recipe engine.Recipe
		format quant.KVFormat // else the recipe's file
	}{
		{"int8", engine.Recipe{}, quant.KVInt8},
		{"f16", engine.Recipe{}.With(m.RowSets()...), quant.KVF16},
		{"int8+1 f16", engine.Recipe{}.With(engine.RowSet{Layer: 0, Side: kvcache.K}), 0},
		{"int8+1 f16", engine.Recipe{}.With(engine.RowSet{Layer: 0, Side: kvcache.V}), 0},
		{"int8+1 f16", engine.Recipe{}.With(engine.RowSet{Layer: last, Side: kvcache.K}), 0},
		{"int8+2 f16", mixed(m), 0},
	}
	if testing.Short() { // under emulation
		recipes = recipes[:3]
	}
	var want [][]float32
	for round, reused := range []int{0, len(ids) - 1} {
		for i, r := range recipes {
			if round == 0 {
				want = append(want, uninterruptedBy(t, m, ids, r.recipe)[len(ids)-1])
			}
			if r.format == 0 {
				saveRecipe(t, m, home, r.recipe)
			}
			w := openMemory(t, m, home, r.format)
			if w.Format() != r.name {
				t.Errorf("format %q, want %q", w.Format(), r.name)
			}
			c := w.NewContext(m, 0, 0)
			if got := takeUp(t, c, ids, want[i]); got != reused {
				t.Errorf("round %d, %s %v: %d tokens reused, want %d", round, r.name, r.recipe.F16, got, reused)
			}
			if err := errors.Join(c.Flush(), c.Close(), w.Close()); err != nil {
				t.Fatal(err)
			}
		}
	}
	// A file that says nothing but int8 gives the rows of int8.
	saveRecipe(t, m, home, engine.Recipe{})
	w := openMemory(t, m, home, 0)
	c := w.NewContext(m, 0, 0)
	if got, err := c.Match(ids); got != len(ids)-1 || err != nil {
		t.Errorf("an empty recipe: %d tokens reused, %v", got, err)
	}
	if err := errors.Join(c.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
}

// uninterruptedBy is uninterrupted with a recipe.
func uninterruptedBy(t testing.TB, m *engine.Model, ids []int32, r engine.Recipe) [][]float32 {
	t.Helper()
	g := m.RecipeGeometry(r)
	ns, err := kvcache.NewRAM(g)
	if err != nil {
		t.Fatal(err)
	}
	c := m.NewContext(ns, g, 0, 0)
	var all [][]float32
	err = c.Each(context.Background(), ids, func(_ int, l []float32) error {
		all = append(all, slices.Clone(l))
		return nil
	})
	if err = errors.Join(err, c.Close(), ns.Close()); err != nil {
		t.Fatal(err)
	}
	return all
}

// A recipe that cannot be used is said, and no row is int8 then: someone found that int8 is not good enough.
func TestUnusableRecipeGivesF16(t *testing.T) {
	m := resumeModel(t, "qwen2-gqa", 1)
	home := t.TempDir()
	saveRecipe(t, m, home, mixed(m))
	files, err := filepath.Glob(filepath.Join(home, "recipes", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%q, %v", files, err)
	}
	if err := os.WriteFile(files[0], []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	var warnings []error
	w, err := engine.OpenMemory(context.Background(), m, engine.MemoryOptions{Home: home, Warn: func(err error) { warnings = append(warnings, err) }})
	if err != nil {
		t.Fatal(err)
	}
	if w.Format() != "f16" || len(warnings) != 1 || !errors.Is(warnings[0], engine.ErrRecipe) || !strings.Contains(warnings[0].Error(), files[0]) {
		t.Errorf("format %s, warnings %v", w.Format(), warnings)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// P2 for a mixture of formats: resumed logits are the uninterrupted run's, bit for bit.
func TestResumedLogitsOfAMixedRecipeAreTheSameBits(t *testing.T) {
	for _, name := range []string{"qwen2-gqa", "gemma3-window"} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() {
				t.Skip("slow under emulation; there the golden logits of a mixture are compared")
			}
			m := resumeModel(t, name, 2)
			ids := randomIDs(m, resumeTokens, 6)
			home := t.TempDir()
			saveRecipe(t, m, home, mixed(m))
			resumeAtEveryLength(t, m, ids, uninterruptedBy(t, m, ids, mixed(m)), home, 0, 33)
		})
	}
}
