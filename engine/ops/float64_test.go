package ops

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"testing"
)

func TestFunctionsAgreeWithTheStandardLibrary(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	worst := map[string]float64{}
	see := func(name string, got, want, scale float64) {
		worst[name] = max(worst[name], math.Abs(got-want)/scale)
	}
	for range 200_000 {
		x := -60 * rng.Float64()
		see("exp", exp64(x), math.Exp(x), math.Exp(x))
		y := math.Exp(40 * (rng.Float64() - 0.3))
		see("log", log64(y), math.Log(y), max(1, math.Abs(math.Log(y))))
		z := math.Ldexp(rng.Float64(), rng.IntN(20))
		s, c := sincos64(z)
		ws, wc := math.Sincos(z)
		see("sin", s, ws, 1)
		see("cos", c, wc, 1)
	}
	for name, e := range worst {
		if !(e < 1e-15) {
			t.Errorf("%s: error %g, want below 1e-15", name, e)
		}
		t.Logf("%s: %.2g", name, e)
	}
}

func TestExactPoints(t *testing.T) {
	if s, c := sincos64(0); s != 0 || c != 1 {
		t.Errorf("sincos(0) = %v, %v", s, c)
	}
	if exp64(0) != 1 || log64(1) != 0 {
		t.Errorf("exp(0) = %v, log(1) = %v", exp64(0), log64(1))
	}
}

// The tables are the same bits on every instruction set: this hash was made on amd64.
func TestRotaryTablesAreTheSameBitsEverywhere(t *testing.T) {
	h := sha256.New()
	for _, r := range []*Rope{
		NewRope(64, 1e6, 1, nil, true),
		NewRope(128, 500000, 1, nil, false),
		NewRope(80, 10000, 8, nil, true),
		NewRope(8, 10000, 1, []float32{1, 1.5, 7.25, 32}, false),
	} {
		cos, sin := make([]float32, r.Pairs()), make([]float32, r.Pairs())
		for pos := 0; pos < 131072; pos = pos*3/2 + 1 {
			r.Table(cos, sin, pos)
			for i := range cos {
				h.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(cos[i])))
				h.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(sin[i])))
			}
		}
	}
	const want = "c9b989196a86c3801f6173bc8a505b681a28690637c13fb449cb1f9c70db5e7b"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("hash %s, want %s", got, want)
	}
}
