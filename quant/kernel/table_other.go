//go:build !amd64 && !arm64

package kernel

// archTables returns the variants of this architecture: none, the portable code is all there is.
func archTables() []*Table { return nil }
