package sample

// random is SplitMix64 (Steele, Lea and Flood 2014) written by position: number i of a seed is mix(seed + (i+1)*gamma).
// The position is all there is to save.
type random struct{ seed, draws uint64 }

// uniform returns the next number in [0, 1), a multiple of 2^-53.
func (r *random) uniform() float64 {
	r.draws++
	z := r.seed + r.draws*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	return float64(z>>11) * (1.0 / (1 << 53))
}
