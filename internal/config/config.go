// Package config turns the environment into one validated struct. It is the only place that reads environment
// variables.
package config

import (
	"os"
	"path/filepath"
	"strings"
)

// Config is what the environment says. Command line flags override it.
type Config struct {
	Home    string // directory of sessions and KV store; "" if none can be named
	Model   string // $KVASIR_MODEL: the model file when -m is not given; "" for the built-in one
	Kernels string // $KVASIR_KERNELS: forces a kernel variant
	Cache   Cache
	Problem error // of the variables that cannot be used the first one; it matters to what needs them
}

// Load reads the process's environment.
func Load() Config { return from(os.Getenv) }

// from reads an environment. Home is $KVASIR_HOME, else $STATE_DIRECTORY (systemd's StateDirectory=, the first where
// there are several), else $XDG_STATE_HOME/kvasir, else ~/.local/state/kvasir. Relative XDG directories are ignored, as
// the XDG specification asks.
func from(getenv func(string) string) Config {
	c := Config{Model: getenv("KVASIR_MODEL"), Kernels: getenv("KVASIR_KERNELS")}
	state, _, _ := strings.Cut(getenv("STATE_DIRECTORY"), ":")
	xdg, home := getenv("XDG_STATE_HOME"), getenv("HOME")
	switch {
	case getenv("KVASIR_HOME") != "":
		c.Home = getenv("KVASIR_HOME")
	case state != "":
		c.Home = state
	case filepath.IsAbs(xdg):
		c.Home = filepath.Join(xdg, "kvasir")
	case filepath.IsAbs(home):
		c.Home = filepath.Join(home, ".local", "state", "kvasir")
	}
	c.Problem = c.Cache.setVariables(getenv)
	return c
}
