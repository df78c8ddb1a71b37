//go:build !amd64

package kernel

// twins: no variant has one.
func twins() []*Table { return nil }
