package sample

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"
)

// naive is the chain written down as it is defined, with a sort of everything and the standard library's functions.
// It returns the tokens left and their probabilities, the likeliest first.
func naive(p Params, logits []float32, recent []int32) (ids []int32, probs []float64) {
	l := slices.Clone(logits)
	for id, b := range p.LogitBias {
		l[id] += b
	}
	if p.PenaltyLastN >= 0 && len(recent) > p.PenaltyLastN {
		recent = recent[len(recent)-p.PenaltyLastN:]
	}
	count := map[int32]int{}
	for _, id := range recent {
		count[id]++
	}
	for id, n := range count {
		if l[id] > 0 {
			l[id] /= p.RepeatPenalty
		} else {
			l[id] *= p.RepeatPenalty
		}
		l[id] -= float32(float32(n)*p.FrequencyPenalty) + p.PresencePenalty
	}
	for id := range l {
		if !math.IsInf(float64(l[id]), -1) {
			ids = append(ids, int32(id))
		}
	}
	sort.SliceStable(ids, func(a, b int) bool { return l[ids[a]] > l[ids[b]] })
	if p.Temp <= 0 {
		return ids[:1], []float64{1}
	}
	if p.TopK > 0 && p.TopK < len(ids) {
		ids = ids[:p.TopK]
	}
	soft := func(temp float64) []float64 {
		out, sum := make([]float64, len(ids)), 0.0
		for i, id := range ids {
			out[i] = math.Exp((float64(l[id]) - float64(l[ids[0]])) / temp)
			sum += out[i]
		}
		for i := range out {
			out[i] /= sum
		}
		return out
	}
	if p.TopP < 1 {
		sum := 0.0
		for i, q := range soft(1) {
			if sum += q; sum >= float64(p.TopP) {
				ids = ids[:i+1]
				break
			}
		}
	}
	q := soft(1)
	for i := range ids {
		if i > 0 && q[i] < float64(p.MinP)*q[0] {
			ids = ids[:i]
			break
		}
	}
	return ids, soft(float64(p.Temp))
}

func randomLogits(r *rand.Rand, n int) []float32 {
	l := make([]float32, n)
	scale := []float64{0.01, 1, 3, 10}[r.IntN(4)]
	for i := range l {
		l[i] = float32(r.NormFloat64() * scale)
		if r.IntN(8) == 0 {
			l[i] = float32(math.Round(float64(l[i]))) // ties
		}
		if r.IntN(50) == 0 {
			l[i] = float32(math.Inf(-1))
		}
	}
	l[r.IntN(n)] = float32(scale)
	return l
}

func randomParams(r *rand.Rand, n int) Params {
	pick := func(xs ...float32) float32 { return xs[r.IntN(len(xs))] }
	p := Params{Temp: pick(0, -1, 0.3, 0.8, 1, 2), TopK: []int{0, -1, 1, 2, 5, 40, n, n + 7}[r.IntN(8)], TopP: pick(0, 0.1, 0.5, 0.9, 0.95, 1, 1),
		MinP: pick(0, 0, 0.01, 0.05, 0.5, 1), RepeatPenalty: pick(1, 1, 1.1, 0.7), PresencePenalty: pick(0, 0, 0.5, -0.3),
		FrequencyPenalty: pick(0, 0, 0.2), PenaltyLastN: []int{0, -1, 1, 3, 64}[r.IntN(5)], Seed: r.Uint64()}
	if r.IntN(2) == 0 {
		p.LogitBias = map[int32]float32{int32(r.IntN(n)): 3, int32(r.IntN(n)): float32(math.Inf(-1)), int32(r.IntN(n)): -2}
	}
	return p
}

// The candidates and their weights are those of the definition, for random logits, parameters and histories.
func TestChainMatchesDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for trial := range 4000 {
		n := 2 + r.IntN(300)
		p, logits := randomParams(r, n), randomLogits(r, n)
		s, err := New(p, n)
		if err != nil {
			t.Fatal(err)
		}
		var recent []int32
		for range r.IntN(100) {
			id := int32(r.IntN(min(n, 20)))
			recent = append(recent, id)
			s.Accept(id)
		}
		ids, probs := naive(p, logits, recent)
		orig := slices.Clone(logits)
		got, err := s.Sample(logits)
		if err != nil {
			t.Fatalf("trial %d %+v: %v", trial, p, err)
		}
		if !slices.Equal(orig, logits) {
			t.Fatalf("trial %d: logits changed", trial)
		}
		if p.Temp <= 0 {
			if got != ids[0] {
				t.Fatalf("trial %d %+v: greedy chose %d, want %d", trial, p, got, ids[0])
			}
			continue
		}
		s.adjust(logits)
		cands, ok := s.candidates(logits)
		if !ok {
			t.Fatalf("trial %d: bad logits", trial)
		}
		cands = slices.Clone(cands)
		s.choose(logits, 0)
		if len(cands) != len(ids) {
			t.Fatalf("trial %d %+v: %d candidates, want %d", trial, p, len(cands), len(ids))
		}
		sum := 0.0
		for _, w := range s.weights {
			sum += w
		}
		slices.SortFunc(cands, before)
		sorted := slices.Clone(s.weights)
		slices.Sort(sorted)
		slices.Reverse(sorted)
		for i, c := range cands {
			if c.id != ids[i] {
				t.Fatalf("trial %d %+v: candidate %d is %d, want %d", trial, p, i, c.id, ids[i])
			}
			if d := math.Abs(sorted[i]/sum - probs[i]); d > 1e-12 {
				t.Fatalf("trial %d: probability of candidate %d is off by %g", trial, i, d)
			}
		}
		if !slices.Contains(ids, got) {
			t.Fatalf("trial %d: chose %d, not a candidate", trial, got)
		}
	}
}

