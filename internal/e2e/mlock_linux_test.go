package e2e

import (
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// A model that may not be locked in memory is used all the same, and one line of warning names the limit.
func TestLockRefused(t *testing.T) {
	t.Parallel()
	limited := append(program{"sh", "-c", `ulimit -l 64; exec "$0" "$@"`}, kvasir...)
	args := []string{"run", "-m", model(t, "llama"), "--raw", "-n", "5", "--temp", "0", prompt}
	want := kvasir.in(t, t.TempDir(), args...).must(t, 0)
	runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
	const prCapBSetDrop, capIPCLock = 24, 14
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prCapBSetDrop, capIPCLock, 0); errno != 0 && syscall.Getuid() == 0 {
		t.Skip("cannot give up the right to lock any amount of memory: ", errno)
	}
	r := limited.in(t, t.TempDir(), append(args, "--mlock")...).must(t, 0)
	if r.out != want.out || strings.Count(r.err, "\n") != 1 || !strings.Contains(r.err, "RLIMIT_MEMLOCK allows 65536") {
		t.Errorf("expected the answer %q and one line about the limit\n%v", want.out, r)
	}
	r = kvasir.in(t, t.TempDir(), append(args, "--no-mmap")...).must(t, 0)
	if r.out != want.out || r.err != "" {
		t.Errorf("--no-mmap: expected the answer %q\n%v", want.out, r)
	}
}
