// Package engine runs a model: the graph of a forward pass over quant/kernel, conversations over kvcache, and the loop
// that turns logits into text.
//
// A Model is immutable and may serve many Contexts; a Context (one sequence and the memory of its passes) is used by
// one goroutine at a time. All Contexts of a Model share its worker pool, so their passes must not overlap either.
package engine

import (
	"context"
	"errors"
	"fmt"

	"kvasir/engine/arch"
	"kvasir/engine/chat"
	"kvasir/engine/ops"
	"kvasir/engine/par"
	"kvasir/engine/token"
	"kvasir/gguf"
	"kvasir/platform/cpu"
	"kvasir/quant/kernel"
)

var (
	// ErrNumeric says that a pass gave NaN or infinite logits: the model's weights are damaged or overflow.
	ErrNumeric = errors.New("logits are not finite (damaged weights?)")
	// ErrContextFull says that the context has no room for another token.
	ErrContextFull = errors.New("context is full")
	// ErrNoKernels says that a kernel variant does not exist or cannot run on this processor.
	ErrNoKernels = errors.New("no such kernels here")
)

// Options say how a model is run. The zero value is the default.
type Options struct {
	Threads int    // workers; 0: one per usable fast core, and the process runs on fast cores only
	Kernels string // name of a kernel variant; "": the best that runs here

	// How Open brings the file into memory: mapped and read when it is used, unless one of these is set.
	Prefetch bool // read the weights in the background at once, in the order of their use, if memory has room for them
	Lock     bool // keep the file in physical memory; what the system refuses is told to Warn, and done without
	NoMap    bool // read the file into memory of this process's own

	Warn     func(error)                   // may be nil
	Progress func(done, total int64) error // of reading or locking the file; an error ends Open; may be nil
}

// Model is an opened model: its configuration, its weights in the mapping, and what runs it.
type Model struct {
	Config  *arch.Config
	Weights *arch.Weights

	// Tokenizer is nil for a model without a vocabulary; TokenizerErr says why.
	Tokenizer    *token.Tokenizer
	TokenizerErr error
	// Template is nil for a model without a usable chat template; TemplateErr says why.
	Template    *chat.Template
	TemplateErr error

	file  *gguf.Model
	table *kernel.Table
	pool  *par.Pool
	ropes []*ops.Rope
	ahead *prefetch // nil: none
}

// Open opens the model file at path. Errors name the file; those of its contents are *gguf.Error inside.
func Open(path string, opt Options) (*Model, error) {
	f, err := gguf.OpenWith(path, gguf.OpenOptions{Read: opt.NoMap, Progress: opt.Progress})
	if err != nil {
		return nil, err
	}
	return newModel(f, opt)
}

// OpenBytes uses a model that the program holds in memory.
func OpenBytes(name string, b []byte, opt Options) (*Model, error) {
	f, err := gguf.OpenBytes(name, b)
	if err != nil {
		return nil, err
	}
	return newModel(f, opt)
}

func newModel(f *gguf.Model, opt Options) (_ *Model, err error) {
	m := &Model{file: f, table: kernel.Best()}
	defer func() {
		if err != nil {
			m.ahead.end()
			err = errors.Join(fmt.Errorf("model %q: %w", f.Name, err), f.Close())
		}
	}()
	if opt.Kernels != "" {
		if m.table = kernel.Named(opt.Kernels); m.table == nil {
			var names []string
			for _, t := range kernel.Variants() {
				names = append(names, t.Name)
			}
			return nil, fmt.Errorf("%w: %q, expected one of %q", ErrNoKernels, opt.Kernels, names)
		}
	}
	// The metadata were copied when the file was parsed; vectors are read from the mapping, which may fail.
	err = gguf.CatchFault(func() error {
		m.Config, m.Weights, err = arch.Load(f.File)
		return err
	})
	if err != nil {
		return nil, err
	}
	if opt.Lock {
		if err := m.lock(opt); err != nil {
			return nil, err
		}
	} else if opt.Prefetch && f.Mapped() {
		m.ahead = m.prefetch()
	}
	for i := range m.Config.Ropes {
		r := &m.Config.Ropes[i]
		m.ropes = append(m.ropes, ops.NewRope(r.Dims, r.Base, r.Scale, r.Factors, m.Config.RopeHalves))
	}
	if err := m.loadText(); err != nil {
		return nil, err
	}
	m.pool = par.New(workers(opt))
	return m, nil
}

// workers returns how many workers a model gets. Where that is the program's choice and some processors are little, the
// process keeps to the others: a worker on a little one would hold up all.
func workers(opt Options) int {
	if opt.Threads > 0 {
		return opt.Threads
	}
	t := cpu.Detect()
	if fast := t.Fast(); len(fast) < len(t.Cores) {
		if err := cpu.Confine(fast); err != nil && opt.Warn != nil {
			opt.Warn(fmt.Errorf("workers may run on little cores: %w", err))
		}
	}
	return t.Threads()
}

// loadText makes the tokenizer and the chat template. A model may lack either: only what needs them fails.
func (m *Model) loadText() error {
	v, err := arch.Vocab(m.file.File)
	if err != nil {
		return err
	}
	m.Tokenizer, m.TokenizerErr = token.New(v)
	if m.TokenizerErr == nil && len(v.Tokens) > m.Config.NVocab {
		return fmt.Errorf(`%w: key "tokenizer.ggml.tokens": %d tokens, expected at most the %d rows of token_embd.weight`,
			gguf.ErrModel, len(v.Tokens), m.Config.NVocab)
	}
	src, err := arch.ChatTemplate(m.file.File)
	switch {
	case err != nil:
		return err
	case src == "":
		m.TemplateErr = chat.ErrNoTemplate
	default:
		m.Template, m.TemplateErr = chat.Compile(src)
	}
	return nil
}

// Name returns the path or name that the model was opened with.
func (m *Model) Name() string { return m.file.Name }

// Size returns the bytes of the model file.
func (m *Model) Size() int64 { return m.file.Size }

// File gives access to the metadata and the tensor directory.
func (m *Model) File() *gguf.File { return m.file.File }

// Kernels returns the name of the kernel variant in use.
func (m *Model) Kernels() string { return m.table.Name }

// Threads returns the number of workers.
func (m *Model) Threads() int { return m.pool.Workers() }

// Close ends the workers and unmaps the file. No Context of the model may be used afterwards.
func (m *Model) Close() error {
	m.ahead.end()
	m.pool.Close()
	return m.file.Close()
}

// Digest returns the SHA-256 of the model's contents, from the cache file if the file has not changed since.
func (m *Model) Digest(ctx context.Context, cache string, progress func(done, total int64)) ([32]byte, error) {
	return cachedDigest(ctx, m.file, cache, progress)
}
