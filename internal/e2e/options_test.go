package e2e

import (
	"strings"
	"testing"
)

// What is of no effect, or ends an answer early, is said; nothing else is.
func TestRunSaysWhatHasNoEffect(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	for _, c := range []struct {
		args string
		err  string // "": nothing is said
	}{
		{"run --session a --system short --temp 0 -n 4 hi", ""},
		{"run --session a --system short --temp 0 -n 4 hi", ""},
		{"run --session a --system other --temp 0 -n 4 hi", "kvasir: --system is not used: the conversation has begun without it\n"},
		{"run --session a --temp 0 -n 4 hi", ""},
		{"run --raw --system x --temp 0 -n 4 hi", "kvasir: --system is not used: without a chat template there is no place for it\n"},
		{"run -c 8 --temp 0 hi", "kvasir: the context is full, and the answer was cut off there (-c makes it larger)\n"},
		{"run -c 5000 --temp 0 -n 4 hi", "kvasir: -c 5000 is more than the 1024 tokens that the model was trained for: behind those its answers may be poor\n"},
		{"run -c 1024 --temp 0 --n-predict 4 hi", ""},
		{"run --temp 0 -n -1 hi", ""},
	} {
		if r := kvasir.in(t, home, strings.Fields(c.args)...); r.code != 0 || r.err != c.err || r.out == "" {
			t.Errorf("%s: exit code %d, stderr %q, want %q; stdout %q", c.args, r.code, r.err, c.err, r.out)
		}
	}
	r := kvasir.call(t, nil, "hi\n", "chat", "--temp", "0", "-n", "4").must(t, 0)
	if !strings.Contains(r.err, "this conversation is not kept") {
		t.Errorf("chat without a home: %v", r)
	}
}
