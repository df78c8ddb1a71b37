package ops

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"kvasir/quant"
	"kvasir/quant/kernel"
)

// memory is a KV sequence of one layer in RAM, rows encoded as the engine does.
type memory struct {
	k, v quant.KVFormat
	hd   int
	rows [2][][]byte // side, head: all rows
	scal [2][][]byte
}

func (m *memory) plane(side, head, b int, f quant.KVFormat) quant.KVPlane {
	size := f.RowBytes(m.hd)
	lo, hi := b*BlockLen, (b+1)*BlockLen
	p := quant.KVPlane{Format: f, HeadDim: m.hd, Rows: m.rows[side][head][lo*size : hi*size]}
	if f.ScaleBytes() > 0 {
		p.Scales = m.scal[side][head][2*lo : 2*hi]
	}
	return p
}

func (m *memory) K(_, head, b int) quant.KVPlane { return m.plane(0, head, b, m.k) }
func (m *memory) V(_, head, b int) quant.KVPlane { return m.plane(1, head, b, m.v) }

func (m *memory) put(t *kernel.Table, side, head, pos int, x []float32, f quant.KVFormat) {
	size := f.RowBytes(m.hd)
	row := m.rows[side][head][pos*size : (pos+1)*size]
	x = append([]float32(nil), x...)
	switch f {
	case quant.KVInt8:
		t.Rotate(x)
		t.EncodeInt8(row, m.scal[side][head][2*pos:2*pos+2], x)
	case quant.KVF16:
		t.EncodeF16(row, x)
	default:
		for i, v := range x {
			binary.LittleEndian.PutUint32(row[4*i:], math.Float32bits(v))
		}
	}
}

// dialogue makes random keys and values for n positions and the queries of all of them.
func dialogue(t *kernel.Table, n, heads, kvHeads, hd int, k, v quant.KVFormat) (m *memory, q []float32, ks, vs [][]float32) {
	rng := rand.New(rand.NewPCG(uint64(n), uint64(hd)))
	normal := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
		return x
	}
	room := (n + 2*kernel.TileLen) / kernel.TileLen * kernel.TileLen
	m = &memory{k: k, v: v, hd: hd}
	for side, f := range []quant.KVFormat{k, v} {
		for range kvHeads {
			m.rows[side] = append(m.rows[side], make([]byte, room*f.RowBytes(hd)))
			m.scal[side] = append(m.scal[side], make([]byte, room*2))
		}
	}
	q = normal(n * heads * hd)
	for h := range kvHeads {
		ks, vs = append(ks, normal(n*hd)), append(vs, normal(n*hd))
		for pos := range n {
			m.put(t, 0, h, pos, ks[h][pos*hd:(pos+1)*hd], k)
			m.put(t, 1, h, pos, vs[h][pos*hd:(pos+1)*hd], v)
		}
	}
	return m, q, ks, vs
}

// exact is softmax attention in float64 over the unquantised rows.
func exact(a *Attention, q []float32, k, v []float32, pos int) []float64 {
	hd := a.HeadDim
	lo := a.visibleFrom(pos)
	s := make([]float64, pos+1)
	top := math.Inf(-1)
	for t := lo; t <= pos; t++ {
		for d := range hd {
			s[t] += float64(q[d]) * float64(k[t*hd+d])
		}
		s[t] *= float64(a.Scale)
		top = max(top, s[t])
	}
	out, sum := make([]float64, hd), 0.0
	for t := lo; t <= pos; t++ {
		p := math.Exp(s[t] - top)
		sum += p
		for d := range hd {
			out[d] += p * float64(v[t*hd+d])
		}
	}
	for d := range out {
		out[d] /= sum
	}
	return out
}

