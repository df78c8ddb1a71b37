package cpu

import "golang.org/x/sys/unix"

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
