package config

import "testing"

func TestHomeInItsOrderOfPrecedence(t *testing.T) {
	all := map[string]string{"KVASIR_HOME": "/k", "STATE_DIRECTORY": "/s:/s2", "XDG_STATE_HOME": "/x", "HOME": "/h"}
	for _, c := range []struct {
		without []string
		want    string
	}{
		{nil, "/k"},
		{[]string{"KVASIR_HOME"}, "/s"},
		{[]string{"KVASIR_HOME", "STATE_DIRECTORY"}, "/x/kvasir"},
		{[]string{"KVASIR_HOME", "STATE_DIRECTORY", "XDG_STATE_HOME"}, "/h/.local/state/kvasir"},
		{[]string{"KVASIR_HOME", "STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"}, ""},
	} {
		env := map[string]string{}
		for k, v := range all {
			env[k] = v
		}
		for _, k := range c.without {
			delete(env, k)
		}
		if got := from(func(k string) string { return env[k] }).Home; got != c.want {
			t.Errorf("without %v: %q, want %q", c.without, got, c.want)
		}
	}
	if got := from(func(k string) string { return map[string]string{"XDG_STATE_HOME": "state", "HOME": "/h"}[k] }).Home; got != "/h/.local/state/kvasir" {
		t.Errorf("relative XDG_STATE_HOME: %q", got)
	}
}
