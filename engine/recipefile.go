package engine

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"kvasir/kvcache"
	"kvasir/platform"
	"kvasir/platform/vfs"
	"kvasir/quant"
)

// SavedRecipe is a recipe with what it was made for and from, as its file has it.
type SavedRecipe struct {
	Recipe
	Model    string // the name that the model had; for people
	NLayers  int
	Measured []RecipeFigures // for people
}

// RecipeFigures say how far a format of the rows was from f16 on a text: Kullback-Leibler divergence in nats.
type RecipeFigures struct {
	Text    string  `json:"text"`
	Context int     `json:"context"`
	Tokens  int     `json:"tokens"` // compared
	KV      string  `json:"kv"`
	KLMean  float64 `json:"kl_mean"`
	KLP99   float64 `json:"kl_p99"`
	SameTop float64 `json:"same_top"`
}

// String names the formats, as FormatName does for the model's geometry.
func (s *SavedRecipe) String() string {
	var g kvcache.Geometry
	for range s.NLayers {
		g.Layers = append(g.Layers, kvcache.Layer{K: quant.KVInt8, V: quant.KVInt8})
	}
	s.apply(g)
	return FormatName(g)
}

// recipeVersion is that of the form of recipe files; other versions are refused.
const recipeVersion = 1

// maxRecipeBytes bounds a recipe file: 1024 row sets, and figures, have room.
const maxRecipeBytes = 256 << 10

// maxRecipeFigures bounds the figures that a file keeps, the latest ones.
const maxRecipeFigures = 64

// recipeFile is the JSON form of a recipe file.
type recipeFile struct {
	Version     int             `json:"kvasir_recipe"`
	Fingerprint string          `json:"fingerprint"` // hexadecimal
	Model       string          `json:"model"`
	Layers      int             `json:"layers"`
	F16         []string        `json:"f16"` // "3.K": the keys of layer 3; all others are int8
	Measured    []RecipeFigures `json:"measured,omitempty"`
}

// ErrRecipe says that a recipe file does not hold what it should.
var ErrRecipe = errors.New("unusable recipe")

// Recipes are the recipe files of a home directory: recipes/, one file per model fingerprint.
type Recipes struct {
	fs  vfs.FS
	dir string
}

// NewRecipes returns the recipes under home, which need not exist.
func NewRecipes(fsys vfs.FS, home string) *Recipes {
	return &Recipes{fsys, filepath.Join(home, "recipes")}
}

const recipeSuffix = ".json"

// Path returns where the recipe of a fingerprint is.
func (r *Recipes) Path(fp kvcache.Fingerprint) string {
	return filepath.Join(r.dir, hex.EncodeToString(fp[:8])+recipeSuffix)
}

