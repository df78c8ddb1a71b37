package cli

import (
	"fmt"
	"io"
	"math"

	"kvasir/engine"
	"kvasir/gguf"
	"kvasir/kvcache"
	"kvasir/platform"
	"kvasir/quant"
)

// maxContext bounds the context sizes that flags may ask for.
const maxContext = 1 << 21

// inspection is the report of inspect; its JSON form is part of the command line's interface.
type inspection struct {
	Model        string        `json:"model"`
	Name         string        `json:"name"`
	Architecture string        `json:"architecture"`
	Reason       string        `json:"cannot_run,omitempty"` // why this program cannot run it
	FileBytes    int64         `json:"file_bytes"`
	Version      uint32        `json:"gguf_version"`
	Parameters   uint64        `json:"parameters"`
	TensorBytes  int64         `json:"tensor_bytes"`
	Types        []typeSum     `json:"types"`
	Metadata     []metadatum   `json:"metadata"`
	Tensors      []tensorGroup `json:"tensors"`
	Warnings     []string      `json:"warnings,omitempty"`
	Run          *footprint    `json:"run,omitempty"` // absent if it cannot be run
}

type typeSum struct {
	Type  string `json:"type"`
	Count int    `json:"count"`
	Bytes int64  `json:"bytes"`
}

type metadatum struct {
	Key   string `json:"key"`
	Type  string `json:"type"`
	Value any    `json:"value"`
	text  string
}

type tensorGroup struct {
	Name  string `json:"name"` // with * for the number of the block
	Count int    `json:"count"`
	Type  string `json:"type"`
	Shape string `json:"shape"` // innermost first
	Bytes int64  `json:"bytes"` // of all of them
}

// footprint is what running a model takes.
type footprint struct {
	Layers      int        `json:"layers"`
	NVocab      int        `json:"vocabulary"`
	TrainedFor  int        `json:"trained_context"`
	Tokenizer   string     `json:"tokenizer_error,omitempty"`
	Template    string     `json:"template_error,omitempty"`
	DecodeBytes int64      `json:"weight_bytes_per_token"` // read for each decoded token
	PassBytes   int64      `json:"pass_bytes"`             // activations
	Context     int        `json:"context"`                // that is judged
	Machine     memoryText `json:"memory"`
	InUse       string     `json:"kv_in_use"`              // of a conversation without --kv
	Recipe      string     `json:"recipe,omitempty"`       // the file that says so
	RecipeError string     `json:"recipe_error,omitempty"` // why it cannot be used
	KV          []kvFit    `json:"kv"`
}

type memoryText struct {
	Total     int64 `json:"total_bytes"`
	Available int64 `json:"available_bytes"`
	Limit     int64 `json:"control_group_limit_bytes,omitempty"`
	LimitLeft int64 `json:"control_group_left_bytes,omitempty"`
	Usable    int64 `json:"usable_bytes"`
	Known     bool  `json:"known"`
}

// kvFit says what a context takes in one format of the KV cache and whether that fits.
type kvFit struct {
	Format     string `json:"format"`
	TokenBytes int64  `json:"bytes_per_token"`
	Bytes      int64  `json:"context_bytes"`
	NeedBytes  int64  `json:"need_bytes"` // weights, passes and cache together
	Fits       bool   `json:"fits"`
	Largest    int    `json:"largest_context"` // that fits, at most the trained one; 0: none
	Verdict    string `json:"verdict"`
}

func machineMemory() memoryText {
	m := platform.ReadMemory()
	t := memoryText{Total: m.Total, Available: m.Available, Limit: m.Limit, LimitLeft: m.LimitLeft}
	t.Usable, t.Known = m.Usable()
	return t
}

// addModel adds what running takes. nCtx 0 stands for the context that the model was trained for; recipe is nil if there
// is none.
func (r *inspection) addModel(m *engine.Model, nCtx int, mem memoryText, recipe *engine.SavedRecipe) error {
	c := m.Config
	if nCtx == 0 {
		nCtx = c.NCtx
	}
	p := &footprint{Layers: c.NLayers, NVocab: c.NVocab, TrainedFor: c.NCtx, DecodeBytes: m.DecodeBytes(), PassBytes: m.PassBytes(0),
		Context: nCtx, Machine: mem}
	if m.TokenizerErr != nil {
		p.Tokenizer = m.TokenizerErr.Error()
	}
	if m.TemplateErr != nil {
		p.Template = m.TemplateErr.Error()
	}
	geometries := []kvcache.Geometry{m.Geometry(quant.KVInt8), m.Geometry(quant.KVF16)}
	p.InUse = engine.FormatName(geometries[0])
	if recipe != nil {
		g := m.RecipeGeometry(recipe.Recipe)
		if p.InUse = engine.FormatName(g); len(recipe.F16) > 0 && p.InUse != engine.FormatName(geometries[1]) {
			geometries = append(geometries, g)
		}
	}
	for _, g := range geometries {
		block, err := engine.CacheBytes(g, 1)
		if err != nil {
			return err
		}
		k, err := fit(r.TensorBytes+p.PassBytes, block, nCtx, c.NCtx, p.Machine)
		if err != nil {
			return err
		}
		k.Format, k.TokenBytes = engine.FormatName(g), engine.AttentionBytes(g, 1)
		p.KV = append(p.KV, k)
	}
	r.Run = p
	return nil
}

