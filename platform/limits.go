package platform

import "strconv"

// Limit is a limit that the system puts on this process.
type Limit struct {
	Name       string // as getrlimit(2) names it
	Soft, Hard uint64 // NoLimit for none
}

// NoLimit is the value of a limit that is not set.
const NoLimit = ^uint64(0)

// String returns the soft limit.
func (l Limit) String() string {
	if l.Soft == NoLimit {
		return "unlimited"
	}
	return strconv.FormatUint(l.Soft, 10)
}
