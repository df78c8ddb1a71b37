//go:build !linux

package platform

import "time"

// ProcessStart: unknown here.
func ProcessStart() (time.Time, bool) { return time.Time{}, false }
