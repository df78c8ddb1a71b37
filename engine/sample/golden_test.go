package sample

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// goldenLogits are made with integers only, so that they are the same on every machine.
func goldenLogits(r *rand.Rand, dst []float32) {
	for i := range dst {
		x := 0
		for range 4 {
			x += int(r.Uint32() >> 20)
		}
		dst[i] = float32(x-8190) / 512
	}
}

// A seed gives these tokens on every machine. The values are this package's own: a change to them is a change to what
// every saved conversation goes on with. To make them again, run the test and read what it got.
func TestGoldenSequence(t *testing.T) {
	base := Params{Temp: 1.3, TopP: 1, RepeatPenalty: 1, Seed: 42}
	with := func(set func(*Params)) Params {
		p := base
		set(&p)
		return p
	}
	for _, c := range []struct {
		name string
		p    Params
		want []int32
	}{
		{"all", base, []int32{719, 303, 34, 308, 37, 865, 317, 548}},
		{"defaults", func() Params { p := Defaults(); p.Seed = 7; return p }(), []int32{62, 900, 174, 421, 37, 548, 846, 370}},
		{"top-p", with(func(p *Params) { p.TopP = 0.9 }), []int32{719, 363, 34, 282, 37, 854, 343, 548}},
		{"min-p", with(func(p *Params) { p.MinP = 0.02 }), []int32{719, 363, 34, 246, 37, 833, 343, 548}},
		{"penalties", with(func(p *Params) { p.TopK, p.RepeatPenalty, p.PresencePenalty, p.PenaltyLastN = 50, 1.3, 0.2, -1 }), []int32{118, 900, 34, 421, 577, 189, 846, 85}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 1))
			s, err := New(c.p, 1024)
			if err != nil {
				t.Fatal(err)
			}
			logits := make([]float32, 1024)
			var got []int32
			for range len(c.want) {
				goldenLogits(r, logits)
				id, err := s.Sample(logits)
				if err != nil {
					t.Fatal(err)
				}
				s.Accept(id)
				got = append(got, id)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// The bits of exp, ln and the random stream are the same on every machine.
func TestGoldenBits(t *testing.T) {
	h := fnv.New64a()
	var b [8]byte
	put := func(x uint64) {
		for i := range b {
			b[i] = byte(x >> (8 * i))
		}
		h.Write(b[:])
	}
	rnd := random{seed: 12345}
	for range 20000 {
		u := rnd.uniform()
		put(math.Float64bits(u))
		put(math.Float64bits(expNeg(-700 * u)))
		put(math.Float64bits(expNeg(-u)))
		put(math.Float64bits(ln(1 + float64(u*1e6))))
	}
	if got, want := h.Sum64(), uint64(0x6d791f9ec7776a04); got != want {
		t.Errorf("hash %#x, want %#x", got, want)
	}
	// SplitMix64 from seed 0, as published.
	zero := random{}
	if u := zero.uniform(); u != float64(0xe220a8397b1dcdaf>>11)/(1<<53) {
		t.Errorf("first number of seed 0 is %v", u)
	}
}