// Attention equals softmax attention within the noise of its row formats, for every format of K with every format of V, every
// window and head geometry.
func TestAttentionIsSoftmaxWithinTheFormatsNoise(t *testing.T) {
	limit := map[quant.KVFormat]float64{quant.KVF32: 1e-5, quant.KVF16: 2e-3, quant.KVInt8: 3e-2}
	formats := []quant.KVFormat{quant.KVF32, quant.KVF16, quant.KVInt8}
	for _, mix := range pairs(formats) {
		if testing.Short() && mix[0] != mix[1] && (mix[0] == quant.KVF32 || mix[1] == quant.KVF32) {
			continue // under emulation: f32 is not stored, hence not mixed
		}
		for _, c := range []struct{ n, group, hd, window int }{
			{1, 1, 8, 0}, {64, 2, 64, 0}, {65, 3, 32, 16}, {300, 4, 80, 0}, {530, 7, 64, 300}, {600, 2, 128, 64},
		} {
			tab := kernel.Best()
			a := &Attention{Table: tab, HeadDim: c.hd, Group: c.group, K: mix[0], V: mix[1], Scale: float32(1 / math.Sqrt(float64(c.hd))), Window: c.window}
			m, q, ks, vs := dialogue(tab, c.n, c.group, 1, c.hd, mix[0], mix[1])
			stride := c.group * c.hd
			out := make([]float32, c.n*stride)
			w := NewAttnWork(MaxQueryRows, c.hd)
			per := a.TokensPerUnit()
			for at := 0; at < c.n; at += per {
				a.Run(w, m, Unit{Pos: at, Tokens: min(per, c.n-at), Q: q[at*stride:], Out: out[at*stride:], Stride: stride})
			}
			var num, den float64
			for pos := range c.n {
				for h := range c.group {
					want := exact(a, q[pos*stride+h*c.hd:], ks[0], vs[0], pos)
					for d, x := range want {
						e := float64(out[pos*stride+h*c.hd+d]) - x
						num, den = num+e*e, den+x*x
					}
				}
			}
			if e, most := math.Sqrt(num/den), max(limit[mix[0]], limit[mix[1]]); !(e < most) {
				t.Errorf("K %v, V %v, %+v: relative error %g, want below %g", mix[0], mix[1], c, e, most)
			}
		}
	}
}

// pairs returns every format with every other and itself.
func pairs(fs []quant.KVFormat) [][2]quant.KVFormat {
	var ps [][2]quant.KVFormat
	for _, k := range fs {
		for _, v := range fs {
			ps = append(ps, [2]quant.KVFormat{k, v})
		}
	}
	return ps
}

// A token decoded alone, tile by tile on different workers, has the bits that it has inside a batch.
func TestTilesMergedLaterAreTheSameBits(t *testing.T) {
	for _, tab := range kernel.Variants() {
		for _, mix := range pairs([]quant.KVFormat{quant.KVInt8, quant.KVF16}) {
			const n, heads, kvHeads, hd = 700, 6, 2, 64
			a := &Attention{Table: tab, HeadDim: hd, Group: heads / kvHeads, K: mix[0], V: mix[1], Scale: 0.125}
			m, q, _, _ := dialogue(tab, n, heads, kvHeads, hd, mix[0], mix[1])
			w := NewAttnWork(MaxQueryRows, hd)
			stride := heads * hd
			batch := make([]float32, n*stride)
			for head := range kvHeads {
				for at := 0; at < n; at += 20 {
					a.Run(w, m, Unit{Head: head, Pos: at, Tokens: 20, Q: q[at*stride:], Out: batch[at*stride:], Stride: stride})
				}
			}
			var p Partial
			for _, pos := range []int{0, 63, 64, 255, 256, 511, 512, 699} {
				first, end := a.Tiles(pos, 1)
				p.Reserve(end-first, heads, hd)
				one := make([]float32, stride)
				u := Unit{Pos: pos, Tokens: 1, Q: q[pos*stride:], Out: one, Stride: stride}
				for j := end - 1; j >= first; j-- { // any order
					for head := range kvHeads {
						u.Head = head
						a.RunTile(w, m, u, j, first, heads, &p)
					}
				}
				for h := range heads {
					a.MergeHead(one[h*hd:(h+1)*hd], &p, h, end-first, heads)
				}
				if fmt.Sprint(one) != fmt.Sprint(batch[pos*stride:(pos+1)*stride]) {
					t.Fatalf("%s %v position %d: decode differs from batch", tab.Name, mix, pos)
				}
			}
		}
	}
}
