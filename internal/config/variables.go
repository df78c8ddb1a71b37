package config

import "os"

// Variable is an environment variable that this program heeds, or the runtime beneath it.
type Variable struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// names lists the variables, in the order in which they matter.
var names = []string{
	"KVASIR_HOME", "STATE_DIRECTORY", "XDG_STATE_HOME", "HOME", "KVASIR_MODEL", "KVASIR_KERNELS",
	"KVASIR_CACHE_BYTES", "KVASIR_CACHE_MIN_FREE", "KVASIR_CACHE_DAILY_BYTES",
	"TMPDIR", "GOMAXPROCS", "GOMEMLIMIT", "GOGC", "GODEBUG",
}

// InForce returns the variables that are set.
func InForce() []Variable { return inForce(os.LookupEnv) }

func inForce(lookup func(string) (string, bool)) []Variable {
	var vs []Variable
	for _, name := range names {
		if v, ok := lookup(name); ok {
			vs = append(vs, Variable{name, v})
		}
	}
	return vs
}
