//go:build !linux

package platform

import "fmt"

// Populate does nothing on this system: pages are read when they are used.
func Populate(b []byte) error { return nil }

// HugePages is not known on this system.
func HugePages(b []byte) {}

// LockPages is not supported on this system.
func LockPages(b []byte) error { return fmt.Errorf("lock memory: %w", ErrUnsupported) }

// UnlockPages is not supported on this system.
func UnlockPages(b []byte) error { return fmt.Errorf("unlock memory: %w", ErrUnsupported) }
