package kvcache

import (
	"bytes"
	"hash/fnv"

	"kvasir/quant"
)

// crashLayers are two layers whose payload takes three pages: small enough for a hundred thousand images, and enough to be torn. The second
// page is the hole that the window leaves.
var crashLayers = []Layer{
	{NKVHeads: 2, HeadDim: 8, K: quant.KVInt8, V: quant.KVInt8},
	{NKVHeads: 1, HeadDim: 48, K: quant.KVInt8, V: quant.KVInt8, Window: 20},
}

// crashGeometries are those of the two models: the second one has a state of two pages as well.
var crashGeometries = [2]Geometry{{Layers: crashLayers}, {Layers: crashLayers, StateBytes: 6000}}

// rowMaker makes and checks the rows of crash tests: each a function of namespace, salt, the path of ids up to its token, layer, head and
// side, so that rows of anything else are noticed. It keeps the blocks it made. Not safe for concurrent use.
type rowMaker struct{ blocks map[uint64][]byte }

func newRowMaker() *rowMaker { return &rowMaker{blocks: map[uint64][]byte{}} }

// digests returns for each position what its rows are made from.
func (s *rowMaker) digests(q *Sequence, ids []int32) []uint64 {
	out := make([]uint64, len(ids))
	h := fnv.New64a()
	h.Write(q.root.hash[:])
	x := h.Sum64()
	for i, id := range ids {
		x = (x ^ uint64(uint32(id))) * 0x9e3779b97f4a7c15
		x ^= x >> 29
		out[i] = x
	}
	return out
}

// block returns the first n tokens of a block in slot layout, given the digests of its positions.
func (s *rowMaker) block(lay *layout, digests []uint64) []byte {
	key := digests[len(digests)-1]
	if b := s.blocks[key]; b != nil {
		return b
	}
	b := make([]byte, lay.payloadBytes)
	for i := range lay.planes {
		p := &lay.planes[i]
		for head := range lay.geometry.Layers[i/2].NKVHeads {
			for t, digest := range digests {
				n, w := p.format.RowBytes(p.headDim), p.format.ScaleBytes()
				row := make([]byte, n+w)
				rowOf(row, digest, i/2, head, Side(i%2))
				copy(b[p.off+head*p.stride+t*n:], row[:n])
				copy(b[p.scaleOff+head*p.scaleStride+t*w:], row[n:])
			}
		}
	}
	if len(s.blocks) > 4000 {
		clear(s.blocks)
	}
	s.blocks[key] = b
	return b
}

// write puts the rows of positions [from, from+n) of the path into q, where they are reserved.
func (s *rowMaker) write(q *Sequence, ids []int32, from, n int) {
	digests, lay := s.digests(q, ids[:from+n]), q.ns.lay
	for pos := from; pos < from+n; {
		b := pos / BlockTokens
		end := min((b+1)*BlockTokens, from+n)
		src, first := s.block(lay, digests[b*BlockTokens:end]), pos%BlockTokens
		for i := range lay.planes {
			for head := range lay.geometry.Layers[i/2].NKVHeads {
				p, at := q.Plane(i/2, head, Side(i%2), b), &lay.planes[i]
				row, scale := p.Format.RowBytes(p.HeadDim), p.Format.ScaleBytes()
				copy(p.Rows[first*row:(end-b*BlockTokens)*row], src[at.off+head*at.stride+first*row:])
				copy(p.Scales[first*scale:(end-b*BlockTokens)*scale], src[at.scaleOff+head*at.scaleStride+first*scale:])
			}
		}
		pos = end
	}
}

// state returns what the recurrent layers hold behind a path.
func (s *rowMaker) state(q *Sequence, ids []int32) []byte {
	b := make([]byte, q.ns.lay.geometry.StateBytes)
	rowOf(b, s.digests(q, ids)[len(ids)-1], len(ids), 1, K)
	return b
}

// wrong returns the first position of q whose block has rows that are not those of its tokens, its length if the state to go on from is not that
// of its tokens, or -1: invariant I1.
func (s *rowMaker) wrong(q *Sequence) int {
	digests, lay := s.digests(q, q.ids), q.ns.lay
	if state := q.State(); state != nil && !bytes.Equal(state, s.state(q, q.ids)) {
		return len(q.ids)
	}
	for b := range (len(q.ids) + BlockTokens - 1) / BlockTokens {
		end := min((b+1)*BlockTokens, len(q.ids))
		want, n := s.block(lay, digests[b*BlockTokens:end]), end-b*BlockTokens
		for i := range lay.planes {
			if window := lay.geometry.Layers[i/2].Window; window > 0 && q.entries[b].windowless {
				if end > len(q.ids)-window+1 {
					return b * BlockTokens // the next query sees planes that are not there
				}
				continue
			}
			for head := range lay.geometry.Layers[i/2].NKVHeads {
				p, at := q.Plane(i/2, head, Side(i%2), b), &lay.planes[i]
				row, scale := p.Format.RowBytes(p.HeadDim), p.Format.ScaleBytes()
				if !bytes.Equal(p.Rows[:n*row], want[at.off+head*at.stride:][:n*row]) ||
					!bytes.Equal(p.Scales[:n*scale], want[at.scaleOff+head*at.scaleStride:][:n*scale]) {
					return b * BlockTokens
				}
			}
		}
	}
	return -1
}
