package kvcache

import "sync/atomic"

// Stats are counters since the store was opened, or the namespace made.
type Stats struct {
	Blocks        int   // in the index
	States        int   // snapshots in the index
	UsedBytes     int64 // allocated on disk for segments, of all namespaces
	SealedBlocks  uint64
	StoredBlocks  uint64 // FULL blocks written
	PackedBlocks  uint64 // PACKED blocks written
	SharedBlocks  uint64 // sealed, found to be there already
	MemoryBlocks  uint64 // sealed, not written: no disk, or no room
	EvictedBlocks uint64
	Verified      uint64 // blocks whose checksums were compared
	Damaged       uint64 // blocks discarded, or left without the planes of windowed layers
	ReusedTokens  uint64 // sum of the results of Match
	FromStore     uint64 // of these, not in the sequence already

	PayloadBytes uint64 // written: rows
	HeaderBytes  uint64 // written: slot headers, superblocks, META
	PunchedBytes uint64 // given back: planes that no window reaches
	Syncs        uint64
}

type counters struct {
	sealed, stored, packed, shared, memory, evicted atomic.Uint64
	verifiedBlocks, damagedBlocks                   atomic.Uint64
	reusedTokens, matchedFromStore                  atomic.Uint64
	payloadBytes, headerBytes, punched, syncs       atomic.Uint64
}

func (c *counters) snapshot() Stats {
	return Stats{
		SealedBlocks:  c.sealed.Load(),
		StoredBlocks:  c.stored.Load(),
		PackedBlocks:  c.packed.Load(),
		SharedBlocks:  c.shared.Load(),
		MemoryBlocks:  c.memory.Load(),
		EvictedBlocks: c.evicted.Load(),
		Verified:      c.verifiedBlocks.Load(),
		Damaged:       c.damagedBlocks.Load(),
		ReusedTokens:  c.reusedTokens.Load(),
		FromStore:     c.matchedFromStore.Load(),
		PayloadBytes:  c.payloadBytes.Load(),
		HeaderBytes:   c.headerBytes.Load(),
		PunchedBytes:  c.punched.Load(),
		Syncs:         c.syncs.Load(),
	}
}

// Stats returns the blocks of this namespace, and the counters of its store.
func (n *Namespace) Stats() Stats {
	s := n.stats.snapshot()
	if n.disk != nil {
		n.disk.store.mu.Lock()
		s.UsedBytes = n.disk.store.used
		n.disk.store.mu.Unlock()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	s.Blocks, s.States = len(n.blocks), len(n.states)
	return s
}
