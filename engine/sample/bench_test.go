package sample

import (
	"math/rand/v2"
	"testing"
)

func BenchmarkSample(b *testing.B) {
	const n = 151936
	r := rand.New(rand.NewPCG(1, 2))
	peaked, flat := make([]float32, n), make([]float32, n)
	for i := range peaked {
		peaked[i] = float32(r.NormFloat64() * 2.5)
		flat[i] = float32(r.NormFloat64() * 0.1)
	}
	for range 20 {
		peaked[r.IntN(n)] += 15
	}
	for _, c := range []struct {
		name   string
		p      Params
		logits []float32
	}{
		{"greedy", Greedy(), peaked},
		{"defaults", Defaults(), peaked},
		{"defaults-flat", Defaults(), flat},
		{"penalties", Params{Temp: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05, RepeatPenalty: 1.1, PenaltyLastN: 64}, peaked},
		{"minp-only", Params{Temp: 1, TopP: 1, MinP: 0.05, RepeatPenalty: 1}, peaked},
		{"topp-only", Params{Temp: 1, TopP: 0.95, RepeatPenalty: 1}, peaked},
		{"topp-only-flat", Params{Temp: 1, TopP: 0.95, RepeatPenalty: 1}, flat},
		{"temperature-only", Params{Temp: 1, TopP: 1, RepeatPenalty: 1}, peaked},
	} {
		b.Run(c.name, func(b *testing.B) {
			s, err := New(c.p, n)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				id, err := s.Sample(c.logits)
				if err != nil {
					b.Fatal(err)
				}
				s.Accept(id)
			}
		})
	}
}
