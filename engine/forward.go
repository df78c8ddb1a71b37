package engine

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync/atomic"

	"kvasir/engine/arch"
	"kvasir/engine/ops"
	"kvasir/engine/par"
	"kvasir/kvcache"
	"kvasir/quant"
	"kvasir/quant/kernel"
)

// MaxBatch is the number of tokens that one pass takes at most.
const MaxBatch = 512

// pass is the state of one forward pass over up to its batch of tokens: activations column after column (a column is a
// token), and the memory of the workers. A pass belongs to one Context. Its phases run on all workers; between two
// phases is a barrier. What a phase works on is set in the fields before, so that no closure is made per token.
type pass struct {
	m     *Model
	seq   *kvcache.Sequence
	batch int // columns of a pass at most

	columnsHeld int // columns that the buffers have room for

	n, pos int // columns of this pass, position of the first
	handed int // columns of this pass whose logits were given to out
	ids    []int32
	layer  int

	x, xn, q, k, v, att, gate, up, tmp []float32
	logits                             []float32 // one column
	cos, sin                           [][]float32
	in                                 kernel.Acts     // what the next products read
	attn                               []ops.Attention // per layer
	work                               []*worker
	partial                            ops.Partial
	tile0, nTiles                      int
	jobs                               []job
	taken                              [maxJobs]atomic.Int32 // per job, parts of the shared rows that workers have taken
	then                               *arch.Matrix          // whose product follows: its weights may be asked for ahead

	// The phases as values, made once.
	embedFn, normFn, productFn, headsFn, unitsFn, tilesFn, mergeFn, gateFn, quantizeFn func(int)
	normOf                                                                             normStep
}

type worker struct {
	scratch *kernel.Scratch
	attn    *ops.AttnWork
}

// normStep is what happens to a column between two products: x += norm(tmp), then xn = norm(x).
type normStep struct {
	add  bool      // tmp holds the output of the last product
	post []float32 // norm of tmp before it is added; nil for none
	w    []float32 // norm of x
}

func newPass(m *Model, seq *kvcache.Sequence, g kvcache.Geometry, batch int) *pass {
	c := m.Config
	p := &pass{m: m, seq: seq, batch: batch, logits: kernel.Aligned[float32](c.NVocab)}
	p.cos, p.sin = make([][]float32, len(m.ropes)), make([][]float32, len(m.ropes))
	for _, l := range g.Layers {
		p.attn = append(p.attn, ops.Attention{Table: m.table, HeadDim: c.HeadDim, Group: c.Group(), K: l.K, V: l.V, Scale: c.AttnScale, Window: l.Window})
	}
	rows := max(ops.MaxQueryRows, c.Group())
	for range m.pool.Workers() {
		p.work = append(p.work, &worker{scratch: kernel.NewScratch(), attn: ops.NewAttnWork(rows, c.HeadDim)})
	}
	p.jobs = make([]job, 0, maxJobs)
	p.embedFn, p.normFn, p.productFn, p.headsFn = p.embed, p.norm, p.product, p.heads
	p.unitsFn, p.tilesFn, p.mergeFn, p.gateFn, p.quantizeFn = p.units, p.tiles, p.merge, p.gated, p.quantize
	return p
}

// grow makes room for n columns. Buffers grow to what the largest pass needed: a short prompt on a small board does not
// pay for a batch of 512.
func (p *pass) grow(n int) {
	if n <= p.columnsHeld {
		return
	}
	n = min(p.batch, (n+15)&^15)
	c := p.m.Config
	heads, kv := c.NHeads*c.HeadDim, c.NKVHeads*c.HeadDim
	for _, b := range []struct {
		buf  *[]float32
		size int
	}{{&p.x, c.NEmbd}, {&p.xn, c.NEmbd}, {&p.tmp, c.NEmbd}, {&p.q, heads}, {&p.att, heads}, {&p.k, kv}, {&p.v, kv}, {&p.gate, c.FFNDim}, {&p.up, c.FFNDim}} {
		*b.buf = kernel.Aligned[float32](n * b.size)
	}
	for i, r := range p.m.ropes {
		p.cos[i], p.sin[i] = make([]float32, n*r.Pairs()), make([]float32, n*r.Pairs())
	}
	p.columnsHeld = n
}

