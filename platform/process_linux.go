package platform

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// ProcessStart returns when this process was started, to within a clock tick (10 ms), from /proc.
func ProcessStart() (time.Time, bool) {
	b, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return time.Time{}, false
	}
	// The second field, the command's name, may hold spaces: count behind its closing parenthesis (proc_pid_stat(5)).
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	const startTime = 22 - 3
	if len(f) <= startTime {
		return time.Time{}, false
	}
	ticks, err := strconv.ParseInt(string(f[startTime]), 10, 64)
	var now unix.Timespec
	if err != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) != nil {
		return time.Time{}, false
	}
	const ticksPerSecond = 100 // USER_HZ, fixed by Linux's interface
	age := time.Duration(now.Nano()) - time.Duration(ticks)*(time.Second/ticksPerSecond)
	return time.Now().Add(-age), true
}