// Read returns the recipe of a model of nLayers layers; nil if there is none. The error wraps ErrRecipe, or is that of
// the system.
func (r *Recipes) Read(fp kvcache.Fingerprint, nLayers int) (*SavedRecipe, error) {
	path := r.Path(fp)
	s, of, err := r.read(path)
	if errors.Is(err, fs.ErrNotExist) || platform.IsNotDirectory(err) {
		return nil, nil
	}
	switch {
	case err != nil:
	case of != fp:
		err = fmt.Errorf(`%w: field "fingerprint": found %x, expected %x`, ErrRecipe, of, fp)
	case s.NLayers != nLayers:
		err = fmt.Errorf(`%w: field "layers": found %d, the model has %d`, ErrRecipe, s.NLayers, nLayers)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// read reads a file whose model is not known. The layers are those that the file itself states.
func (r *Recipes) read(path string) (*SavedRecipe, kvcache.Fingerprint, error) {
	b, err := vfs.ReadFile(r.fs, path, maxRecipeBytes)
	if err != nil {
		return nil, kvcache.Fingerprint{}, err
	}
	return decodeRecipe(b)
}

func decodeRecipe(b []byte) (_ *SavedRecipe, fp kvcache.Fingerprint, err error) {
	fail := func(format string, args ...any) (*SavedRecipe, kvcache.Fingerprint, error) {
		return nil, fp, fmt.Errorf("%w: %w", ErrRecipe, fmt.Errorf(format, args...))
	}
	var f recipeFile
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return fail("%w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fail("more behind the JSON object")
	}
	if f.Version != recipeVersion {
		return fail(`field "kvasir_recipe": found version %d, expected %d`, f.Version, recipeVersion)
	}
	if raw, err := hex.DecodeString(f.Fingerprint); err != nil || copy(fp[:], raw) != len(fp) || len(raw) != len(fp) {
		return fail(`field "fingerprint": found %.80q, expected %d hexadecimal digits`, f.Fingerprint, 2*len(fp))
	}
	const maxLayers = 512 // of a geometry
	if f.Layers < 1 || f.Layers > maxLayers || len(f.F16) > 2*f.Layers {
		return fail(`field "layers": found %d, and %d entries of "f16"; expected 1 to %d, and at most two entries for each`, f.Layers, len(f.F16), maxLayers)
	}
	s := &SavedRecipe{Model: f.Model, NLayers: f.Layers, Measured: f.Measured}
	for i, name := range f.F16 {
		set, err := parseRowSet(name)
		if err != nil {
			return fail(`field "f16", entry %d: %w`, i, err)
		}
		s.F16 = append(s.F16, set)
	}
	if err := s.check(f.Layers); err != nil {
		return fail(`field "f16": %w`, err)
	}
	return s, fp, nil
}

// parseRowSet reads what RowSet.String writes, and nothing else.
func parseRowSet(name string) (RowSet, error) {
	layer, side, _ := strings.Cut(name, ".")
	n, err := strconv.Atoi(layer)
	s := RowSet{Layer: n}
	if side == kvcache.V.String() {
		s.Side = kvcache.V
	}
	if err != nil || s.String() != name {
		return s, fmt.Errorf(`found %.32q, expected a layer and a side such as "3.K"`, name)
	}
	return s, nil
}

// Write saves the recipe of a fingerprint, durably, in place of the one that is there.
func (r *Recipes) Write(fp kvcache.Fingerprint, s *SavedRecipe) error {
	if err := s.check(s.NLayers); err != nil {
		return fmt.Errorf("%w: %w", ErrRecipe, err)
	}
	f := recipeFile{Version: recipeVersion, Fingerprint: hex.EncodeToString(fp[:]), Model: s.Model, Layers: s.NLayers, F16: []string{},
		Measured: s.Measured[max(0, len(s.Measured)-maxRecipeFigures):]}
	for _, set := range s.F16 {
		f.F16 = append(f.F16, set.String())
	}
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	if err := r.fs.MkdirAll(r.dir); err != nil {
		return err
	}
	path := r.Path(fp)
	return vfs.ReplaceFile(r.fs, path+".tmp", path, append(b, '\n'))
}

// RecipeEntry is one recipe file of a home.
type RecipeEntry struct {
	Path   string
	Recipe *SavedRecipe // nil if Err is not
	Err    error
}

// List returns the recipe files, by name. A home without any gives none.
func (r *Recipes) List() ([]RecipeEntry, error) {
	names, err := r.fs.ReadDir(r.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var all []RecipeEntry
	for _, name := range names {
		if !strings.HasSuffix(name, recipeSuffix) {
			continue
		}
		e := RecipeEntry{Path: filepath.Join(r.dir, name)}
		var fp kvcache.Fingerprint
		if e.Recipe, fp, e.Err = r.read(e.Path); e.Err == nil && r.Path(fp) != e.Path {
			e.Recipe, e.Err = nil, fmt.Errorf("%w: it is that of %s", ErrRecipe, filepath.Base(r.Path(fp)))
		}
		all = append(all, e)
	}
	return all, nil
}

// FindRecipe returns the recipe of m under home and the path of its file; nil and "" if there is none. The model's digest is
// only made where there are recipes; progress may be nil. The error wraps ErrRecipe, or is that of the system.
func (m *Model) FindRecipe(ctx context.Context, home string, progress func(done, total int64)) (*SavedRecipe, string, error) {
	if home == "" {
		return nil, "", nil
	}
	r := NewRecipes(vfs.OS(), home)
	if all, err := r.List(); err != nil || len(all) == 0 {
		return nil, "", err
	}
	fp, err := m.FingerprintIn(ctx, home, progress)
	if err != nil {
		return nil, "", err
	}
	s, err := r.Read(fp, len(m.Config.Layers))
	if s == nil {
		return nil, "", err
	}
	return s, r.Path(fp), nil
}

// FingerprintIn returns the model's fingerprint, with the digest of its file from home if that knows it; home "" and
// progress nil stand for none.
func (m *Model) FingerprintIn(ctx context.Context, home string, progress func(done, total int64)) (kvcache.Fingerprint, error) {
	cache := ""
	if home != "" {
		cache = filepath.Join(home, digestsName)
	}
	digest, err := m.Digest(ctx, cache, progress)
	if err != nil {
		return kvcache.Fingerprint{}, err
	}
	fp, _ := m.Fingerprint(digest)
	return fp, nil
}
