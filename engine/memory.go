package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"kvasir/kvcache"
	"kvasir/platform/vfs"
	"kvasir/quant"
)

// Memory is where a model's conversations are kept: journals and KV store of one home directory. Safe for concurrent
// use, the Contexts apart.
type Memory struct {
	Sessions *kvcache.Sessions // nil without a home directory
	home     string            // absolute; "" without
	store    *kvcache.Store    // nil: rows live in RAM only
	ns       *kvcache.Namespace
	geometry kvcache.Geometry
	fp       kvcache.Fingerprint
	inputs   []byte // of fp; nil where nothing is kept
}

// MemoryOptions say how conversations are kept.
type MemoryOptions struct {
	Home string // "": nothing is kept
	// Format is that of all rows; 0: the model's recipe in Home if there is one, else int8.
	Format quant.KVFormat
	// Store has the bounds of the KV store; its Warn is not used.
	Store kvcache.Options
	// Warn is told once per cause that rows go to RAM instead of the disk, and that a recipe cannot be used.
	Warn func(error)
	// Progress is told how far the digest of a model file is that is not known yet; it may be nil.
	Progress func(done, total int64)
}

// OpenMemory opens the home directory for the conversations of m. A KV store that cannot be used (another process has
// it, the disk is full or read-only) is no error: rows then live in RAM, and Warn is told why.
func OpenMemory(ctx context.Context, m *Model, opt MemoryOptions) (*Memory, error) {
	w := &Memory{geometry: m.Geometry(cmp.Or(opt.Format, quant.KVInt8))}
	if opt.Home == "" || opt.Format == quant.KVF32 {
		ns, err := kvcache.NewRAM(w.geometry)
		w.ns = ns
		return w, err
	}
	home, err := filepath.Abs(opt.Home)
	if err != nil {
		return nil, err
	}
	opt.Store.Warn = opt.Warn
	store, err := kvcache.Open(vfs.OS(), home, opt.Store)
	if err != nil {
		return nil, err
	}
	digest, err := m.Digest(ctx, filepath.Join(home, digestsName), opt.Progress)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	fp, meta := m.Fingerprint(digest)
	if opt.Format == 0 {
		w.geometry = m.recommended(home, fp, opt.Warn)
	}
	ns, err := store.Namespace(fp, meta, w.geometry)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("kv store in %q: %w", home, err), store.Close())
	}
	w.Sessions, w.home, w.store, w.ns = kvcache.NewSessions(vfs.OS(), home), home, store, ns
	w.fp, w.inputs = fp, meta
	return w, nil
}

// NewContext starts an empty context over the memory's rows.
func (w *Memory) NewContext(m *Model, size, batch int) *Context {
	return m.NewContext(w.ns, w.geometry, size, batch)
}

// recommended returns the geometry of the model's recipe under home; that of int8 without one. One that cannot be used says
// at least that int8 is not good enough: all rows are f16 then.
func (m *Model) recommended(home string, fp kvcache.Fingerprint, warn func(error)) kvcache.Geometry {
	saved, err := NewRecipes(vfs.OS(), home).Read(fp, len(m.Config.Layers))
	switch {
	case err != nil:
		switch {
		case warn == nil:
		case errors.Is(err, ErrRecipe):
			warn(fmt.Errorf("all KV rows are kept as f16: %w (remove the file, or make it again with 'kvasir eval kv --fix')", err))
		default:
			warn(fmt.Errorf("all KV rows are kept as f16, since whether the model needs that cannot be read: %w", err))
		}
		return m.Geometry(quant.KVF16)
	case saved != nil:
		return m.RecipeGeometry(saved.Recipe)
	}
	return m.Geometry(quant.KVInt8)
}

// Format names the format of the rows, as FormatName does.
func (w *Memory) Format() string { return FormatName(w.geometry) }

// Fingerprint returns the fingerprint of the model's rows; zero where nothing is kept.
func (w *Memory) Fingerprint() kvcache.Fingerprint { return w.fp }

// Stats returns the store's counters.
func (w *Memory) Stats() kvcache.Stats { return w.ns.Stats() }

// Close makes what was written durable and releases the directory. Contexts must have been closed.
func (w *Memory) Close() error {
	if w.store != nil {
		return w.store.Close()
	}
	return w.ns.Close()
}
