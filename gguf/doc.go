// Package gguf reads and writes GGUF model files, versions 2 and 3, little-endian: typed metadata and a directory of
// tensors whose data stay where they are, in the mapped file.
//
// Parse takes bytes and trusts none of them: one bounded cursor reads the metadata, every count, length, offset,
// dimension and alignment is checked before it is used or allocated for, and what is wrong comes back as an *Error that
// names the field, what was found and what was expected. Open maps a file read-only and parses it.
//
// Lifetimes. The metadata section (keys, values, vocabulary, tensor names) is copied once, as one string, to the heap:
// keys, values and names may be kept for ever. Tensor data are never copied: the slices that File.Data returns point
// into the bytes given to Parse, for an opened model into the mapping, and are valid until Model.Close.
//
// A File is immutable after Parse and may be used by any number of goroutines.
//
// The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Where that text leaves a choice, or where
// this package is stricter than others, the comment at the check says so.
package gguf
