package guardmem

import (
	"os"
	"regexp"
	"runtime"
)

// x86 matches what /proc/cpuinfo says on x86.
var x86 = regexp.MustCompile(`vendor_id\s*: (GenuineIntel|AuthenticAMD)`)

// Emulated reports whether this program for another processor runs on an x86 one under user-mode emulation, which
// reports a bus error at address 0, where Go takes it for a nil pointer.
func Emulated() bool {
	b, err := os.ReadFile("/proc/cpuinfo")
	return err == nil && runtime.GOARCH != "amd64" && runtime.GOARCH != "386" && x86.Match(b)
}
