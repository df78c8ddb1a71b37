package cpu

import (
	"path/filepath"
	"strconv"
	"strings"
)

// LastCache returns the bytes of the largest cache that one processor reads through; 0 if the system does not say.
func LastCache() int64 { return lastCacheFrom("/") }

// lastCacheFrom reads sysfs below root. Processors of different kinds share their last cache or have the largest behind
// the fast ones: all are looked at.
func lastCacheFrom(root string) int64 {
	files, err := filepath.Glob(filepath.Join(root, "sys/devices/system/cpu/cpu[0-9]*/cache/index[0-9]*/size"))
	if err != nil {
		return 0
	}
	most := int64(0)
	for _, f := range files {
		if strings.HasPrefix(readText(filepath.Join(filepath.Dir(f), "type")), "Instruction") {
			continue
		}
		text := readText(f)
		unit := int64(1)
		if len(text) > 0 {
			switch text[len(text)-1] {
			case 'K':
				unit, text = 1<<10, text[:len(text)-1]
			case 'M':
				unit, text = 1<<20, text[:len(text)-1]
			}
		}
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 && n < 1<<40/unit {
			most = max(most, n*unit)
		}
	}
	return most
}
