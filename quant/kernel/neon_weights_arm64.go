package kernel

import (
	"math"
	"unsafe"
)

// neonExpTable is what neon_exp_arm64.s loads, in the order of its registers.
var neonExpTable = [...]float32{
	log2e, rounder, ln2Hi, ln2Lo, expP0, expP1, expP2, expP3, expP4, expP5, 1, expMin, expMax, geluCubic, geluScale,
}

// neonExps writes p_t = exp(s_t - m) for t in [lo, hi) to p, which may be s, and returns m and the sum of p.
func neonExps(p, s []float32, lo, hi int) (m, l float32) {
	p, s = p[:hi], s[:hi]
	m = float32(math.Inf(-1))
	n := (hi - lo) &^ 3
	if n > 0 {
		m = neonMax(&s[lo], n)
	}
	for _, v := range s[lo+n : hi] {
		m = max(m, v)
	}
	m += 0
	var sums lanes
	for t := lo; t < hi; {
		if t%16 == 0 && hi-t >= 16 {
			n := (hi - t) &^ 15
			neonExpSum(&p[t], &s[t], n, m, &sums)
			t += n
			continue
		}
		// Part of a group of 16. The other places hold values so low that they add +0.
		var part lanes
		for i := range part {
			part[i] = float32(math.Inf(-1))
		}
		first, end := t%16, min(t&^15+16, hi)
		copy(part[first:], s[t:end])
		neonExpSum(&part[0], &part[0], 16, m, &sums)
		copy(p[t:end], part[first:])
		t = end
	}
	return m, sums.sum()
}

func neonWeightsFloat(s []float32, lo, hi int) (m, l float32) {
	m, l = neonExps(s, s, lo, hi)
	clear(s[:lo])
	clear(s[hi:])
	return m, l
}

func neonWeightsInt8(w []int16, s []float32, vs []byte, lo, hi int) (m, l, ws float32) {
	var tile [TileLen]float32
	vs, visible := vs[:2*hi], w[lo:hi]
	m, l = neonExps(tile[:hi], s, lo, hi)
	n := (hi - lo) &^ 7
	var umax float32
	if n > 0 {
		umax = neonScaleHalf(&tile[lo], &vs[2*lo], n)
	}
	for t := lo + n; t < hi; t++ {
		tile[t] *= fp16At(vs, t)
		umax = max(umax, tile[t])
	}
	clear(w)
	inv := 32767 / umax
	if math.Float32bits(inv) >= infBits {
		return m, l, 0
	}
	if n > 0 {
		neonQuantize16(&visible[0], &tile[lo], n, inv, 32767)
	}
	for i := n; i < len(visible); i++ {
		visible[i] = int16(min(rne(tile[lo+i]*inv), 32767))
	}
	return m, l, umax / 32767
}

// bytesAsInt8 returns the address of b, which is not empty, as codes.
func bytesAsInt8(b []byte) *int8 { return (*int8)(unsafe.Pointer(&b[0])) }
