package synth

import (
	"encoding/binary"
	"math/bits"
)

// golden is the increment of splitmix64.
const golden = 0x9E3779B97F4A7C15

// Rand is splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014), started from a name,
// so that each tensor's contents depend on nothing but its name. It is for weights that mean nothing, not for secrets.
type Rand struct{ state uint64 }

// NewRand starts the stream of a name: its 64-bit FNV-1a hash is the state.
func NewRand(name string) *Rand {
	h := uint64(0xcbf29ce484222325)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 0x100000001b3
	}
	return &Rand{h}
}

// Uint64 returns the next 64 bits.
func (r *Rand) Uint64() uint64 {
	r.state += golden
	z := r.state
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// Float32 returns a value from -1 to below 1, a multiple of 2^-23.
func (r *Rand) Float32() float32 {
	return float32(r.Uint64()>>40)/(1<<23) - 1
}

// Read fills p. Eight bytes cost one multiplication of 64 by 64 bits to 128 (wyrand's mixer), which is what makes a
// model of a gigabyte a matter of a second.
func (r *Rand) Read(p []byte) {
	const a, b = 0xA0761D6478BD642F, 0xE7037ED1A0B428DB
	s := r.state
	for len(p) >= 8 {
		s += a
		hi, lo := bits.Mul64(s, s^b)
		binary.LittleEndian.PutUint64(p, hi^lo)
		p = p[8:]
	}
	if len(p) > 0 {
		s += a
		hi, lo := bits.Mul64(s, s^b)
		for i, x := 0, hi^lo; i < len(p); i, x = i+1, x>>8 {
			p[i] = byte(x)
		}
	}
	r.state = s
}
