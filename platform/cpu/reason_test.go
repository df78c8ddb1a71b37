package cpu

import (
	"strings"
	"testing"
)

func TestReasonAgreesWithThreads(t *testing.T) {
	cores := func(capacities ...int) (cs []Core) {
		for i, c := range capacities {
			cs = append(cs, Core{ID: i, Capacity: c, Siblings: i})
		}
		return cs
	}
	smt := []Core{{0, 0, 0}, {1, 0, 1}, {2, 0, 0}, {3, 0, 1}}
	for _, c := range []struct {
		t     Topology
		n     int
		words string
	}{
		{Topology{Cores: cores(0, 0, 0)}, 3, "one for each of 3 cores"},
		{Topology{Cores: cores(400, 400, 1024, 1024)}, 2, "one for each of 2 fast cores, none for 2 slow ones"},
		{Topology{Cores: smt}, 2, "one for each of 2 cores, whose 4 hardware threads share them"},
		{Topology{Cores: cores(0, 0, 0, 0), Quota: 1.5}, 2, "one for each of 4 cores, cut to 2 by the control group's quota of 1.50"},
		{Topology{Cores: cores(0, 0), Quota: 8}, 2, "one for each of 2 cores"},
	} {
		if n := c.t.Threads(); n != c.n || c.t.Reason() != c.words {
			t.Errorf("%d threads because %q, want %d because %q", n, c.t.Reason(), c.n, c.words)
		}
	}
	if r := Detect().Reason(); !strings.HasPrefix(r, "one for each of ") {
		t.Errorf("this machine: %q", r)
	}
}
