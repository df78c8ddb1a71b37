package cpu

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Core is one logical processor that this process may run on.
type Core struct {
	ID       int
	Capacity int // relative speed, 1024 for the fastest kind; 0 if the system does not say
	Siblings int // lowest logical processor on the same physical core
}

// Topology is where this process may run.
type Topology struct {
	Cores []Core  // in order of ID
	Quota float64 // processors that the control group grants; 0 for no limit
	Model string  // the processor's name, "" if unknown
}

// Detect reads the topology from the system. What cannot be read is left at its zero value: every logical processor
// then counts as a fast core of its own.
func Detect() Topology { return detectFrom("/", allowed()) }

// detectFrom reads sysfs, procfs and the control group below root.
func detectFrom(root string, ids []int) Topology {
	t := Topology{Quota: quota(root), Model: modelName(root)}
	if len(ids) == 0 {
		for i := range runtime.NumCPU() {
			ids = append(ids, i)
		}
	}
	fastest := 0
	freq := make([]int, len(ids))
	for i, id := range ids {
		dir := filepath.Join(root, "sys/devices/system/cpu", "cpu"+strconv.Itoa(id))
		c := Core{ID: id, Capacity: readInt(filepath.Join(dir, "cpu_capacity")), Siblings: id}
		if s := firstOfList(readText(filepath.Join(dir, "topology/thread_siblings_list"))); s >= 0 {
			c.Siblings = s
		}
		freq[i] = readInt(filepath.Join(dir, "cpufreq/cpuinfo_max_freq"))
		fastest = max(fastest, freq[i])
		t.Cores = append(t.Cores, c)
	}
	// Kernels without an energy model have no cpu_capacity; the highest clock tells big from little there.
	for i := range t.Cores {
		if t.Cores[i].Capacity == 0 && fastest > 0 {
			t.Cores[i].Capacity = freq[i] * 1024 / fastest
		}
	}
	return t
}

// littleShare is the capacity, relative to the fastest core's, below which a core counts as little: work split evenly
// over cores waits for the slowest one. An A55 beside an A76 is near 0.4; cores of one kind differ by binning only.
const littleShare = 0.7

// Fast returns the logical processors that are not little.
func (t Topology) Fast() []int {
	best := 0
	for _, c := range t.Cores {
		best = max(best, c.Capacity)
	}
	var ids []int
	for _, c := range t.Cores {
		if float64(c.Capacity) >= littleShare*float64(best) {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// Threads returns how many workers use this machine best: one per physical fast core that the process may use, no more
// than the control group grants, at least one.
func (t Topology) Threads() int {
	fast := t.Fast()
	var seen []int
	for _, c := range t.Cores {
		if slices.Contains(fast, c.ID) && !slices.Contains(seen, c.Siblings) {
			seen = append(seen, c.Siblings)
		}
	}
	n := len(seen)
	if t.Quota > 0 {
		n = min(n, int(t.Quota+0.5))
	}
	return max(1, n)
}

// String describes the topology on one line, for doctor and bug reports.
func (t Topology) String() string {
	kinds := map[int]int{}
	for _, c := range t.Cores {
		kinds[c.Capacity]++
	}
	var caps []int
	for c := range kinds {
		caps = append(caps, c)
	}
	slices.SortFunc(caps, func(a, b int) int { return b - a })
	var b strings.Builder
	if t.Model != "" {
		b.WriteString(t.Model + ", ")
	}
	fmt.Fprintf(&b, "%d logical processors", len(t.Cores))
	if len(caps) > 1 {
		for i, c := range caps {
			fmt.Fprintf(&b, "%s%d of capacity %d", [2]string{", ", " ("}[b2i(i == 0)], kinds[c], c)
		}
		b.WriteString(")")
	}
	if t.Quota > 0 {
		fmt.Fprintf(&b, ", limited to %.2f by the control group", t.Quota)
	}
	return b.String()
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// quota reads the processor limit of control group v2, or of v1's cpu controller.
func quota(root string) float64 {
	dir := filepath.Join(root, "sys/fs/cgroup")
	group := "/"
	for _, line := range strings.Split(readText(filepath.Join(root, "proc/self/cgroup")), "\n") {
		if g, ok := strings.CutPrefix(line, "0::"); ok {
			group = g
		}
	}
	// A limit of any ancestor holds; the smallest counts.
	least := 0.0
	for g := filepath.Clean("/" + group); ; g = filepath.Dir(g) {
		f := strings.Fields(readText(filepath.Join(dir, g, "cpu.max")))
		if len(f) == 2 {
			least = smaller(least, f[0], f[1])
		}
		if g == "/" {
			break
		}
	}
	v1 := filepath.Join(dir, "cpu")
	return smaller(least, readText(filepath.Join(v1, "cpu.cfs_quota_us")), readText(filepath.Join(v1, "cpu.cfs_period_us")))
}

// smaller returns the smaller limit of have (0: none) and max/period, if those are numbers.
func smaller(have float64, max, period string) float64 {
	m, err1 := strconv.ParseFloat(max, 64)
	p, err2 := strconv.ParseFloat(period, 64)
	if err1 != nil || err2 != nil || m <= 0 || p <= 0 {
		return have
	}
	if q := m / p; have == 0 || q < have {
		return q
	}
	return have
}

func modelName(root string) string {
	if s := readText(filepath.Join(root, "proc/device-tree/model")); s != "" {
		return strings.Trim(s, "\x00")
	}
	for _, line := range strings.Split(readText(filepath.Join(root, "proc/cpuinfo")), "\n") {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// readText returns a small file's contents without surrounding space, "" if it cannot be read.
func readText(path string) string {
	b, err := os.ReadFile(path)
	if err != nil || len(b) > 1<<20 {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func readInt(path string) int {
	n, err := strconv.Atoi(readText(path))
	if err != nil || n < 0 || n > 1<<30 {
		return 0
	}
	return n
}

// firstOfList returns the first number of a list like "0-3,8", -1 if there is none.
func firstOfList(s string) int {
	end := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(s)
	}
	n, err := strconv.Atoi(s[:end])
	if err != nil {
		return -1
	}
	return n
}
