package cpu

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// allowed returns the logical processors of this process's affinity mask, nil if it cannot be read.
func allowed() []int {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	var ids []int
	for i := 0; i < len(set)*64 && len(ids) < set.Count(); i++ {
		if set.IsSet(i) {
			ids = append(ids, i)
		}
	}
	return ids
}

// Confine lets the threads of this process, those to come included, run on these logical processors only.
func Confine(ids []int) error {
	var set unix.CPUSet
	for _, id := range ids {
		set.Set(id)
	}
	for done := map[string]bool{}; ; {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		n := len(done)
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil || done[t.Name()] {
				continue
			}
			done[t.Name()] = true
			if err := unix.SchedSetaffinity(id, &set); err != nil && err != unix.ESRCH {
				return err
			}
		}
		if len(done) == n { // no thread has begun since the last look
			return nil
		}
	}
}
