package token

import (
	"bytes"
	"hash/maphash"
)

// arena holds byte strings end to end: string i is data[off[i]:off[i+1]].
type arena struct {
	data []byte
	off  []uint32
}

func newArena(n, sizeBytes int) arena {
	a := arena{data: make([]byte, 0, sizeBytes), off: make([]uint32, 1, n+1)}
	return a
}

// seal ends the string that was appended to data.
func (a *arena) seal() { a.off = append(a.off, uint32(len(a.data))) }

// at returns a view of string i that must not be written to.
func (a *arena) at(i int32) []byte { return a.data[a.off[i]:a.off[i+1]:a.off[i+1]] }

// index finds a token id by its bytes: an open-addressing table over an arena, without a string or an allocation per
// entry. The hash is seeded per process, so a file cannot be made to collide; results do not depend on the seed.
type index struct {
	seed  maphash.Seed
	mask  uint32
	slots []indexSlot
	of    *arena
}

type indexSlot struct {
	tag uint32 // upper half of the hash
	id1 int32  // id + 1, 0 when free
}

func newIndex(of *arena, n int) index {
	size := tableSize(n)
	return index{seed: maphash.MakeSeed(), mask: uint32(size - 1), slots: make([]indexSlot, size), of: of}
}

// tableSize returns the power of two at which n entries fill a table by two thirds at most.
func tableSize(n int) int {
	size := 16
	for size < n+n/2 {
		size *= 2
	}
	return size
}

// add enters id unless its bytes are there already; it returns the id that holds them.
func (x *index) add(id int32) int32 {
	key := x.of.at(id)
	h := maphash.Bytes(x.seed, key)
	tag := uint32(h >> 32)
	for i := uint32(h) & x.mask; ; i = (i + 1) & x.mask {
		s := &x.slots[i]
		if s.id1 == 0 {
			*s = indexSlot{tag: tag, id1: id + 1}
			return id
		}
		if s.tag == tag && bytes.Equal(x.of.at(s.id1-1), key) {
			return s.id1 - 1
		}
	}
}

// find returns the id whose bytes are key, or -1.
func (x *index) find(key []byte) int32 {
	h := maphash.Bytes(x.seed, key)
	tag := uint32(h >> 32)
	for i := uint32(h) & x.mask; ; i = (i + 1) & x.mask {
		s := &x.slots[i]
		if s.id1 == 0 {
			return -1
		}
		if s.tag == tag && bytes.Equal(x.of.at(s.id1-1), key) {
			return s.id1 - 1
		}
	}
}