// forward computes the tokens ids (at most the batch) behind what the sequence holds and commits them. If out is nil,
// only the last token's logits are computed, into p.logits; otherwise every token's, given to out in order of position.
func (p *pass) forward(ids []int32, out func(logits []float32) error) error {
	m, c := p.m, p.m.Config
	p.ids, p.n, p.pos, p.handed = ids, len(ids), p.seq.Len(), 0
	p.grow(p.n)
	if err := p.seq.Reserve(p.n); err != nil {
		return err
	}
	if err := p.run(p.embedFn); err != nil {
		return err
	}
	p.normOf = normStep{w: m.Weights.Layers[0].AttnNorm}
	for i := range m.Weights.Layers {
		l := &m.Weights.Layers[i]
		p.layer = i
		p.input(p.xn, c.NEmbd, l.Q.Type, l.K.Type, l.V.Type)
		if err := p.columns(p.normFn); err != nil {
			return err
		}
		p.then = &l.O
		p.setJobs(job{&l.Q, l.QB, p.q}, job{&l.K, l.KB, p.k}, job{&l.V, l.VB, p.v})
		if err := p.run(p.productFn); err != nil {
			return err
		}
		if err := p.run(p.headsFn); err != nil {
			return err
		}
		if i == len(m.Weights.Layers)-1 && out == nil {
			p.keepLast()
		}
		if err := p.attention(); err != nil {
			return err
		}
		p.input(p.att, c.NHeads*c.HeadDim, l.O.Type)
		if err := p.columns(p.quantizeFn); err != nil {
			return err
		}
		p.then = &l.Gate
		p.setJobs(job{&l.O, l.OB, p.tmp})
		if err := p.run(p.productFn); err != nil {
			return err
		}
		p.normOf = normStep{add: true, post: l.AttnPostNorm, w: l.FFNNorm}
		p.input(p.xn, c.NEmbd, l.Gate.Type, l.Up.Type)
		if err := p.columns(p.normFn); err != nil {
			return err
		}
		p.then = &l.Down
		p.setJobs(job{&l.Gate, l.GateB, p.gate}, job{&l.Up, l.UpB, p.up})
		if err := p.run(p.gateFn); err != nil {
			return err
		}
		p.input(p.gate, c.FFNDim, l.Down.Type)
		if err := p.columns(p.quantizeFn); err != nil {
			return err
		}
		p.then = &m.Weights.Output
		if i+1 < len(m.Weights.Layers) {
			p.then = &m.Weights.Layers[i+1].Q
		}
		p.setJobs(job{&l.Down, l.DownB, p.tmp})
		if err := p.run(p.productFn); err != nil {
			return err
		}
		p.normOf = normStep{add: true, post: l.FFNPostNorm, w: m.Weights.OutputNorm}
		if i+1 < len(m.Weights.Layers) {
			p.normOf.w = m.Weights.Layers[i+1].AttnNorm
		}
	}
	p.input(p.xn, c.NEmbd, m.Weights.Output.Type)
	if err := p.columns(p.normFn); err != nil {
		return err
	}
	if err := p.seq.Intact(); err != nil {
		return err
	}
	for col := range p.n {
		if err := p.head(col); err != nil {
			return err
		}
		if out != nil {
			p.handed++
			if err := out(p.logits); err != nil {
				return err
			}
		}
	}
	return p.seq.Commit(ids)
}

// head computes the logits of one column of xn.
func (p *pass) head(col int) error {
	c := p.m.Config
	p.n = 1
	p.input(p.xn[col*c.NEmbd:], c.NEmbd, p.m.Weights.Output.Type)
	p.quantize(0)
	p.then = &p.m.Weights.Layers[0].Q
	p.setJobs(job{&p.m.Weights.Output, p.m.Weights.OutputBias, p.logits})
	if err := p.run(p.productFn); err != nil {
		return err
	}
	for _, v := range p.logits {
		if v-v != 0 { // NaN or infinite
			return fmt.Errorf("model %q: %w", p.m.Name(), ErrNumeric)
		}
	}
	return nil
}

