//go:build !linux

package cpu

// allowed: unknown, all processors count.
func allowed() []int { return nil }

// Confine does nothing: where threads run is the system's choice.
func Confine([]int) error { return nil }
