package cpu

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// system writes a file tree and returns its root.
func system(t *testing.T, files map[string]string) string {
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

func ids(n int) []int {
	var is []int
	for i := range n {
		is = append(is, i)
	}
	return is
}

func TestThreadsByTopology(t *testing.T) {
	perCPU := func(file string, values ...int) map[string]string {
		m := map[string]string{}
		for i, v := range values {
			m["sys/devices/system/cpu/cpu"+strconv.Itoa(i)+"/"+file] = strconv.Itoa(v) + "\n"
		}
		return m
	}
	with := func(m map[string]string, more ...string) map[string]string {
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	smt := map[string]string{}
	for i, s := range []string{"0,4", "1,5", "2,6", "3,7", "0,4", "1,5", "2,6", "3,7"} {
		smt["sys/devices/system/cpu/cpu"+strconv.Itoa(i)+"/topology/thread_siblings_list"] = s
	}
	for _, c := range []struct {
		name  string
		files map[string]string
		ids   []int
		want  int
	}{
		{"nothing known", nil, ids(4), 4},
		{"RK3588: four A76 beside four A55", perCPU("cpu_capacity", 411, 411, 411, 411, 1024, 1024, 1024, 1024), ids(8), 4},
		{"three kinds, two of them fast", perCPU("cpu_capacity", 290, 290, 760, 760, 1024), ids(5), 3},
		{"clock only", perCPU("cpufreq/cpuinfo_max_freq", 1800000, 1800000, 2400000, 2400000), ids(4), 4},
		{"clock only, slow little cores", perCPU("cpufreq/cpuinfo_max_freq", 1200000, 1200000, 2400000, 2400000), ids(4), 2},
		{"two threads a core", smt, ids(8), 4},
		{"affinity to two threads of one core", smt, []int{1, 5}, 1},
		{"group of 1.5", with(perCPU("cpu_capacity", 1024, 1024, 1024, 1024), "proc/self/cgroup", "0::/a/b\n", "sys/fs/cgroup/a/cpu.max", "150000 100000\n"), ids(4), 2},
		{"smallest of the ancestors", map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "100000 100000", "sys/fs/cgroup/a/b/cpu.max": "300000 100000"}, ids(4), 1},
		{"no limit", map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000"}, ids(4), 4},
		{"a tenth of a processor", map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "10000 100000"}, ids(4), 1},
		{"version 1", map[string]string{"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, ids(4), 2},
		{"nonsense", map[string]string{"sys/fs/cgroup/cpu.max": "-5 0", "sys/devices/system/cpu/cpu0/cpu_capacity": "many", "proc/self/cgroup": "0::/../../../etc\n"}, ids(2), 2},
	} {
		got := detectFrom(system(t, c.files), c.ids)
		if got.Threads() != c.want {
			t.Errorf("%s: %d threads (%s), want %d", c.name, got.Threads(), got, c.want)
		}
	}
}

// Little cores are left out, and only they.
func TestFastLeavesOutLittleCores(t *testing.T) {
	for _, c := range []struct{ capacity, want []int }{
		{[]int{0, 0, 0}, []int{0, 1, 2}},
		{[]int{411, 411, 1024, 1024}, []int{2, 3}},
		{[]int{1024, 760, 290}, []int{0, 1}},
	} {
		top := Topology{}
		for i, v := range c.capacity {
			top.Cores = append(top.Cores, Core{ID: i, Capacity: v, Siblings: i})
		}
		if got := top.Fast(); !slices.Equal(got, c.want) {
			t.Errorf("capacities %v: fast are %v, want %v", c.capacity, got, c.want)
		}
	}
}

func TestThisMachineHasAtLeastOneThread(t *testing.T) {
	d := Detect()
	if d.Threads() < 1 || len(d.Cores) < 1 {
		t.Fatalf("%+v", d)
	}
	t.Log(d, Features())
}
