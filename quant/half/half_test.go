package half

import (
	"math"
	"math/rand/v2"
	"sort"
	"testing"
)

// format describes a 16-bit format by its definition; it knows nothing of the conversions under test.
type format struct {
	name     string
	fracBits int
	bias     int
	decode   func(uint16) float32
	encode   func(float32) uint16
}

var formats = []format{
	{"binary16", 10, 15, ToFloat32, FromFloat32},
	{"bfloat16", 7, 127, BFToFloat32, BFFromFloat32},
}

func (f format) inf() uint16 { return 0x7fff >> f.fracBits << f.fracBits }

// value returns what a positive code below or at inf means; inf counts as the power of two that would come next, which
// is how rounding treats it.
func (f format) value(code uint16) float64 {
	exp, frac := int(code>>f.fracBits), float64(code&(1<<f.fracBits-1))
	if exp == 0 {
		return math.Ldexp(frac, 1-f.bias-f.fracBits)
	}
	return math.Ldexp(frac+math.Ldexp(1, f.fracBits), exp-f.bias-f.fracBits)
}

// nearest rounds by search: neighbours and their midpoint are exact in float64.
func (f format) nearest(x float32) uint16 {
	var sign uint16
	v := float64(x)
	if math.Signbit(v) {
		sign, v = Sign, -v
	}
	if v >= f.value(f.inf()) {
		return sign | f.inf()
	}
	hi := uint16(sort.Search(int(f.inf()), func(c int) bool { return f.value(uint16(c)) >= v }))
	if f.value(hi) == v {
		return sign | hi
	}
	lo, mid := hi-1, (f.value(hi-1)+f.value(hi))/2
	if v > mid || v == mid && lo&1 == 1 {
		return sign | hi
	}
	return sign | lo
}

// Every code decodes to its definition and encodes back to itself; a signalling binary16 NaN comes back quiet.
func TestAllCodes(t *testing.T) {
	for _, f := range formats {
		for c := range 1 << 16 {
			code := uint16(c)
			got := f.decode(code)
			abs := code &^ Sign
			back := code
			switch {
			case abs > f.inf():
				if got == got {
					t.Fatalf("%s %#04x: decoded to %v, want NaN", f.name, code, got)
				}
				back |= 1 << (f.fracBits - 1)
			case abs == f.inf():
				if !math.IsInf(float64(got), 0) || math.Signbit(float64(got)) != (code != abs) {
					t.Fatalf("%s %#04x: decoded to %v, want an infinity", f.name, code, got)
				}
			default:
				want := float32(f.value(abs))
				if code != abs {
					want = float32(math.Copysign(float64(want), -1))
				}
				if math.Float32bits(got) != math.Float32bits(want) {
					t.Fatalf("%s %#04x: decoded to %v, want %v", f.name, code, got, want)
				}
			}
			if again := f.encode(got); again != back {
				t.Fatalf("%s %#04x: %v encoded to %#04x, want %#04x", f.name, code, got, again, back)
			}
		}
	}
}

// Encoding rounds to nearest even: on both sides of every code and every midpoint, at float32's own edges, and on a
// million random patterns, NaNs included.
func TestEncodeNearest(t *testing.T) {
	for _, f := range formats {
		check := func(x float32) {
			if x != x {
				if got := f.encode(x); got&^Sign <= f.inf() || got&Sign != uint16(math.Float32bits(x)>>16)&Sign {
					t.Fatalf("%s: NaN %#08x encoded to %#04x", f.name, math.Float32bits(x), got)
				}
				return
			}
			if got, want := f.encode(x), f.nearest(x); got != want {
				t.Fatalf("%s: %v (%#08x) encoded to %#04x, want %#04x", f.name, x, math.Float32bits(x), got, want)
			}
		}
		around := func(x float64) {
			bits := math.Float32bits(float32(x))
			for _, b := range []uint32{bits - 1, bits, bits + 1} {
				check(math.Float32frombits(b &^ (1 << 31)))
				check(math.Float32frombits(b | 1<<31))
			}
		}
		for c := uint16(0); c < f.inf(); c++ {
			around(f.value(c))
			around((f.value(c) + f.value(c+1)) / 2)
		}
		for _, x := range []float64{0, 0x1p-149, 0x1p-126, math.MaxFloat32, math.Inf(1), 65519.99, 65520, 65536} {
			around(x)
		}
		rng := rand.New(rand.NewPCG(1, uint64(f.bias)))
		for range 1 << 19 {
			check(math.Float32frombits(rng.Uint32()))
			// Magnitudes around binary16's range, which few random patterns have.
			check(float32(math.Ldexp(rng.Float64()-0.5, rng.IntN(44)-26)))
		}
	}
}

func TestConversionsDoNotAllocate(t *testing.T) {
	var sink uint16
	for _, f := range formats {
		if n := testing.AllocsPerRun(100, func() { sink += f.encode(f.decode(sink)) }); n != 0 {
			t.Errorf("%s: %v allocations", f.name, n)
		}
	}
}

func BenchmarkToFloat32(b *testing.B) {
	var sum float32
	for i := range b.N {
		sum += ToFloat32(uint16(i))
	}
	_ = sum
}

func BenchmarkFromFloat32(b *testing.B) {
	var sum uint16
	for i := range b.N {
		sum += FromFloat32(float32(i) * 0.01)
	}
	_ = sum
}
