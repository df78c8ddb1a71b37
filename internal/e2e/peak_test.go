package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// measureVerb makes the test binary run another program and write down the most memory that it held.
//
// Linux charges a new program with what its parent held when it was started (setmax_mm_hiwater_rss in exec_mmap), and the
// tests that run at the same time make this process as large as they please: so a process in between that holds nothing.
const measureVerb = "measure-peak"

// measure is the process in between: it runs a command and writes its peak, in bytes, to a file.
func measure(file string, command []string) int {
	c := exec.Command(command[0], command[1:]...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, err)
		return 125
	}
	u, ok := c.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		fmt.Fprintln(os.Stderr, "no resource usage of the child")
		return 125
	}
	if err := os.WriteFile(file, strconv.AppendInt(nil, int64(u.Maxrss)*1024, 10), 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 125
	}
	return c.ProcessState.ExitCode()
}

// peak is say with the peak of resident memory, in bytes.
func (p program) peak(t testing.TB, home, stdin string, args ...string) (result, int64) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "peak")
	r := append(program{self, measureVerb, file}, p...).say(t, home, stdin, args...)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v\n%v", err, r)
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return r, n
}

// A peak is the program's own, however large the process of the tests is.
func TestPeakIsTheProgramsOwn(t *testing.T) {
	large := make([]byte, 2*maxBadRSS)
	for i := range large {
		large[i] = 1 // resident
	}
	r, peak := kvasir.peak(t, t.TempDir(), "", "version")
	r.must(t, 0)
	if peak < 1<<20 || peak > maxBadRSS {
		t.Errorf("kvasir version: a peak of %d bytes beside %d bytes of the test", peak, len(large))
	}
	if large[len(large)-1] != 1 {
		t.Error("the test's bytes are gone")
	}
}
