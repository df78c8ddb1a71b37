package token

import (
	"math/bits"
	"math/rand/v2"
)

// noRank is the rank of a pair that does not merge.
const noRank = ^uint32(0)

// Bits of a symbol id and of a rank in a slot of pairTable.
const (
	symbolBits = 21
	rankBits   = 64 - 2*symbolBits
)

// pairTable maps a pair of symbol ids to the rank of its merge and the id of the result: open addressing on one array
// of 64-bit slots (left, right, rank; 0 when free) and the results by rank. The hash is seeded per process against
// files made to collide; what is found does not depend on the seed.
type pairTable struct {
	mask         uint32
	seedA, seedB uint64
	slots        []uint64
	results      []int32
}

func newPairTable(n int) pairTable {
	size := tableSize(n)
	return pairTable{mask: uint32(size - 1), seedA: rand.Uint64(), seedB: rand.Uint64() | 1,
		slots: make([]uint64, size), results: make([]int32, n)}
}

// pairKey is never 0.
func pairKey(left, right int32) uint64 { return uint64(left+1)<<symbolBits | uint64(right) }

func (p *pairTable) home(key uint64) uint32 {
	hi, lo := bits.Mul64(key^p.seedA, p.seedB)
	return uint32(hi^lo) & p.mask
}

// add enters a merge; the first rank given to a pair stays. Ids are at least 0 and below 1<<symbolBits - 1.
func (p *pairTable) add(left, right int32, rank uint32, result int32) {
	p.results[rank] = result
	key := pairKey(left, right)
	for i := p.home(key); ; i = (i + 1) & p.mask {
		switch p.slots[i] >> rankBits {
		case 0:
			p.slots[i] = key<<rankBits | uint64(rank)
			return
		case key:
			return
		}
	}
}

// find returns the rank and result of a merge, or noRank.
func (p *pairTable) find(left, right int32) (uint32, int32) {
	key := pairKey(left, right)
	for i := p.home(key); ; i = (i + 1) & p.mask {
		s := p.slots[i]
		switch s >> rankBits {
		case 0:
			return noRank, -1
		case key:
			rank := uint32(s & (1<<rankBits - 1))
			return rank, p.results[rank]
		}
	}
}