func (p *pass) run(fn func(int)) error { return p.m.pool.Run(fn) }

// columns runs a phase that works column by column; a single column is not worth a barrier.
func (p *pass) columns(fn func(int)) error {
	if p.n > 1 {
		return p.run(fn)
	}
	fn(0)
	return nil
}

// share returns the columns of this worker in a phase that columns runs.
func (p *pass) share(w int) (lo, hi int) {
	if p.n > 1 {
		return par.Split(p.n, 1, w, len(p.work))
	}
	return 0, p.n
}

// input makes buf (n columns of k values) the operand of the next products.
func (p *pass) input(buf []float32, k int, types ...quant.Type) {
	p.in.Set(buf, k, p.n, kernel.FormsFor(types...))
}

func (p *pass) embed(w int) {
	c, e := p.m.Config, &p.m.Weights.TokenEmbd
	lo, hi := par.Split(p.n, 1, w, len(p.work))
	for col := lo; col < hi; col++ {
		x := p.x[col*c.NEmbd : (col+1)*c.NEmbd]
		if err := e.Type.Decode(x, e.Row(int(p.ids[col]))); err != nil {
			panic(fmt.Sprintf("engine: %v", err)) // the sizes were checked when the model was bound
		}
		if c.EmbdScale != 1 {
			p.m.table.Scale(x, c.EmbdScale)
		}
		for i, r := range p.m.ropes {
			n := r.Pairs()
			r.Table(p.cos[i][col*n:(col+1)*n], p.sin[i][col*n:(col+1)*n], p.pos+col)
		}
	}
}

func (p *pass) norm(w int) {
	t, c := p.m.table, p.m.Config
	lo, hi := p.share(w)
	for col := lo; col < hi; col++ {
		x, tmp := p.x[col*c.NEmbd:(col+1)*c.NEmbd], p.tmp[col*c.NEmbd:(col+1)*c.NEmbd]
		if p.normOf.add {
			if p.normOf.post != nil {
				t.RMSNorm(tmp, tmp, p.normOf.post, c.NormEps)
			}
			t.Add(x, tmp)
		}
		t.RMSNorm(p.xn[col*c.NEmbd:(col+1)*c.NEmbd], x, p.normOf.w, c.NormEps)
	}
	p.in.Quantize(t, lo, hi)
}

func (p *pass) quantize(w int) {
	lo, hi := p.share(w)
	p.in.Quantize(p.m.table, lo, hi)
}

// heads finishes the query, key and value heads of every column: norms, rotary embedding, and the encoding of K and V
// rows into the sequence's reserved blocks.
func (p *pass) heads(w int) {
	c := p.m.Config
	per := c.NHeads + 2*c.NKVHeads
	lo, hi := par.Split(p.n*per, 1, w, len(p.work))
	for i := lo; i < hi; i++ {
		col, h := i/per, i%per
		switch {
		case h < c.NHeads:
			p.rotary(p.q[(col*c.NHeads+h)*c.HeadDim:][:c.HeadDim], p.m.Weights.Layers[p.layer].QNorm, col)
		case h < c.NHeads+c.NKVHeads:
			h -= c.NHeads
			k := p.k[(col*c.NKVHeads+h)*c.HeadDim:][:c.HeadDim]
			p.rotary(k, p.m.Weights.Layers[p.layer].KNorm, col)
			p.store(k, h, kvcache.K, p.pos+col)
		default:
			h -= c.NHeads + c.NKVHeads
			p.store(p.v[(col*c.NKVHeads+h)*c.HeadDim:][:c.HeadDim], h, kvcache.V, p.pos+col)
		}
	}
}

func (p *pass) rotary(x, norm []float32, col int) {
	if norm != nil {
		p.m.table.RMSNorm(x, x, norm, p.m.Config.NormEps)
	}
	i := p.m.Config.Layers[p.layer].Rope
	r := p.m.ropes[i]
	n := r.Pairs()
	r.Apply(p.m.table, x, p.m.Config.HeadDim, p.cos[i][col*n:(col+1)*n], p.sin[i][col*n:(col+1)*n])
}

