package cpu

import "testing"

func TestLastCacheIsTheLargestForData(t *testing.T) {
	const dir = "sys/devices/system/cpu/cpu"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"unknown", nil, 0},
		{"three levels", map[string]string{dir + "0/cache/index0/size": "32K\n", dir + "0/cache/index2/size": "1024K\n", dir + "0/cache/index3/size": "32M\n"}, 32 << 20},
		{"little and big", map[string]string{dir + "0/cache/index2/size": "128K\n", dir + "4/cache/index2/size": "512K\n"}, 512 << 10},
		{"instructions do not count", map[string]string{dir + "0/cache/index0/size": "32K\n", dir + "0/cache/index1/size": "64K\n", dir + "0/cache/index1/type": "Instruction\n"}, 32 << 10},
		{"nonsense", map[string]string{dir + "0/cache/index0/size": "-3K\n", dir + "1/cache/index0/size": "K", dir + "2/cache/index0/size": "99999999999M"}, 0},
	} {
		if got := lastCacheFrom(system(t, c.files)); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
