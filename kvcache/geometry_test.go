package kvcache

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"kvasir/quant"
)

func uniform(layers, heads, headDim int, f quant.KVFormat) Geometry {
	g := Geometry{}
	for range layers {
		g.Layers = append(g.Layers, Layer{NKVHeads: heads, HeadDim: headDim, K: f, V: f})
	}
	return g
}

func TestSlotSizesOfKnownModels(t *testing.T) {
	for _, c := range []struct {
		name                         string
		layers, heads, headDim       int
		format                       quant.KVFormat
		tokenBytes, slotBytes, slots int
	}{
		{"SmolLM2-135M int8", 30, 3, 64, quant.KVInt8, 11880, 770048, 64},
		{"Qwen2.5-0.5B int8", 24, 2, 64, quant.KVInt8, 6336, 409600, 64},
		{"Qwen2.5-0.5B f16", 24, 2, 64, quant.KVF16, 12288, 786432, 64},
		{"Qwen3-0.6B int8", 28, 8, 128, quant.KVInt8, 58240, 3735552, 35},
		{"Gemma-3-1B int8", 26, 1, 256, quant.KVInt8, 13416, 868352, 64},
		{"Phi-4-mini int8", 32, 8, 128, quant.KVInt8, 66560, 4259840, 31},
		{"one tiny layer", 1, 1, 8, quant.KVInt8, 20, 16384, 204},
	} {
		lay, err := newLayout(uniform(c.layers, c.heads, c.headDim, c.format))
		if err != nil {
			t.Fatal(err)
		}
		if lay.tokenBytes != c.tokenBytes || lay.slotBytes != c.slotBytes {
			t.Errorf("%s: %d bytes per token, slot of %d, want %d and %d", c.name, lay.tokenBytes, lay.slotBytes, c.tokenBytes, c.slotBytes)
		}
		if got := newSegmentSlots(lay, 1<<40); got != c.slots {
			t.Errorf("%s: %d slots per segment, want %d", c.name, got, c.slots)
		}
	}
}

func TestNewSegmentFitsItsRoom(t *testing.T) {
	lay, _ := newLayout(uniform(24, 2, 64, quant.KVInt8))
	for room := int64(0); room < 40<<20; room += 99991 {
		if n := newSegmentSlots(lay, room); n > 0 && segmentBytes(lay, n) > room {
			t.Fatalf("%d slots take %d bytes of %d", n, segmentBytes(lay, n), room)
		}
	}
}

func randomGeometry(r *rand.Rand) Geometry {
	g := Geometry{}
	formats := []quant.KVFormat{quant.KVInt8, quant.KVF16, quant.KVF32}
	for range 1 + r.IntN(5) {
		g.Layers = append(g.Layers, Layer{
			NKVHeads: 1 + r.IntN(4), HeadDim: 1 + r.IntN(20), K: formats[r.IntN(3)], V: formats[r.IntN(3)], Window: r.IntN(2) * 128,
		})
	}
	return g
}

// The units of a slot lie side by side without gaps, every plane is one of them and begins at a multiple of 64, and the
// layers' checksummed ranges together are the payload.
func TestLayoutCoversPayloadOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		g := randomGeometry(r)
		lay, err := newLayout(g)
		if err != nil {
			t.Fatal(err)
		}
		off := 0
		for _, u := range lay.units {
			if u.off != off || u.off%64 != 0 {
				t.Fatalf("%+v: unit at %d, want %d", g, u.off, off)
			}
			off += BlockTokens * u.elemBytes
		}
		if off != lay.payloadBytes || lay.slotBytes < off || lay.slotBytes-off >= slotAlign || lay.slotBytes%slotAlign != 0 {
			t.Fatalf("%+v: payload %d, units %d, slot %d", g, lay.payloadBytes, off, lay.slotBytes)
		}
		seen := make([]int, lay.payloadBytes)
		for _, l := range lay.layers {
			for _, s := range l {
				for i := s.off; i < s.off+s.n; i++ {
					seen[i]++
				}
			}
		}
		for i, n := range seen {
			if n != 1 {
				t.Fatalf("%+v: byte %d is checksummed %d times", g, i, n)
			}
		}
	}
}

func TestWindowedPlanesLieTogether(t *testing.T) {
	lay, _ := newLayout(toyGeometry)
	windowed, others := lay.layers[1][0], []span{lay.layers[0][0], lay.layers[2][0]}
	for _, s := range others {
		if s.off > windowed.off {
			t.Errorf("planes of a global layer at %d behind the windowed ones at %d", s.off, windowed.off)
		}
	}
}

func TestPackUnpack(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		lay, err := newLayout(randomGeometry(r))
		if err != nil {
			t.Fatal(err)
		}
		slot, back := make([]byte, lay.slotBytes), make([]byte, lay.slotBytes)
		for i := range lay.payloadBytes {
			slot[i] = byte(r.Uint32())
		}
		n := 1 + r.IntN(BlockTokens)
		packed := make([]byte, n*lay.tokenBytes)
		lay.pack(packed, slot, n)
		lay.unpack(back, packed, n)
		want := make([]byte, lay.slotBytes)
		lay.copyRows(want, slot, n)
		if !bytes.Equal(back, want) {
			t.Fatal("unpack(pack(x)) is not x")
		}
		if n == BlockTokens && !bytes.Equal(want[:lay.payloadBytes], slot[:lay.payloadBytes]) {
			t.Fatal("copyRows of all rows is not a copy")
		}
	}
}

func TestGeometryRefused(t *testing.T) {
	ok := Layer{NKVHeads: 1, HeadDim: 8, K: quant.KVInt8, V: quant.KVInt8}
	for name, change := range map[string]func(*Layer){
		"no heads":      func(l *Layer) { l.NKVHeads = 0 },
		"negative dim":  func(l *Layer) { l.HeadDim = -1 },
		"huge dim":      func(l *Layer) { l.HeadDim = 1 << 16 },
		"huge product":  func(l *Layer) { l.HeadDim, l.NKVHeads = 1<<16-1, 1<<16-1 },
		"format 0":      func(l *Layer) { l.K = 0 },
		"format 9":      func(l *Layer) { l.V = 9 },
		"window":        func(l *Layer) { l.Window = -1 },
		"heads too far": func(l *Layer) { l.NKVHeads = 1 << 20 },
	} {
		l := ok
		change(&l)
		if _, err := newLayout(Geometry{Layers: []Layer{l}}); !errors.Is(err, ErrGeometry) {
			t.Errorf("%s: error %v, want ErrGeometry", name, err)
		}
	}
	for _, n := range []int{0, maxLayers + 1} {
		if _, err := newLayout(Geometry{Layers: make([]Layer, n)}); !errors.Is(err, ErrGeometry) {
			t.Errorf("%d layers: error %v, want ErrGeometry", n, err)
		}
	}
}