// store encodes one head row (which it may overwrite) at a reserved position.
func (p *pass) store(x []float32, head int, side kvcache.Side, pos int) {
	t := p.m.table
	pl := p.seq.Plane(p.layer, head, side, pos/ops.BlockLen)
	r := pos % ops.BlockLen
	size := pl.Format.RowBytes(pl.HeadDim)
	row := pl.Rows[r*size : (r+1)*size]
	switch pl.Format {
	case quant.KVInt8:
		t.Rotate(x)
		t.EncodeInt8(row, pl.Scales[2*r:2*r+2], x)
	case quant.KVF16:
		t.EncodeF16(row, x)
	default:
		for i, v := range x {
			binary.LittleEndian.PutUint32(row[4*i:], math.Float32bits(v))
		}
	}
}

// keepLast drops every column but the last: behind the last layer's keys and values nobody reads the others.
func (p *pass) keepLast() {
	c, last := p.m.Config, p.n-1
	copy(p.x, p.x[last*c.NEmbd:(last+1)*c.NEmbd])
	copy(p.q, p.q[last*c.NHeads*c.HeadDim:(last+1)*c.NHeads*c.HeadDim])
	p.pos += last
	p.n = 1
}

// seqRows shows a sequence to the attention code.
type seqRows struct{ *kvcache.Sequence }

func (s seqRows) K(layer, head, b int) quant.KVPlane { return s.Plane(layer, head, kvcache.K, b) }
func (s seqRows) V(layer, head, b int) quant.KVPlane { return s.Plane(layer, head, kvcache.V, b) }

// attention computes att from q. One token over several tiles is cut by tiles, so that all workers have something to
// do; otherwise the units are groups of tokens.
func (p *pass) attention() error {
	c, a := p.m.Config, &p.attn[p.layer]
	first, end := a.Tiles(p.pos, p.n)
	p.tile0, p.nTiles = first, end-first
	if p.n > 1 || p.nTiles == 1 {
		return p.run(p.unitsFn)
	}
	p.partial.Reserve(p.nTiles, c.NHeads, c.HeadDim)
	if err := p.run(p.tilesFn); err != nil {
		return err
	}
	return p.run(p.mergeFn)
}

func (p *pass) unit(head, tok, n int) ops.Unit {
	stride := p.m.Config.NHeads * p.m.Config.HeadDim
	return ops.Unit{Layer: p.layer, Head: head, Pos: p.pos + tok, Tokens: n, Q: p.q[tok*stride:], Out: p.att[tok*stride:], Stride: stride}
}

func (p *pass) units(w int) {
	c, a := p.m.Config, &p.attn[p.layer]
	per := a.TokensPerUnit()
	groups := (p.n + per - 1) / per
	// Later tokens see more: dealing the units out in turn balances the workers.
	for i := w; i < groups*c.NKVHeads; i += len(p.work) {
		tok := i / c.NKVHeads * per
		a.Run(p.work[w].attn, seqRows{p.seq}, p.unit(i%c.NKVHeads, tok, min(per, p.n-tok)))
	}
}

func (p *pass) tiles(w int) {
	c, a := p.m.Config, &p.attn[p.layer]
	lo, hi := par.Split(p.nTiles*c.NKVHeads, 1, w, len(p.work))
	for i := lo; i < hi; i++ {
		a.RunTile(p.work[w].attn, seqRows{p.seq}, p.unit(i/p.nTiles, 0, 1), p.tile0+i%p.nTiles, p.tile0, c.NHeads, &p.partial)
	}
}

func (p *pass) merge(w int) {
	c, a := p.m.Config, &p.attn[p.layer]
	lo, hi := par.Split(c.NHeads, 1, w, len(p.work))
	for h := lo; h < hi; h++ {
		a.MergeHead(p.att[h*c.HeadDim:(h+1)*c.HeadDim], &p.partial, h, p.nTiles, c.NHeads)
	}
}
