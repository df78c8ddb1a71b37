package config

import "testing"

func TestParseBytes(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "1": 1, "512M": 512 << 20, "8G": 8 << 30, "8g": 8 << 30, "8GiB": 8 << 30, "8GB": 8 << 30, "2T": 2 << 40, "3k": 3 << 10, "7B": 7,
		"4194304T": 1 << 62,
	} {
		if got, err := ParseBytes(s); got != want || err != nil {
			t.Errorf("%q: %d, %v; want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "G", "-1", "1.5G", "12X", "1 G", "1GG", "1iB", "1BG", "9223372036854775808", "4194305T", "0x10", "1e3", "G1"} {
		if got, err := ParseBytes(s); err == nil {
			t.Errorf("%q: %d", s, got)
		}
	}
}

// Each setting of the cache comes from its variable, and a flag stands above it; what cannot be used is named.
func TestCacheSettings(t *testing.T) {
	env := map[string]string{"KVASIR_CACHE_BYTES": "2G", "KVASIR_CACHE_MIN_FREE": "0", "KVASIR_CACHE_DAILY_BYTES": "none"}
	c := from(func(k string) string { return env[k] })
	if c.Cache != (Cache{2 << 30, -1, -1}) || c.Problem != nil {
		t.Errorf("%+v", c)
	}
	for _, f := range CacheFlags() {
		if err := c.Cache.SetFlag(f.Name, "3M"); err != nil {
			t.Error(err)
		}
		if err := c.Cache.SetFlag(f.Name, "much"); err == nil {
			t.Errorf("--%s much is accepted", f.Name)
		}
	}
	if c.Cache != (Cache{3 << 20, 3 << 20, 3 << 20}) {
		t.Errorf("%+v", c.Cache)
	}
	if c := from(func(string) string { return "" }); c.Cache != (Cache{}) || c.Problem != nil {
		t.Errorf("%+v", c)
	}
	for _, name := range []string{"KVASIR_CACHE_BYTES", "KVASIR_CACHE_MIN_FREE", "KVASIR_CACHE_DAILY_BYTES"} {
		if c := from(func(k string) string { return map[string]string{name: "12X"}[k] }); c.Problem == nil || c.Cache != (Cache{}) {
			t.Errorf("%s=12X: %+v", name, c)
		}
	}
	if err := (&Cache{}).SetFlag("cache-daily-bytes", "0"); err == nil {
		t.Error("a budget of 0 bytes is accepted")
	}
}
