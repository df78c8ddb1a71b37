package kernel

import "encoding/binary"

// Read reads b, eight bytes at a time, and returns the exclusive or of its little-endian words; a rest of fewer than
// eight bytes is left out. It does nothing else, so its rate is the limit of every product that memory bounds: plain Go
// reads as fast as any vector code on processors that load at least eight bytes a cycle.
func Read(b []byte) uint64 {
	var s0, s1, s2, s3 uint64
	for ; len(b) >= 64; b = b[64:] {
		s0 ^= binary.LittleEndian.Uint64(b) ^ binary.LittleEndian.Uint64(b[8:])
		s1 ^= binary.LittleEndian.Uint64(b[16:]) ^ binary.LittleEndian.Uint64(b[24:])
		s2 ^= binary.LittleEndian.Uint64(b[32:]) ^ binary.LittleEndian.Uint64(b[40:])
		s3 ^= binary.LittleEndian.Uint64(b[48:]) ^ binary.LittleEndian.Uint64(b[56:])
	}
	for ; len(b) >= 8; b = b[8:] {
		s0 ^= binary.LittleEndian.Uint64(b)
	}
	return s0 ^ s1 ^ s2 ^ s3
}
