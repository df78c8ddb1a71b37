package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// terminal is a real one, made by tmux.
type terminal struct {
	t      testing.TB
	socket string
}

// openTerminal runs a shell command line in a terminal of 100 by 40, or skips.
func openTerminal(t testing.TB, home, command string) *terminal {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("no tmux: ", err)
	}
	// When the command ends its exit code stays on the screen.
	script := filepath.Join(t.TempDir(), "run.sh")
	text := fmt.Sprintf("trap : INT\nKVASIR_HOME='%s' %s\necho \"exit code $?\"\nsleep 600\n", home, command)
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	x := &terminal{t, filepath.Join(t.TempDir(), "tmux")}
	x.tmux("-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "40", "sh "+script)
	t.Cleanup(func() { _ = exec.Command("tmux", "-S", x.socket, "kill-server").Run() })
	return x
}

func (x *terminal) tmux(args ...string) string {
	x.t.Helper()
	c := exec.Command("tmux", append([]string{"-S", x.socket}, args...)...)
	c.Env = append(os.Environ(), "TERM=xterm", "LC_ALL=C.UTF-8", "TMUX=")
	out, err := c.CombinedOutput()
	if err != nil {
		x.t.Fatalf("tmux %q: %v: %s", args, err, out)
	}
	return string(out)
}

func (x *terminal) screen() string { return x.tmux("capture-pane", "-p", "-S", "-200") }

func (x *terminal) keys(keys ...string) { x.tmux(append([]string{"send-keys"}, keys...)...) }

// line types a line of text.
func (x *terminal) line(s string) {
	x.tmux("send-keys", "-l", s)
	x.keys("Enter")
}

// wait returns the screen once it fulfils what is said, and fails the test if it never does.
func (x *terminal) wait(what string, ok func(screen string) bool) string {
	x.t.Helper()
	for end := time.Now().Add(limit / 2); ; time.Sleep(30 * time.Millisecond) {
		s := x.screen()
		if ok(s) {
			return s
		}
		if time.Now().After(end) {
			x.t.Fatalf("never came: %s\n%s", what, s)
		}
	}
}

// prompt waits until the last line of the screen is an empty prompt.
func (x *terminal) prompt(n int) string {
	x.t.Helper()
	return x.wait(fmt.Sprintf("prompt %d", n), func(s string) bool {
		prompts := 0
		last := ""
		for line := range strings.Lines(s) {
			if line = strings.TrimRight(line, " \n"); line != "" {
				last = line
			}
			if line == ">" || strings.HasPrefix(line, "> ") {
				prompts++
			}
		}
		return last == ">" && prompts >= n
	})
}

func TestChatOnATerminal(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	x := openTerminal(t, home, kvasir[0]+" chat --session S --temp 0")
	x.prompt(1)
	x.line("My name is Ada.")
	if s := x.prompt(2); strings.Count(s, "Ada") < 2 {
		t.Errorf("no answer to what was typed:\n%s", s)
	}
	x.line("What is my name?")
	if s := x.prompt(3); strings.Count(s, "Ada") < 3 {
		t.Errorf("no answer to what was typed:\n%s", s)
	}
	x.keys("Up") // the history
	x.wait("the last line again", func(s string) bool { return strings.Count(s, "> What is my name?") == 2 })
	x.keys("C-c") // at the prompt: leaves
	s := x.wait("the end", func(s string) bool { return strings.Contains(s, "exit code") })
	if !strings.Contains(s, "exit code 0") || !strings.Contains(s, "kept as S") || !strings.Contains(s, "--session S") {
		t.Errorf("left with Ctrl-C:\n%s", s)
	}
	if s := kvasir.show(t, home, "S"); len(s.Turns) != 4 || !s.last().Complete {
		t.Errorf("the session holds %+v", s)
	}

	x = openTerminal(t, home, kvasir[0]+" chat --session S --temp 0")
	s = x.prompt(1)
	if !strings.Contains(s, "resumed S: 4 turns") || !strings.Contains(s, "> What is my name?") {
		t.Errorf("taken up again without its last turns:\n%s", s)
	}
	x.keys("C-d")
	x.wait("the end", func(s string) bool { return strings.Contains(s, "exit code 0") })
}

// Ctrl-C ends an answer and leads back to the prompt; an empty line goes on with it.
func TestInterruptedAnswerOnATerminal(t *testing.T) {
	t.Parallel()
	// Only letters and spaces, without end, in a context that takes a while to fill.
	c := textModels["llama"]()
	c.Context = 1 << 15
	m := modelFile(t, "long.gguf", c.Spec())
	bias := []string{"0=-1000", "1=-1000", noEnd}
	for id := 3; id < 3+256; id++ {
		bias = append(bias, fmt.Sprintf("%d=-1000", id))
	}
	home := t.TempDir()
	x := openTerminal(t, home, kvasir[0]+" chat --session S --raw --temp 0.9 --seed 1 -m "+m+" --logit-bias "+strings.Join(bias, ","))
	x.prompt(1)
	x.line("go")
	x.wait("some of the answer", func(s string) bool { return len(strings.TrimSpace(s)) > 400 })
	x.keys("C-c")
	x.prompt(2)
	first := kvasir.show(t, home, "S").last()
	if first.Complete || first.Tokens < 100 {
		t.Errorf("the answer that was cut off: %+v", first)
	}
	x.keys("Enter")
	x.wait("more of the answer", func(string) bool { return kvasir.show(t, home, "S").last().Tokens > first.Tokens+50 })
	x.keys("C-c")
	x.prompt(3)
	s := kvasir.show(t, home, "S")
	if a := s.last(); len(s.Turns) != 2 || !strings.HasPrefix(a.Text, first.Text) || a.Complete {
		t.Errorf("the answer did not go on: %.200q, then %.200q", first.Text, a.Text)
	}
	x.keys("C-c")
	x.wait("the end", func(s string) bool { return strings.Contains(s, "exit code 0") })
}
