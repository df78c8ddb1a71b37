package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Cache bounds the KV cache. In each field 0 is the store's default and a negative value says: none.
type Cache struct {
	MaxBytes   int64 // what it may take of the disk; negative: nothing is stored
	MinFree    int64 // what stays free of the disk
	DailyBytes int64 // what may be written in a UTC day
}

// cacheSettings are the settings of the cache: an environment variable, and the flag of the same meaning.
var cacheSettings = []struct {
	variable, flag string
	usage          string
	set            func(*Cache) *int64
	none           string // the value that says none
}{
	{"KVASIR_CACHE_BYTES", "cache-bytes", "the KV cache may take `BYTES` of the disk, as in 512M or 8G; 0: nothing is stored (default: a quarter of the free space, at most 8G)",
		func(c *Cache) *int64 { return &c.MaxBytes }, "0"},
	{"KVASIR_CACHE_MIN_FREE", "cache-min-free", "the KV cache leaves `BYTES` of the disk free (default: 5 % of it, at least 512M)",
		func(c *Cache) *int64 { return &c.MinFree }, "0"},
	{"KVASIR_CACHE_DAILY_BYTES", "cache-daily-bytes", "the KV cache writes at most `BYTES` in a UTC day, or none for no bound (default: 16G)",
		func(c *Cache) *int64 { return &c.DailyBytes }, "none"},
}

// CacheFlag is a command line flag for one setting of the cache.
type CacheFlag struct{ Name, Usage string }

// CacheFlags lists them.
func CacheFlags() []CacheFlag {
	var fs []CacheFlag
	for _, s := range cacheSettings {
		fs = append(fs, CacheFlag{s.flag, s.usage})
	}
	return fs
}

// SetFlag puts the value of a flag of CacheFlags into c.
func (c *Cache) SetFlag(name, value string) error {
	for _, s := range cacheSettings {
		if s.flag == name {
			return set(s.set(c), "--"+name, value, s.none)
		}
	}
	panic("no flag " + name)
}

// setVariables reads the environment; what it cannot use is an error and leaves the default.
func (c *Cache) setVariables(getenv func(string) string) error {
	for _, s := range cacheSettings {
		if v := getenv(s.variable); v != "" {
			if err := set(s.set(c), s.variable, v, s.none); err != nil {
				return err
			}
		}
	}
	return nil
}

func set(to *int64, name, value, none string) error {
	if value == none {
		*to = -1
		return nil
	}
	n, err := ParseBytes(value)
	if err == nil && n == 0 {
		err = fmt.Errorf("0 bytes")
	}
	if err != nil {
		return fmt.Errorf("%s %.64q: %w, expected a number of bytes as in 512M or 8G, or %s", name, value, err, none)
	}
	*to = n
	return nil
}

// ParseBytes reads a number of bytes: digits, and a unit of K, M, G or T for powers of 1024, which may be written as KiB or KB, too.
func ParseBytes(s string) (int64, error) {
	digits := strings.TrimRight(s, "KMGTkmgtiIbB")
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("not a number of bytes")
	}
	shift, unit := 0, strings.ToUpper(s[len(digits):])
	switch unit {
	case "", "B":
	case "K", "KB", "KIB":
		shift = 10
	case "M", "MB", "MIB":
		shift = 20
	case "G", "GB", "GIB":
		shift = 30
	case "T", "TB", "TIB":
		shift = 40
	default:
		return 0, fmt.Errorf("unknown unit %.16q", s[len(digits):])
	}
	if n > (1<<62)>>shift {
		return 0, fmt.Errorf("too large")
	}
	return int64(n) << shift, nil
}
