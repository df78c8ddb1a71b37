package platform

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// mapping maps a file of n pages of random-looking bytes.
func mapping(t *testing.T, pages int) (path string, b []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "pages")
	data := make([]byte, pages*os.Getpagesize())
	for i := range data {
		data[i] = byte(i * i >> 3)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, err = MapReadOnly(f, int64(len(data))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Unmap(b); err != nil {
			t.Error(err)
		}
	})
	return path, b
}

// statusOf returns a number of /proc/self/status, in its unit.
func statusOf(t *testing.T, key string) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if v, ok := strings.CutPrefix(line, key+":"); ok {
			n, err := strconv.Atoi(strings.Fields(v)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("/proc/self/status has no %s", key)
	return 0
}

// Pages that are populated are resident, from any byte to any byte, and a part that a file has lost is an error.
func TestPopulate(t *testing.T) {
	const pages = 1024
	path, b := mapping(t, pages)
	before := statusOf(t, "RssFile")
	if err := Populate(b[5 : len(b)-5]); err != nil {
		t.Fatal(err)
	}
	if grown := statusOf(t, "RssFile") - before; grown < pages*os.Getpagesize()/1024/2 {
		t.Errorf("%d KiB more of files are resident, want %d", grown, pages*os.Getpagesize()/1024)
	}
	if err := Populate(nil); err != nil {
		t.Error(err)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if err := Populate(b); err == nil {
		t.Error("a file that was cut short: no error")
	}
}

func TestLockPages(t *testing.T) {
	const pages = 8 // below the default limit
	_, b := mapping(t, pages)
	before := statusOf(t, "VmLck")
	if err := LockPages(b[1:]); err != nil {
		t.Skip("this process may not lock memory: ", err)
	}
	if got := statusOf(t, "VmLck") - before; got != pages*os.Getpagesize()/1024 {
		t.Errorf("%d KiB locked, want %d", got, pages*os.Getpagesize()/1024)
	}
	if err := UnlockPages(b[1:]); err != nil {
		t.Error(err)
	}
	if got := statusOf(t, "VmLck"); got != before {
		t.Errorf("%d KiB locked after UnlockPages, %d before LockPages", got, before)
	}
}
