package engine

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"

	"kvasir/engine/arch"
	"kvasir/kvcache"
)

// KernelEpoch is raised by hand when docs/NUMERICS.md changes what a KV row holds or what follows from it: rows of an
// older epoch are then not found any more.
const KernelEpoch = 1

// Context is one sequence of tokens and the memory to extend it. It is used by one goroutine at a time.
type Context struct {
	m    *Model
	seq  *kvcache.Sequence
	pass *pass
	size int // positions allowed
	have bool
}

// windowed reports whether the model has layers that see a window only.
func (m *Model) windowed() bool {
	return slices.ContainsFunc(m.Config.Layers, func(l arch.Layer) bool { return l.Window > 0 })
}

// identity is what the KV rows of a model depend on, besides the recipe, which the store adds by itself.
type identity struct {
	KernelEpoch int    `json:"kernel_epoch"`
	WeightsHash string `json:"weights_sha256"`
	Arch        string `json:"architecture"`
	Name        string `json:"name"`
	NLayers     int    `json:"n_layers"`
	NEmbd       int    `json:"n_embd"`
	NHeads      int    `json:"n_heads"`
	NKVHeads    int    `json:"n_kv_heads"`
	HeadDim     int    `json:"head_dim"`
	Ropes       []rope `json:"ropes"`
	RopeHalves  bool   `json:"rope_halves"`
	Windows     []int  `json:"windows"`
}

type rope struct {
	Dims  int     `json:"dims"`
	Base  float32 `json:"base"`
	Scale float32 `json:"scale"`
}

// Fingerprint returns the identity of the model's KV rows and, for the store's META file, what went into it in clear.
// digest is the SHA-256 of the model file; paths, context sizes, threads and the processor are not part of it.
func (m *Model) Fingerprint(digest [32]byte) (kvcache.Fingerprint, []byte) {
	c := m.Config
	id := identity{KernelEpoch: KernelEpoch, WeightsHash: fmt.Sprintf("%x", digest), Arch: c.Arch, Name: c.Name,
		NLayers: c.NLayers, NEmbd: c.NEmbd, NHeads: c.NHeads, NKVHeads: c.NKVHeads, HeadDim: c.HeadDim, RopeHalves: c.RopeHalves}
	for _, r := range c.Ropes {
		id.Ropes = append(id.Ropes, rope{r.Dims, r.Base, r.Scale})
	}
	for _, l := range c.Layers {
		id.Windows = append(id.Windows, l.Window)
	}
	meta, err := json.Marshal(id)
	if err != nil {
		panic(err) // plain numbers and strings: cannot fail
	}
	return sha256.Sum256(meta), meta
}

// NewContext starts an empty context of up to size positions (0: what the model was trained for) over a namespace whose
// geometry is g. batch bounds the tokens of one pass, 1 to MaxBatch; 0 is MaxBatch.
func (m *Model) NewContext(ns *kvcache.Namespace, g kvcache.Geometry, size, batch int) *Context {
	if size <= 0 {
		size = m.Config.NCtx
	}
	if batch <= 0 || batch > MaxBatch {
		batch = MaxBatch
	}
	seq := ns.NewSequence(nil)
	return &Context{m: m, seq: seq, pass: newPass(m, seq, g, min(batch, size)), size: size}
}

// Close releases the sequence.
func (c *Context) Close() error { return c.seq.Close() }

// Len returns the number of tokens that the context holds.
func (c *Context) Len() int { return c.seq.Len() }

// Size returns the number of tokens that the context can hold.
func (c *Context) Size() int { return c.size }

// IDs returns the tokens that the context holds: read-only, valid until the next call that changes it.
func (c *Context) IDs() []int32 { return c.seq.IDs() }

// Match empties the context and takes from the store the rows of the longest known prefix of ids. It returns how many
// tokens that was. At least the last token is always left to compute, since its logits are not stored.
func (c *Context) Match(ids []int32) (int, error) {
	c.have = false
	return c.seq.Match(ids[:max(0, len(ids)-1)])
}

// Truncate forgets the tokens from position n on.
func (c *Context) Truncate(n int) error {
	c.have = false
	return c.seq.Truncate(n)
}

// Flush writes the rows of an unfinished block and makes the disk keep what was written.
func (c *Context) Flush() error { return c.seq.Flush() }

// Extend computes ids behind what the context holds; Logits are then those of the last one. progress, if not nil, is
// told after every pass how many are done. A cancelled ctx stops between passes with its error: what was computed until
// then stays.
func (c *Context) Extend(ctx context.Context, ids []int32, progress func(done int)) error {
	if err := c.check(ids); err != nil {
		return err
	}
	c.have = false
	for done := 0; done < len(ids); {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(len(ids)-done, c.pass.batch)
		if err := c.compute(ctx, ids[done:done+n], nil); err != nil {
			return err
		}
		done += n
		if progress != nil {
			progress(done)
		}
	}
	c.have = len(ids) > 0
	return nil
}

// Each is Extend with the logits of every token, given to out in order; out must not keep them.
func (c *Context) Each(ctx context.Context, ids []int32, out func(pos int, logits []float32) error) error {
	if err := c.check(ids); err != nil {
		return err
	}
	c.have = false
	for done := 0; done < len(ids); {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, pos := min(len(ids)-done, c.pass.batch), c.seq.Len()
		err := c.compute(ctx, ids[done:done+n], func(logits []float32) error {
			pos++
			return out(pos-1, logits)
		})
		if err != nil {
			return err
		}
		done += n
	}
	return nil
}

func (c *Context) check(ids []int32) error {
	if len(ids) > c.size-c.seq.Len() {
		return fmt.Errorf("%w: %d tokens held, %d more asked for, room for %d", ErrContextFull, c.seq.Len(), len(ids), c.size)
	}
	for i, id := range ids {
		if id < 0 || int(id) >= c.m.Config.NVocab {
			return fmt.Errorf("token %d is %d, expected 0 to %d", i, id, c.m.Config.NVocab-1)
		}
	}
	return nil
}

// Logits returns the logits behind the last token, valid and writable until the next Extend; nil if the last call was
// not an Extend that succeeded.
func (c *Context) Logits() []float32 {
	if !c.have {
		return nil
	}
	return c.pass.logits
}