// blockTokens is the number of positions that the cache takes memory for at a time.
const blockTokens = 64

// fit judges a model of fixed bytes (weights and passes) with a cache of blockBytes per 64 positions, for a context of
// nCtx positions; trained is the largest context that makes sense.
func fit(fixed, blockBytes int64, nCtx, trained int, mem memoryText) (kvFit, error) {
	if blockBytes <= 0 || fixed < 0 {
		return kvFit{}, fmt.Errorf("cache block of %d bytes, expected more", blockBytes)
	}
	blocks := (int64(nCtx) + blockTokens - 1) / blockTokens
	k := kvFit{Bytes: blocks * blockBytes}
	k.NeedBytes = fixed + k.Bytes
	if !mem.Known {
		k.Verdict = "unknown: this system does not say how much memory there is"
		return k, nil
	}
	k.Fits = k.NeedBytes <= mem.Usable
	if left := mem.Usable - fixed; left > 0 {
		k.Largest = int(min(left/blockBytes*blockTokens, int64(trained)))
	}
	switch {
	case k.Fits && nCtx > trained:
		k.Verdict = fmt.Sprintf("fits, though the model was trained for %d tokens only", trained)
	case k.Fits:
		k.Verdict = "fits"
	case k.Largest > 0:
		k.Verdict = fmt.Sprintf("fits with a context of up to %d tokens (-c %d)", k.Largest, k.Largest)
	default:
		k.Verdict = fmt.Sprintf("does not fit: %s more needed even for the shortest context; weights would be read from disk for every token",
			bytesText(fixed+blockBytes-mem.Usable))
	}
	return k, nil
}

// jsonValue returns a value for JSON: numbers and booleans as they are, the rest as the text that people see.
func jsonValue(v gguf.Value) any {
	if v.Type() == gguf.Array || v.Type() == gguf.String {
		return v.String()
	}
	switch x := v.Index(0).(type) {
	case float32:
		if f := float64(x); math.IsNaN(f) || math.IsInf(f, 0) {
			return v.String()
		}
		return x
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return v.String()
		}
		return x
	default:
		return x
	}
}

// print writes the report for people.
func (r *inspection) print(out io.Writer) error {
	t := newTable(out)
	t.row("model", fmt.Sprintf("%.256q", r.Model))
	if r.Name != "" {
		t.row("name", fmt.Sprintf("%.128q", r.Name))
	}
	t.row("architecture", fmt.Sprintf("%.128q", r.Architecture))
	t.row("file", fmt.Sprintf("%s, GGUF version %d", bytesText(r.FileBytes), r.Version))
	t.row("parameters", countText(r.Parameters))
	if err := t.flush(); err != nil {
		return err
	}
	for _, w := range r.Warnings {
		fmt.Fprintln(out, "warning:", w)
	}

	fmt.Fprintln(out, "\nMETADATA")
	t = newTable(out)
	for _, m := range r.Metadata {
		t.row(m.Key, m.Type, m.text)
	}
	if err := t.flush(); err != nil {
		return err
	}

	fmt.Fprintln(out, "\nTENSORS")
	t = newTable(out)
	t.row("NAME", "COUNT", "TYPE", "SHAPE", "SIZE")
	for _, g := range r.Tensors {
		t.row(g.Name, g.Count, g.Type, g.Shape, bytesText(g.Bytes))
	}
	for _, s := range r.Types {
		t.row("all "+s.Type, s.Count, s.Type, "", bytesText(s.Bytes))
	}
	if err := t.flush(); err != nil {
		return err
	}

	fmt.Fprintln(out, "\nRUNNING IT")
	if r.Run == nil {
		_, err := fmt.Fprintln(out, "kvasir cannot run this file:", r.Reason)
		return err
	}
	return r.Run.print(out)
}

func (p *footprint) print(out io.Writer) error {
	t := newTable(out)
	t.row("layers", p.Layers)
	t.row("vocabulary", p.NVocab)
	t.row("trained for", fmt.Sprintf("%d tokens", p.TrainedFor))
	if p.Tokenizer != "" {
		t.row("tokenizer", p.Tokenizer)
	}
	if p.Template != "" {
		t.row("chat template", p.Template)
	}
	t.row("read per token", bytesText(p.DecodeBytes)+" of weights")
	t.row("passes", bytesText(p.PassBytes))
	if mem := p.Machine; mem.Known {
		text := fmt.Sprintf("%s usable of %s", bytesText(mem.Usable), bytesText(mem.Total))
		if mem.Limit > 0 {
			text += fmt.Sprintf(", control group limit %s", bytesText(mem.Limit))
		}
		t.row("memory here", text)
	} else {
		t.row("memory here", "unknown")
	}
	for _, k := range p.KV {
		t.row("KV cache "+k.Format, fmt.Sprintf("%s per token, %s for %d; with the weights %s: %s",
			bytesText(k.TokenBytes), bytesText(k.Bytes), p.Context, bytesText(k.NeedBytes), k.Verdict))
	}
	switch {
	case p.RecipeError != "":
		t.row("KV in use", p.InUse+"; "+p.RecipeError)
	case p.Recipe != "":
		t.row("KV in use", fmt.Sprintf("%s, by %.256q", p.InUse, p.Recipe))
	default:
		t.row("KV in use", p.InUse)
	}
	return t.flush()
}