// Draws follow the probabilities.
func TestDrawDistribution(t *testing.T) {
	logits := []float32{0, 1, 2, -1, 2, float32(math.Inf(-1))}
	for _, p := range []Params{{Temp: 1, TopP: 1, RepeatPenalty: 1}, {Temp: 0.7, TopP: 1, RepeatPenalty: 1, TopK: 3}, {Temp: 2, TopP: 0.9, RepeatPenalty: 1, MinP: 0.1}} {
		s, err := New(p, len(logits))
		if err != nil {
			t.Fatal(err)
		}
		const n = 200000
		count := make([]int, len(logits))
		for range n {
			id, err := s.Sample(logits)
			if err != nil {
				t.Fatal(err)
			}
			count[id]++
		}
		ids, probs := naive(p, logits, nil)
		want := make([]float64, len(logits))
		for i, id := range ids {
			want[id] = probs[i]
		}
		for id, q := range want {
			if d := math.Abs(float64(count[id])/n - q); d > 5*math.Sqrt(q*(1-q)/n) {
				t.Errorf("%+v: token %d drawn %d times of %d, probability %g", p, id, count[id], n, q)
			}
		}
	}
}

func TestGreedyTakesLowestID(t *testing.T) {
	s, _ := New(Greedy(), 4)
	if id, err := s.Sample([]float32{1, 5, 5, 2}); err != nil || id != 1 {
		t.Errorf("chose %d, %v", id, err)
	}
	if st := s.State(); st.Draws != 0 {
		t.Errorf("greedy drew %d numbers", st.Draws)
	}
}

func TestBadLogits(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, l := range [][]float32{{nan, 1, 1, 1}, {1, 1, 1, nan}, {1, inf, 1, 1}, {-inf, -inf, -inf, -inf}, {1, 1}, {1, 1, 1, 1, 1}, nil} {
		for _, p := range []Params{Greedy(), Defaults(), {Temp: 1, TopP: 1, RepeatPenalty: 1}, {Temp: 1, TopP: 0.5, RepeatPenalty: 1}, {Temp: 1, TopK: 2, TopP: 1, RepeatPenalty: 1}} {
			s, err := New(p, 4)
			if err != nil {
				t.Fatal(err)
			}
			if id, err := s.Sample(slices.Clone(l)); !errors.Is(err, ErrBadLogits) || id != -1 {
				t.Errorf("%v with %+v: %d, %v", l, p, id, err)
			}
		}
	}
	// Extreme but finite values are no error.
	for _, p := range []Params{Defaults(), {Temp: math.SmallestNonzeroFloat32, TopP: 1, RepeatPenalty: 1}, {Temp: math.MaxFloat32, TopP: 0.99, RepeatPenalty: 1}} {
		s, _ := New(p, 3)
		if _, err := s.Sample([]float32{math.MaxFloat32, -math.MaxFloat32, 0}); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

func TestValidateNamesTheField(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		name string
		set  func(*Params)
	}{
		{"temp", func(p *Params) { p.Temp = nan }},
		{"temp", func(p *Params) { p.Temp = inf }},
		{"top_p", func(p *Params) { p.TopP = 1.5 }},
		{"top_p", func(p *Params) { p.TopP = nan }},
		{"min_p", func(p *Params) { p.MinP = -0.1 }},
		{"repeat_penalty", func(p *Params) { p.RepeatPenalty = 0 }},
		{"repeat_penalty", func(p *Params) { p.RepeatPenalty = inf }},
		{"presence_penalty", func(p *Params) { p.PresencePenalty = nan }},
		{"frequency_penalty", func(p *Params) { p.FrequencyPenalty = -inf }},
		{"repeat_last_n", func(p *Params) { p.PenaltyLastN = -2 }},
		{"logit_bias", func(p *Params) { p.LogitBias = map[int32]float32{1: nan} }},
		{"logit_bias", func(p *Params) { p.LogitBias = map[int32]float32{-1: 1} }},
		{"logit_bias", func(p *Params) { p.LogitBias = map[int32]float32{10: 1} }},
	} {
		p := Defaults()
		c.set(&p)
		_, err := New(p, 10)
		if !errors.Is(err, ErrBadParams) || !strings.Contains(fmt.Sprint(err), c.name) {
			t.Errorf("%s: error %v", c.name, err)
		}
	}
	d := Defaults()
	if err := d.Validate(); err != nil {
		t.Error(err)
	}
}

// A restored sampler goes on as the one that was saved would have.
func TestRestore(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	p := Defaults()
	p.Seed, p.RepeatPenalty = 99, 1.2
	a, _ := New(p, 500)
	var history []int32
	run := func(s *Sampler, seed uint64, n int) (out []int32) {
		lr := rand.New(rand.NewPCG(seed, 0))
		for range n {
			id, err := s.Sample(randomLogits(lr, 500))
			if err != nil {
				t.Fatal(err)
			}
			s.Accept(id)
			out = append(out, id)
		}
		return out
	}
	history = run(a, r.Uint64(), 150)
	st := a.State()
	want := run(a, 7, 100)
	p.Seed = 1
	b, _ := New(p, 500)
	for _, id := range history {
		b.Accept(id)
	}
	b.Restore(st)
	if got := run(b, 7, 100); !slices.Equal(got, want) {
		t.Errorf("restored sampler chose %v, want %v", got, want)
	}
	b.Reset()
	b.Restore(State{Seed: 99})
	if got := run(b, 1, 20); !slices.Equal(got, func() []int32 {
		c, _ := New(Params{Temp: .8, TopK: 40, TopP: .95, MinP: .05, RepeatPenalty: 1.2, PenaltyLastN: 64, Seed: 99}, 500)
		return run(c, 1, 20)
	}()) {
		t.Error("a reset sampler does not start over")
	}
}

func TestSampleAllocatesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	const n = 5000
	logits := make([]float32, n)
	for i := range logits {
		logits[i] = float32(r.NormFloat64() * 3)
	}
	for _, p := range []Params{Defaults(), Greedy(), {Temp: 1, TopP: 0.95, RepeatPenalty: 1.1, PenaltyLastN: 64}, {Temp: 1, TopP: 1, RepeatPenalty: 1}, {Temp: 1, TopP: 1, MinP: 0.1, RepeatPenalty: 1, LogitBias: map[int32]float32{5: 2}}} {
		s, _ := New(p, n)
		step := func() {
			id, err := s.Sample(logits)
			if err != nil {
				t.Fatal(err)
			}
			s.Accept(id)
		}
		for range 200 {
			step()
		}
		if a := testing.AllocsPerRun(200, step); a != 0 {
			t.Errorf("%+v: %v allocations", p, a)
		}
	}
}

