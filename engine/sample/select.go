package sample

import (
	"cmp"
	"math"
	"slices"
)

// candidate is a token that may be drawn.
type candidate struct {
	logit float32
	id    int32
}

// before is the order of candidates: the highest logit first, the lowest id where logits are equal.
func before(a, b candidate) int {
	return cmp.Or(cmp.Compare(b.logit, a.logit), cmp.Compare(a.id, b.id))
}

// best returns the likeliest token, or -1 if logits hold NaN or +Inf or nothing but -Inf.
func best(logits []float32) int32 {
	at, top := int32(-1), float32(math.Inf(-1))
	for id, x := range logits {
		if !(x <= top) { // greater, or NaN
			if !(x <= math.MaxFloat32) {
				return -1
			}
			at, top = int32(id), x
		}
	}
	return at
}

// topK fills dst with the k likeliest tokens, sorted, without those at -Inf: a heap whose root is the worst kept.
// It reports false if logits hold NaN or +Inf.
func topK(dst []candidate, logits []float32, k int) ([]candidate, bool) {
	h := dst[:0]
	floor := float32(math.Inf(-1))
	for id, x := range logits {
		if x <= floor { // an equal logit with a higher id is worse
			continue
		}
		if !(x <= math.MaxFloat32) {
			return h, false
		}
		c := candidate{x, int32(id)}
		if len(h) < k {
			h = append(h, c)
			if len(h) == k {
				for i := k/2 - 1; i >= 0; i-- {
					sink(h, i)
				}
				floor = h[0].logit
			}
			continue
		}
		h[0] = c
		sink(h, 0)
		floor = h[0].logit
	}
	slices.SortFunc(h, before)
	return h, true
}

// sink restores the heap below i: each element is worse than those below it.
func sink(h []candidate, i int) {
	for {
		c := 2*i + 1
		if c >= len(h) {
			return
		}
		if c+1 < len(h) && before(h[c+1], h[c]) > 0 {
			c++
		}
		if before(h[i], h[c]) >= 0 {
			return
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}

// within fills dst with the tokens whose logit is at least top-depth, in order of id, without those at -Inf.
func within(dst []candidate, logits []float32, top float32, depth float64) []candidate {
	dst = dst[:0]
	floor := float64(top) - depth
	for id, x := range logits {
		if float64(x) >= floor && x >= -math.MaxFloat32 {
			dst = append(dst, candidate{x, int32(id)})
		}
	}
	return dst
}

// A histogram of probability over the distance from the top logit finds where a share of it is reached without sorting
// everything: nBuckets steps of bucketStep, and all that lies deeper in the last.
const (
	nBuckets   = 4096
	bucketStep = 1.0 / 64
)

func bucketOf(top, x float32) int {
	return int(min((float64(top)-float64(x))/bucketStep, nBuckets-1))
}

// topShare fills dst with the fewest likeliest tokens whose probabilities reach share: the ones of the buckets that
// belong to it as a whole in order of id, then those of the last bucket, sorted. top is the highest logit.
func topShare(dst []candidate, logits []float32, top float32, share float64) []candidate {
	var mass [nBuckets]float64
	total := 0.0
	for _, x := range logits {
		if w := expNeg(float64(x) - float64(top)); w > 0 {
			mass[bucketOf(top, x)] += w
			total += w
		}
	}
	need, sum, last := float64(total*share), 0.0, 0
	for last < nBuckets-1 && sum+mass[last] < need {
		sum += mass[last]
		last++
	}
	dst = dst[:0]
	if last > 0 {
		for id, x := range logits {
			if x >= -math.MaxFloat32 && bucketOf(top, x) < last {
				dst = append(dst, candidate{x, int32(id)})
			}
		}
	}
	whole := len(dst)
	for id, x := range logits {
		if x >= -math.MaxFloat32 && bucketOf(top, x) == last {
			dst = append(dst, candidate{x, int32(id)})
		}
	}
	slices.SortFunc(dst[whole:], before)
	for i, c := range dst[whole:] {
		if sum += expNeg(float64(c.logit) - float64(top)); sum >= need {
			return dst[:whole+i+1]
		}
	}
	return dst
}
