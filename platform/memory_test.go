package platform

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// system writes a file tree and returns its root.
func system(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestMemoryOfAMachine(t *testing.T) {
	const meminfo = "MemTotal:        8000000 kB\nMemFree:          500000 kB\nMemAvailable:    6000000 kB\nBuffers:  100 kB\nCached: 200 kB\n" +
		"SwapFree:         1000 kB\nHugePages_Total:       0\n"
	const kB = 1024
	v1 := "9:memory:/docker/x\n0::/ignored\n"
	for _, c := range []struct {
		name   string
		files  map[string]string
		want   Memory
		usable int64
	}{
		{"nothing known", nil, Memory{}, 0},
		{"no control group", map[string]string{"proc/meminfo": meminfo}, Memory{Total: 8000000 * kB, Available: 6000000 * kB, SwapFree: 1000 * kB}, 6000000 * kB},
		{"a kernel without MemAvailable", map[string]string{"proc/meminfo": "MemTotal: 1000 kB\nMemFree: 500 kB\nBuffers: 100 kB\nCached: 200 kB\n"},
			Memory{Total: 1000 * kB, Available: 800 * kB}, 800 * kB},
		{"no limit", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n"},
			Memory{Total: 8000000 * kB, Available: 6000000 * kB, SwapFree: 1000 * kB}, 6000000 * kB},
		{"limit of the group; its page cache can go", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "1000000\n", "sys/fs/cgroup/a/b/memory.current": "700000\n",
			"sys/fs/cgroup/a/b/memory.stat": "anon 100000\ninactive_file 300000\nactive_file 100000\n"},
			Memory{Total: 8000000 * kB, Available: 6000000 * kB, SwapFree: 1000 * kB, Limit: 1000000, LimitLeft: 700000}, 700000},
		{"the ancestor has less left", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "1000000\n", "sys/fs/cgroup/a/b/memory.current": "0\n",
			"sys/fs/cgroup/a/memory.max": "2000000\n", "sys/fs/cgroup/a/memory.current": "1900000\n"},
			Memory{Total: 8000000 * kB, Available: 6000000 * kB, SwapFree: 1000 * kB, Limit: 2000000, LimitLeft: 100000}, 100000},
		{"over the limit", map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1000\n", "sys/fs/cgroup/memory.current": "5000\n"},
			Memory{Limit: 1000}, 0},
		{"version 1", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": v1, "sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes": "5000000\n",
			"sys/fs/cgroup/memory/docker/x/memory.usage_in_bytes": "2000000\n", "sys/fs/cgroup/memory/docker/x/memory.stat": "inactive_file 7\ntotal_inactive_file 500000\n"},
			Memory{Total: 8000000 * kB, Available: 6000000 * kB, SwapFree: 1000 * kB, Limit: 5000000, LimitLeft: 3500000}, 3500000},
		{"version 1 without a limit", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": v1,
			"sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes": "9223372036854771712\n"},
			Memory{Total: 8000000 * kB, Available: 6000000 * kB, SwapFree: 1000 * kB}, 6000000 * kB},
		{"nonsense", map[string]string{"proc/meminfo": "MemTotal: many kB\nMemAvailable: -5 kB\nMemFree: 99999999999999999999 kB\nSwapFree: 9223372036854775807 kB\n",
			"proc/self/cgroup": "::\n0::/../../etc\n", "sys/fs/cgroup/memory.max": "-7\n"}, Memory{}, 0},
	} {
		got := memoryFrom(system(t, c.files))
		usable, known := got.Usable()
		if got != c.want || usable != c.usable || known != (c.want != Memory{}) {
			t.Errorf("%s:\n got %+v, usable %d (known: %v)\nwant %+v, usable %d", c.name, got, usable, known, c.want, c.usable)
		}
	}
}

func TestThisMachineHasMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("memory is read on linux only")
	}
	m := ReadMemory()
	if _, known := m.Usable(); m.Total <= 0 || m.Available <= 0 || m.Available > m.Total || !known {
		t.Errorf("%+v", m)
	}
}
