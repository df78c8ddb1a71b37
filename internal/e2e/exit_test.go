package e2e

import (
	"strings"
	"testing"
)

func TestExitCodes(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	for _, c := range []struct {
		code int
		args string
		says string
	}{
		{0, "version", ""},
		{0, "help", ""},
		{0, "run --temp 0 -n 2 hello", ""},
		{0, "run -n 2 hello --temp 0", ""}, // flags behind the prompt
		{0, "sessions ls", ""},
		{1, "sessions show nobody", "no such session"},
		{1, "run --session nobody --continue", "no such session"},
		{3, "run -m no-such-file.gguf hello", `"no-such-file.gguf"`},
		{1, "chat --continue", "no conversation"},
		{2, "frobnicate", "frobnicate"},
		{2, "run --no-such-flag hello", "no-such-flag"},
		{2, "run --temp warm hello", "temp"},
		{2, "run --kv int3 hello", "int3"},
		{2, "run -n -5 hello", "-n"},
		{2, "run -t -5 hello", "-t"},
		{2, "run --logit-bias x hello", "logit-bias"},
		{2, "run -p hello hello", "prompt"},
		{2, "run --continue", "--session"},
		{2, "run --session S --continue hello", "--continue"},
		{2, "run", "prompt is empty"},
		{2, "chat hello", "hello"},
		{2, "chat --session S --continue", "--continue"},
		{2, "sessions show", "NAME"},
		{2, "sessions rm", "NAME"},
		{2, "sessions ls -o yaml", "yaml"},
		{2, "sessions frobnicate", "frobnicate"},
	} {
		r := kvasir.in(t, home, strings.Fields(c.args)...)
		if r.code != c.code || !strings.Contains(r.err, c.says) {
			t.Errorf("kvasir %s: expected exit code %d and %q\n%v", c.args, c.code, c.says, r)
		}
		if c.code != 0 && (len(r.lines()) != 1 || r.out != "") {
			t.Errorf("kvasir %s: expected one line on stderr and nothing on stdout\n%v", c.args, r)
		}
	}
	// What was refused has left no session.
	if r := kvasir.in(t, home, "sessions", "ls", "-o", "json").must(t, 0); strings.TrimSpace(r.out) != "[]" {
		t.Errorf("sessions: %s", r.out)
	}
}
