package ops

import (
	"kvasir/quant"
	"kvasir/quant/kernel"
)

// BlockLen is the number of positions in a block of the KV store.
const BlockLen = 64

const blocksPerTile = kernel.TileLen / BlockLen

// Rows gives the key and value rows of one sequence. Implementations must be cheap and safe for concurrent readers.
type Rows interface {
	// K and V return the rows of a layer and KV head in block b: positions [b*BlockLen, (b+1)*BlockLen).
	K(layer, head, b int) quant.KVPlane
	V(layer, head, b int) quant.KVPlane
}

// Attention is what the attention of one layer is made of. It is immutable.
type Attention struct {
	Table   *kernel.Table
	HeadDim int
	Group   int // query heads that share one KV head
	K, V    quant.KVFormat
	Scale   float32 // of the scores; 1/sqrt(HeadDim) for most models
	Window  int     // how many positions back a query sees, its own included; 0 for all
}

// MaxQueryRows bounds the query rows (tokens times Group) of one unit of work, so that scores and weights of a tile stay
// in the second-level cache.
const MaxQueryRows = 64

// TokensPerUnit is how many tokens of a batch one unit of work takes together.
func (a *Attention) TokensPerUnit() int { return max(1, MaxQueryRows/a.Group) }

// AttnWork is one worker's memory for attention.
type AttnWork struct {
	q   []float32 // rows x headDim, rotated or scaled as the K format asks
	q16 []int16
	qs  []float32
	ws  []float32 // weight scale of the current tile
	s   []float32 // rows x TileLen
	w   []int16   // rows x TileLen
	acc []int32   // rows x headDim
	y   []float32 // rows x headDim: the current tile
	o   []float32 // rows x headDim: all tiles so far
	ml  []maxSum  // per row, of the current tile
	run []maxSum  // per row, of all tiles so far

	vs [2 * kernel.TileLen]byte // V scales of the current tile
}

// maxSum is the softmax state of a query row: the largest score, the sum of exponentials, and whether it saw anything.
type maxSum struct {
	m, l float32
	any  bool
}

// NewAttnWork makes the memory for units of up to rows query rows.
func NewAttnWork(rows, headDim int) *AttnWork {
	return &AttnWork{
		q: kernel.Aligned[float32](rows * headDim), q16: kernel.Aligned[int16](rows * headDim), qs: make([]float32, rows), ws: make([]float32, rows),
		s: kernel.Aligned[float32](rows * kernel.TileLen), w: kernel.Aligned[int16](rows * kernel.TileLen),
		acc: kernel.Aligned[int32](rows * headDim), y: kernel.Aligned[float32](rows * headDim),
		o: kernel.Aligned[float32](rows * headDim), ml: make([]maxSum, rows), run: make([]maxSum, rows),
	}
}

// Unit is one piece of attention: tokens [Pos, Pos+Tokens) against one KV head. Q and Out are the query and output
// activations from the first token on, Stride values per token; the KV head's Group query heads begin at Q[Head*Group*HeadDim].
type Unit struct {
	Layer, Head int
	Pos, Tokens int
	Q, Out      []float32
	Stride      int
}

// Tiles returns the range of tiles that the tokens [pos, pos+tokens) see.
func (a *Attention) Tiles(pos, tokens int) (first, end int) {
	return a.visibleFrom(pos) / kernel.TileLen, (pos + tokens + kernel.TileLen - 1) / kernel.TileLen
}

func (a *Attention) visibleFrom(pos int) int {
	if a.Window > 0 && pos >= a.Window {
		return pos - a.Window + 1
	}
	return 0
}

// Run computes a unit whole, tile after tile, and writes its output.
func (a *Attention) Run(w *AttnWork, rows Rows, u Unit) {
	n := u.Tokens * a.Group
	a.load(w, u)
	for i := range w.run[:n] {
		w.run[i] = maxSum{}
	}
	first, end := a.Tiles(u.Pos, u.Tokens)
	for j := first; j < end; j++ {
		a.tile(w, rows, u, j)
		for i := range n {
			a.fold(w.o[i*a.HeadDim:(i+1)*a.HeadDim], &w.run[i], w.y[i*a.HeadDim:(i+1)*a.HeadDim], w.ml[i])
		}
	}
	for i := range n {
		o := w.o[i*a.HeadDim : (i+1)*a.HeadDim]
		a.finish(o, w.run[i])
		copy(a.row(u, u.Out, i), o)
	}
}

// Partial holds the tiles of one decoded token for all heads, so that tiles can be computed by different workers and
// merged in order afterwards: the result is the same bits as Run's.
type Partial struct {
	y  []float32 // tile, query head, headDim
	ml []maxSum  // tile, query head
}

// Reserve makes room for nTiles tiles of nHeads query heads. It allocates only when that grows.
func (p *Partial) Reserve(nTiles, nHeads, headDim int) {
	if n := nTiles * nHeads * headDim; cap(p.y) < n {
		p.y = kernel.Aligned[float32](n + n/2)
		p.ml = make([]maxSum, (nTiles+nTiles/2+1)*nHeads)
	}
	p.y, p.ml = p.y[:cap(p.y)], p.ml[:cap(p.ml)]
}

// RunTile computes tile j of a one-token unit into p, where tile index and head counts are those of Reserve; first is
// the first tile that the token sees.
func (a *Attention) RunTile(w *AttnWork, rows Rows, u Unit, j, first, nHeads int, p *Partial) {
	a.load(w, u)
	a.tile(w, rows, u, j)
	at := (j-first)*nHeads + u.Head*a.Group
	copy(p.y[at*a.HeadDim:], w.y[:a.Group*a.HeadDim])
	copy(p.ml[at:], w.ml[:a.Group])
}

