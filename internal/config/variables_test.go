package config

import (
	"slices"
	"testing"
)

func TestInForceListsWhatIsSetInOrder(t *testing.T) {
	env := map[string]string{"HOME": "/home/x", "KVASIR_MODEL": "", "KVASIR_HOME": "/k", "OTHER": "secret"}
	got := inForce(func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	want := []Variable{{"KVASIR_HOME", "/k"}, {"HOME", "/home/x"}, {"KVASIR_MODEL", ""}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
