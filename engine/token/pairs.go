package token

import (
	"math/bits"
	"math/rand/v2"
)

// noRank is the rank of a pair that does not merge.
const noRank = ^uint32(0)

// pairTable maps a pair of symbol ids to the rank of its merge and the id of the result: open addressing on one array.
// The hash is seeded per process against files made to collide; results do not depend on the seed.
type pairTable struct {
	mask         uint32
	seedA, seedB uint64
	slots        []pairSlot
}

type pairSlot struct {
	left1  uint32 // left id + 1, 0 when free
	right  uint32
	rank   uint32
	result int32
}

func newPairTable(n int) pairTable {
	size := tableSize(n)
	return pairTable{mask: uint32(size - 1), seedA: rand.Uint64(), seedB: rand.Uint64() | 1, slots: make([]pairSlot, size)}
}

func (p *pairTable) home(left, right int32) uint32 {
	key := uint64(uint32(left))<<32 | uint64(uint32(right))
	hi, lo := bits.Mul64(key^p.seedA, p.seedB)
	return uint32(hi^lo) & p.mask
}

// add enters a merge; the first rank given to a pair stays.
func (p *pairTable) add(left, right int32, rank uint32, result int32) {
	for i := p.home(left, right); ; i = (i + 1) & p.mask {
		s := &p.slots[i]
		if s.left1 == 0 {
			*s = pairSlot{left1: uint32(left) + 1, right: uint32(right), rank: rank, result: result}
			return
		}
		if s.left1 == uint32(left)+1 && s.right == uint32(right) {
			return
		}
	}
}

// find returns the rank and result of a merge, or noRank.
func (p *pairTable) find(left, right int32) (uint32, int32) {
	for i := p.home(left, right); ; i = (i + 1) & p.mask {
		s := &p.slots[i]
		if s.left1 == 0 {
			return noRank, -1
		}
		if s.left1 == uint32(left)+1 && s.right == uint32(right) {
			return s.rank, s.result
		}
	}
}
