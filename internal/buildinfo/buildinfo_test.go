package buildinfo

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestMerge(t *testing.T) {
	vcs := &debug.BuildInfo{Main: debug.Module{Version: "v0.4.1"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef0123"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"}}}
	devel := &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}
	for _, c := range []struct {
		name     string
		set      Info
		recorded *debug.BuildInfo
		want     string
		date     string
	}{
		{"nothing known", Info{}, nil, "devel", ""},
		{"work tree without a version", Info{}, devel, "devel", ""},
		{"recorded by the Go command", Info{}, vcs, "0.4.1 (0123456789ab, modified)", "2026-01-02T03:04:05Z"},
		{"set by the linker", Info{Version: "1.2.3"}, devel, "1.2.3", ""},
		{"the linker's values win", Info{Version: "1.2.3", Commit: "feedface", Date: "2025-01-01T00:00:00Z"}, vcs, "1.2.3 (feedface, modified)", "2025-01-01T00:00:00Z"},
	} {
		got := merge(c.set, c.recorded)
		if got.String() != c.want || got.Date != c.date {
			t.Errorf("%s: %q of %q, want %q of %q", c.name, got, got.Date, c.want, c.date)
		}
		if got.Go != runtime.Version() || got.OS != runtime.GOOS || got.Arch != runtime.GOARCH {
			t.Errorf("%s: built by %s for %s/%s", c.name, got.Go, got.OS, got.Arch)
		}
	}
}

func TestGetAlwaysNamesAVersion(t *testing.T) {
	if got := Get(); got.Version == "" || got.Go == "" {
		t.Errorf("%+v", got)
	}
}
