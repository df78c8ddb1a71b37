package cpu

import (
	"fmt"
	"slices"
	"strings"
)

// Reason says in words why Threads returns what it does.
func (t Topology) Reason() string {
	best := 0
	for _, c := range t.Cores {
		best = max(best, c.Capacity)
	}
	var cores, fast []int // physical, by their lowest logical processor
	for _, c := range t.Cores {
		if !slices.Contains(cores, c.Siblings) {
			cores = append(cores, c.Siblings)
		}
		if float64(c.Capacity) >= littleShare*float64(best) && !slices.Contains(fast, c.Siblings) {
			fast = append(fast, c.Siblings)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "one for each of %d ", len(fast))
	if len(fast) < len(cores) {
		fmt.Fprintf(&b, "fast cores, none for %d slow ones", len(cores)-len(fast))
	} else {
		b.WriteString("cores")
	}
	if len(cores) < len(t.Cores) {
		fmt.Fprintf(&b, ", whose %d hardware threads share them", len(t.Cores))
	}
	if n := t.Threads(); n < len(fast) {
		fmt.Fprintf(&b, ", cut to %d by the control group's quota of %.2f", n, t.Quota)
	}
	return b.String()
}
