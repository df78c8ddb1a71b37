//go:build !linux

package platform

import "os"

// Limits knows none on this system.
func Limits() []Limit { return nil }

// FileSystem cannot be asked on this system.
func FileSystem(path string) string { return "" }

// Writable judges by the permission bits.
func Writable(path string) error {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm()&0o222 == 0 {
		return os.ErrPermission
	}
	return err
}

// LockHolder cannot be asked on this system.
func LockHolder(path string) (pid int, err error) { return 0, ErrUnsupported }

// ProcessName knows none on this system.
func ProcessName(pid int) string { return "" }

// System cannot be asked on this system.
func System() string { return "" }