// MergeHead merges the nTiles tiles of one query head in order and writes its output row.
func (a *Attention) MergeHead(out []float32, p *Partial, head, nTiles, nHeads int) {
	var run maxSum
	for j := range nTiles {
		at := j*nHeads + head
		a.fold(out, &run, p.y[at*a.HeadDim:(at+1)*a.HeadDim], p.ml[at])
	}
	a.finish(out, run)
}

// row returns the activations of query row i (token i/Group, head i%Group of the KV head) in x.
func (a *Attention) row(u Unit, x []float32, i int) []float32 {
	at := i/a.Group*u.Stride + (u.Head*a.Group+i%a.Group)*a.HeadDim
	return x[at : at+a.HeadDim]
}

// load brings the query rows into the form that the K rows ask for.
func (a *Attention) load(w *AttnWork, u Unit) {
	for i := range u.Tokens * a.Group {
		q := w.q[i*a.HeadDim : (i+1)*a.HeadDim]
		copy(q, a.row(u, u.Q, i))
		if a.K == quant.KVInt8 {
			a.Table.Rotate(q)
			w.qs[i] = a.Table.QuantizeQuery(w.q16[i*a.HeadDim:(i+1)*a.HeadDim], q, a.Scale)
		} else {
			a.Table.Scale(q, a.Scale)
		}
	}
}

// tile computes w.y and w.ml for tile j (docs/NUMERICS.md §6).
func (a *Attention) tile(w *AttnWork, rows Rows, u Unit, j int) {
	t, n, hd := a.Table, u.Tokens*a.Group, a.HeadDim
	base := j * kernel.TileLen
	lo := max(0, a.visibleFrom(u.Pos)-base)
	hi := min(kernel.TileLen, u.Pos+u.Tokens-base)
	b0, b1 := lo/BlockLen, (hi+BlockLen-1)/BlockLen

	for b := b0; b < b1; b++ {
		p := rows.K(u.Layer, u.Head, j*blocksPerTile+b)
		nRows, dst := min(BlockLen, hi-b*BlockLen), w.s[b*BlockLen:]
		switch p.Format {
		case quant.KVInt8:
			t.ScoresInt8(dst, w.q16, w.qs, n, p.Rows, p.Scales, nRows, hd)
		case quant.KVF16:
			t.ScoresF16(dst, w.q, n, p.Rows, nRows, hd)
		default:
			t.ScoresF32(dst, w.q, n, p.Rows, nRows, hd)
		}
	}

	// The V scales of the tile's blocks lie in different slots; weights need them side by side.
	if a.V == quant.KVInt8 {
		for b := b0; b < b1; b++ {
			copy(w.vs[2*b*BlockLen:], rows.V(u.Layer, u.Head, j*blocksPerTile+b).Scales[:2*min(BlockLen, hi-b*BlockLen)])
		}
	}
	for i := range n {
		pos := u.Pos + i/a.Group
		rlo, rhi := max(0, a.visibleFrom(pos)-base), min(kernel.TileLen, pos+1-base)
		s := w.s[i*kernel.TileLen : (i+1)*kernel.TileLen]
		ml := &w.ml[i]
		if ml.any = rlo < rhi; !ml.any {
			rlo, rhi = 0, 0
		}
		if a.V == quant.KVInt8 {
			wt := w.w[i*kernel.TileLen : (i+1)*kernel.TileLen]
			if !ml.any {
				clear(wt)
				continue
			}
			ml.m, ml.l, w.ws[i] = t.WeightsInt8(wt, s, w.vs[:], rlo, rhi)
		} else {
			if !ml.any {
				clear(s)
				continue
			}
			ml.m, ml.l = t.WeightsFloat(s, rlo, rhi)
		}
	}

	if a.V == quant.KVInt8 {
		clear(w.acc[:n*hd])
	} else {
		clear(w.y[:n*hd])
	}
	for b := b0; b < b1; b++ {
		p := rows.V(u.Layer, u.Head, j*blocksPerTile+b)
		nRows := min(BlockLen, hi-b*BlockLen)
		switch p.Format {
		case quant.KVInt8:
			t.MixInt8(w.acc, w.w[b*BlockLen:], n, p.Rows, nRows, hd)
		case quant.KVF16:
			t.MixF16(w.y, w.s[b*BlockLen:], n, p.Rows, nRows, hd)
		default:
			t.MixF32(w.y, w.s[b*BlockLen:], n, p.Rows, nRows, hd)
		}
	}
	if a.V == quant.KVInt8 {
		for i := range n {
			t.IntToFloat(w.y[i*hd:(i+1)*hd], w.acc[i*hd:(i+1)*hd], w.ws[i])
		}
	}
}

// fold merges a tile of one query row into its running state.
func (a *Attention) fold(o []float32, run *maxSum, y []float32, ml maxSum) {
	switch {
	case !ml.any:
	case !run.any:
		copy(o, y)
		*run = ml
	default:
		run.m, run.l = a.Table.Merge(o, run.m, run.l, y, ml.m, ml.l)
	}
}

// finish divides by the sum and takes the rotation of the V rows back.
func (a *Attention) finish(o []float32, run maxSum) {
	a.Table.Scale(o, 1/run.l)
	if a.V == quant.KVInt8 {
		a.Table.Rotate(o)
	}
}
