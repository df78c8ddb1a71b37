package platform

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Memory is what the machine has and what this process may have of it, in bytes. A field that could not be read is 0.
type Memory struct {
	Total     int64 // physical memory
	Available int64 // what new work can have without swapping, page cache that can be given up included
	SwapFree  int64
	Limit     int64 // the tightest limit of a control group around this process; 0 for none
	LimitLeft int64 // what that limit still allows, page cache that can be given up included; only if Limit is not 0
}

// Usable returns what this process can use without swapping or meeting its limit, and whether that is known.
func (m Memory) Usable() (bytes int64, known bool) {
	if m.Limit > 0 && (m.Available == 0 || m.LimitLeft < m.Available) {
		return m.LimitLeft, true
	}
	return m.Available, m.Available > 0
}

// memoryFrom reads procfs and the control groups, version 2 or version 1's memory controller, below root.
func memoryFrom(root string) Memory {
	info := counters(filepath.Join(root, "proc/meminfo"), ":", 1024)
	m := Memory{Total: info["MemTotal"], Available: info["MemAvailable"], SwapFree: info["SwapFree"]}
	if m.Available == 0 { // kernels before 3.14
		m.Available = info["MemFree"] + info["Buffers"] + info["Cached"]
	}
	v2, v1 := "/", "/"
	text, _ := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	for _, line := range strings.Split(string(text), "\n") {
		f := strings.SplitN(line, ":", 3)
		switch {
		case len(f) < 3:
		case f[0] == "0" && f[1] == "":
			v2 = f[2]
		case f[1] == "memory":
			v1 = f[2]
		}
	}
	mount := filepath.Join(root, "sys/fs/cgroup")
	m.limit(mount, v2, "memory.max", "memory.current", "")
	m.limit(filepath.Join(mount, "memory"), v1, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
	return m
}

// limit takes in the limits of a control group and its ancestors: that of any ancestor holds.
func (m *Memory) limit(mount, group, maxFile, usedFile, prefix string) {
	for g := filepath.Clean("/" + group); ; g = filepath.Dir(g) {
		dir := filepath.Join(mount, g)
		limit, ok := number(filepath.Join(dir, maxFile))
		// Version 1 says "no limit" by a number beyond any memory.
		if ok && limit > 0 && (m.Total == 0 || limit < m.Total) {
			used, _ := number(filepath.Join(dir, usedFile))
			stat := counters(filepath.Join(dir, "memory.stat"), "", 1)
			cache := stat[prefix+"inactive_file"] + stat[prefix+"active_file"]
			left := max(0, limit-max(0, used-cache))
			if m.Limit == 0 || left < m.LimitLeft {
				m.Limit, m.LimitLeft = limit, left
			}
		}
		if g == "/" {
			return
		}
	}
}

// counters reads lines of a name, a number and perhaps a unit. sep ends the name beside space; numbers count unit bytes.
func counters(path, sep string, unit int64) map[string]int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	values := map[string]int64{}
	for _, line := range strings.Split(string(text), "\n") {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		if n, err := strconv.ParseInt(f[1], 10, 64); err == nil && n >= 0 && n <= math.MaxInt64/8/unit {
			values[strings.TrimSuffix(f[0], sep)] = n * unit
		}
	}
	return values
}

// number reads a file that holds one non-negative number.
func number(path string) (int64, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil && n >= 0
}
