package engine

import (
	"fmt"
	"slices"

	"kvasir/kvcache"
	"kvasir/quant"
)

// Recipe says which rows of a model are kept as f16, because int8 changes its answers too much; all others are int8. The
// zero value keeps every row as int8. It is part of the identity of what is stored: rows of one recipe are not found
// under another.
type Recipe struct {
	F16 []RowSet // ascending, no two alike
}

// RowSet is the keys or the values of one layer.
type RowSet struct {
	Layer int
	Side  kvcache.Side
}

// String returns the form that a recipe file has: "3.K".
func (s RowSet) String() string { return fmt.Sprintf("%d.%v", s.Layer, s.Side) }

func compareRowSets(a, b RowSet) int {
	if a.Layer != b.Layer {
		return a.Layer - b.Layer
	}
	return int(a.Side) - int(b.Side)
}

// With returns the recipe that keeps more as f16.
func (r Recipe) With(more ...RowSet) Recipe {
	all := slices.Concat(r.F16, more)
	slices.SortFunc(all, compareRowSets)
	return Recipe{slices.Compact(all)}
}

// Without returns the recipe that keeps less as f16.
func (r Recipe) Without(less ...RowSet) Recipe {
	return Recipe{slices.DeleteFunc(slices.Clone(r.F16), func(s RowSet) bool { return slices.Contains(less, s) })}
}

// check returns an error unless the recipe is one of a model of nLayers layers.
func (r Recipe) check(nLayers int) error {
	for i, s := range r.F16 {
		switch {
		case s.Layer < 0 || s.Layer >= nLayers || s.Side > kvcache.V:
			return fmt.Errorf("%q: expected a layer from 0 to %d and K or V", s, nLayers-1)
		case i > 0 && compareRowSets(r.F16[i-1], s) >= 0:
			return fmt.Errorf("%q stands behind %q, expected ascending order", s, r.F16[i-1])
		}
	}
	return nil
}

// RowSets returns the keys and the values of every layer: all keys, then all values.
func (m *Model) RowSets() []RowSet {
	var all []RowSet
	for _, side := range []kvcache.Side{kvcache.K, kvcache.V} {
		for layer := range m.Config.Layers {
			all = append(all, RowSet{layer, side})
		}
	}
	return all
}

// Geometry returns what a KV block of this model holds, all layers and sides in format f.
func (m *Model) Geometry(f quant.KVFormat) kvcache.Geometry {
	var g kvcache.Geometry
	for _, l := range m.Config.Layers {
		g.Layers = append(g.Layers, kvcache.Layer{NKVHeads: m.Config.NKVHeads, HeadDim: m.Config.HeadDim, K: f, V: f, Window: l.Window})
	}
	return g
}

// RecipeGeometry returns what a KV block of this model holds by a recipe, whose layers the model must have.
func (m *Model) RecipeGeometry(r Recipe) kvcache.Geometry {
	g := m.Geometry(quant.KVInt8)
	r.apply(g)
	return g
}

// apply makes f16 what the recipe says of the layers of g.
func (r Recipe) apply(g kvcache.Geometry) {
	for _, s := range r.F16 {
		if l := &g.Layers[s.Layer]; s.Side == kvcache.K {
			l.K = quant.KVF16
		} else {
			l.V = quant.KVF16
		}
	}
}

// FormatName names the row formats of a geometry: "int8", or for a mixture how many of the layers' sides have another
// than the smallest one: "int8+2 f16".
func FormatName(g kvcache.Geometry) string {
	n := map[quant.KVFormat]int{}
	for _, l := range g.Layers {
		n[l.K]++
		n[l.V]++
	}
	name := ""
	for _, f := range []quant.KVFormat{quant.KVInt8, quant.KVF16, quant.KVF32} {
		switch {
		case n[f] == 0:
		case name == "":
			name = f.String()
		default:
			name += fmt.Sprintf("+%d %v", n[f], f)
		}
	}
	return name
}
