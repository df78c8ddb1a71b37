package quant

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
)

// stream is SplitMix64 (Steele, Lea, Flood 2014): integers alone, so golden values hold on every machine.
type stream uint64

func (s *stream) next() uint64 {
	*s += 0x9e3779b97f4a7c15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (s *stream) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(s.next() >> 56)
	}
	return b
}

// bell returns n values of a bell shape with standard deviation 1: sums of 12 uniform integers, exact in float64.
func (s *stream) bell(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		var sum int64
		for range 12 {
			sum += int64(s.next()>>44) - 1<<19
		}
		x[i] = float32(float64(sum) * 0x1p-20)
	}
	return x
}

// hashFloats is the SHA-256 of the little-endian bit patterns, with one pattern for all NaNs: which of its operands'
// payloads a sum or product of NaNs keeps is the instruction set's affair.
func hashFloats(x []float32) string {
	b := make([]byte, 0, 4*len(x))
	for _, v := range x {
		bits := math.Float32bits(v)
		if v != v {
			bits = 0x7fc00000
		}
		b = binary.LittleEndian.AppendUint32(b, bits)
	}
	return hashBytes(b)
}

func hashBytes(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