func TestLogprobs(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for range 300 {
		n := 1 + r.IntN(200)
		logits := randomLogits(r, n)
		s, _ := New(Defaults(), n)
		id := int32(r.IntN(n))
		chosen, list, err := s.Logprobs(nil, logits, id, 5)
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, x := range logits {
			sum += math.Exp(float64(x))
		}
		want := float64(logits[id]) - math.Log(sum)
		if chosen.ID != id || math.Abs(float64(chosen.Logprob)-want) > 1e-5*(1+math.Abs(want)) && !math.IsInf(want, -1) {
			t.Fatalf("token %d: %v, want %g", id, chosen, want)
		}
		ids, _ := naive(Params{Temp: 1, TopP: 1, RepeatPenalty: 1, TopK: 5}, logits, nil)
		for i, lp := range list {
			if lp.ID != ids[i] {
				t.Fatalf("entry %d is token %d, want %d", i, lp.ID, ids[i])
			}
		}
		if len(list) != len(ids) {
			t.Fatalf("%d entries, want %d", len(list), len(ids))
		}
	}
	s, _ := New(Defaults(), 2)
	if _, _, err := s.Logprobs(nil, []float32{1, float32(math.NaN())}, 0, 1); !errors.Is(err, ErrBadLogits) {
		t.Error(err)
	}
	if _, _, err := s.Logprobs(nil, []float32{1, 1}, 2, 1); !errors.Is(err, ErrBadLogits) {
		t.Error(err)
	}
}

func TestExpAndLn(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for range 200000 {
		x := -r.ExpFloat64() * 50
		if x > -700 {
			if got, want := expNeg(x), math.Exp(x); math.Abs(got-want) > 7e-16*want {
				t.Fatalf("exp(%g) is %g, want %g", x, got, want)
			}
		}
		y := 1 + r.ExpFloat64()*math.Pow(10, float64(r.IntN(20)))
		if got, want := ln(y), math.Log(y); math.Abs(got-want) > 7e-16*want {
			t.Fatalf("ln(%g) is %g, want %g", y, got, want)
		}
	}
	for _, c := range [][2]float64{{0, 1}, {math.Copysign(0, -1), 1}, {-1e9, 0}, {math.Inf(-1), 0}, {math.NaN(), 0}, {-708, 0}} {
		if got := expNeg(c[0]); got != c[1] {
			t.Errorf("exp(%g) is %g, want %g", c[0], got, c[1])
		}
	}
	if ln(1) != 0 {
		t.Errorf("ln(1) is %g", ln(1))
	}
}
