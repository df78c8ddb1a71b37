package gguf

import "math/bits"

// Hard limits. Each is far above every published model; a file beyond one is refused before anything is allocated.
const (
	maxKeys         = 65536     // metadata entries
	maxTensors      = 65536     // tensors
	maxKeyBytes     = 65535     // a key's name
	maxNameBytes    = 63        // a tensor's name
	maxStringBytes  = 16 << 20  // a string value
	maxTemplate     = 1 << 20   // a chat template
	maxElements     = 64 << 20  // an array's elements
	maxMetaBytes    = 256 << 20 // header, metadata and tensor directory together
	maxDims         = 4         // a tensor's dimensions
	maxDim          = 1 << 40   // one dimension
	maxTensorValues = 1 << 44   // a tensor's values
	maxDataOffset   = 1 << 50   // a tensor's offset in the data section
	minAlignment    = 8         // the format asks for a multiple of 8
	maxAlignment    = 1 << 20
	defaultAlign    = 32 // without general.alignment
)

// headerBytes is the size of magic, version and the two counts.
const headerBytes = 24

// The smallest entries that a file can hold: they bound the counts that its remaining bytes can justify.
const (
	minKeyBytes    = 8 + 1 + 4 + 1         // key of one byte, value of one byte
	minTensorBytes = 8 + 1 + 4 + 0 + 4 + 8 // name of one byte, no dimensions
	minStringBytes = 8                     // a string's length
)

// mulOK returns a*b and whether it fits.
func mulOK(a, b uint64) (uint64, bool) {
	hi, lo := bits.Mul64(a, b)
	return lo, hi == 0
}

// addOK returns a+b and whether it fits.
func addOK(a, b uint64) (uint64, bool) {
	sum, carry := bits.Add64(a, b, 0)
	return sum, carry == 0
}

// alignUpOK returns n rounded up to a multiple of align, a power of two, and whether it fits.
func alignUpOK(n, align uint64) (uint64, bool) {
	sum, ok := addOK(n, align-1)
	return sum &^ (align - 1), ok
}
