// Package buildinfo says which build of the program is running.
package buildinfo

import (
	"runtime"
	"runtime/debug"
	"strings"
)

// What a release build sets with -ldflags "-X kvasir/internal/buildinfo.version=1.2.3" and so on. Where they are empty,
// what the Go command recorded stands in.
var version, commit, date string

// Info describes a build. Fields that are not known are empty.
type Info struct {
	Version  string `json:"version"` // "devel" for a build without a version
	Commit   string `json:"commit,omitempty"`
	Date     string `json:"date,omitempty"` // of the commit, RFC 3339
	Modified bool   `json:"modified"`       // the source differed from the commit
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

// Get returns the running build's description.
func Get() Info {
	recorded, _ := debug.ReadBuildInfo()
	return merge(Info{Version: version, Commit: commit, Date: date}, recorded)
}

// merge fills what is missing in set, which the linker wrote, from what the Go command recorded (which may be nil).
func merge(set Info, recorded *debug.BuildInfo) Info {
	set.Go, set.OS, set.Arch = runtime.Version(), runtime.GOOS, runtime.GOARCH
	if recorded != nil {
		if v := recorded.Main.Version; set.Version == "" && v != "(devel)" {
			set.Version = strings.TrimPrefix(v, "v")
		}
		for _, s := range recorded.Settings {
			switch {
			case s.Key == "vcs.revision" && set.Commit == "":
				set.Commit = s.Value
			case s.Key == "vcs.time" && set.Date == "":
				set.Date = s.Value
			case s.Key == "vcs.modified":
				set.Modified = s.Value == "true"
			}
		}
	}
	if set.Version == "" {
		set.Version = "devel"
	}
	return set
}

// String returns the version and, if known, the commit: "1.2.3", "devel (0123456789ab, modified)".
func (i Info) String() string {
	var notes []string
	if i.Commit != "" {
		notes = append(notes, i.Commit[:min(12, len(i.Commit))])
	}
	if i.Modified {
		notes = append(notes, "modified")
	}
	if len(notes) == 0 {
		return i.Version
	}
	return i.Version + " (" + strings.Join(notes, ", ") + ")"
}
