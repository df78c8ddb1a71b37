package kvcache

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// Hash is a SHA-256 value of section 3 of FORMAT.md.
type Hash [32]byte

// Fingerprint names everything that the numbers in a block depend on: weights, hyper-parameters, RoPE, kernel epoch.
// The caller computes it. The geometry need not be part of it: the store adds it.
type Fingerprint [32]byte

const blockDomain = "kvasir kv block 1\n"

// recipeHash names a geometry.
func recipeHash(recipe []byte) Hash {
	return sha256.Sum256(append([]byte("kvasir kv recipe 1\n"), recipe...))
}

// rootHash is the parent of the first block of every path with this salt.
func rootHash(fp Fingerprint, recipe Hash, salt []byte) Hash {
	b := append([]byte("kvasir kv root 1\n"), fp[:]...)
	b = append(b, recipe[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(salt)))
	return sha256.Sum256(append(b, salt...))
}

const stateDomain = "kvasir kv state 1\n"

// stateHash names the state behind the ids, fewer than a block, that follow parent.
func stateHash(parent *Hash, ids []int32) Hash { return chainHash(stateDomain, parent, ids) }

// pathHash continues the chain by one block of 1 to 64 tokens.
func pathHash(parent *Hash, ids []int32) Hash { return chainHash(blockDomain, parent, ids) }

func chainHash(domain string, parent *Hash, ids []int32) Hash {
	var a [len(blockDomain) + 32 + 4 + 4*BlockTokens]byte
	b := append(a[:0], domain...)
	b = append(b, parent[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(ids)))
	for _, id := range ids {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	return sha256.Sum256(b)
}

// namespaceID names a fingerprint and recipe.
func namespaceID(fp Fingerprint, recipe Hash) Hash {
	b := append([]byte("kvasir kv namespace 1\n"), fp[:]...)
	return sha256.Sum256(append(b, recipe[:]...))
}

// namespaceDir is the name of the directory of a namespace, below kv/v1.
func namespaceDir(id Hash) string { return "m-" + hex.EncodeToString(id[:8]) }
