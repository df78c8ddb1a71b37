package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// setup is a way of answering that the kill rounds go through.
type setup struct {
	model, kv string
	sampling  []string
}

func (s setup) String() string {
	return fmt.Sprintf("%s, %s rows, %s", s.model, s.kv, strings.Join(s.sampling, " "))
}

var setups = func() (all []setup) {
	for _, sampling := range [][]string{
		{"--temp", "0.8", "--seed", "7"},
		{"--temp", "0"},
		{"--temp", "1.2", "--seed", "8", "--top-k", "0", "--repeat-penalty", "1.3", "--repeat-last-n", "50"},
	} {
		for _, kv := range []string{"int8", "f16"} {
			for _, m := range []string{"llama", "gemma3"} {
				all = append(all, setup{m, kv, sampling})
			}
		}
	}
	return all
}()

const (
	answerTokens = 200
	prompt       = "tell me the story of the king"
)

// args is the command line for an answer of up to n tokens, with more arguments behind it.
func (s setup) args(t testing.TB, n int, more ...string) []string {
	args := []string{"run", "-m", model(t, s.model), "--kv", s.kv, "--raw", "-n", strconv.Itoa(n), "--logit-bias", noEnd}
	return append(append(args, s.sampling...), more...)
}

// Killed between the last token and the end of the turn, or at any place before it: an answer that the model ends by
// itself ends at the same place. The answer's end is made by the bias on the token for it.
func TestKilledAnswerEndsWhereItWouldHave(t *testing.T) {
	t.Parallel()
	rnd := seedOf(t, "KVASIR_KILL_SEED")
	args := func(more ...string) []string {
		return append([]string{"run", "-m", model(t, "llama"), "--raw", "--temp", "1", "--seed", "3", "--logit-bias", "2=1", "--stats", "-"}, more...)
	}
	whole := kvasir.in(t, t.TempDir(), args(prompt)...).must(t, 0)
	if st := whole.stats(t); st.Finish != "stop" || len(whole.out) < 20 {
		t.Fatalf("the answer to compare with should end by itself\n%v", whole)
	}
	for range 4 {
		home := t.TempDir()
		k := kill{bytes: 1 + rnd.IntN(len(whole.out))}
		seen := k.strike(kvasir.start(t, home, args("--session", "S", prompt)...))
		a := kvasir.show(t, home, "S").last()
		if !strings.HasPrefix(a.Text, seen) {
			t.Fatalf("%v: read %q, the session holds %q", k, seen, a.Text)
		}
		r := kvasir.in(t, home, args("--session", "S", "--continue")...)
		if a.Complete {
			if r.code != 1 || !strings.Contains(r.err, "nothing to continue") || a.Text != whole.out {
				t.Errorf("%v: the answer was complete: %q\n%v", k, a.Text, r)
			}
			continue
		}
		r.must(t, 0)
		if a.Text+r.out != whole.out || r.stats(t).Finish != "stop" {
			t.Errorf("%v: held %q, more %q, wanted %q, finish %s", k, a.Text, r.out, whole.out, r.stats(t).Finish)
		}
		if a := kvasir.show(t, home, "S").last(); a.Text != whole.out || !a.Complete {
			t.Errorf("%v: at the end the session holds %+v, wanted %q", k, a, whole.out)
		}
	}
}

// An answer that was cut by -n, by Ctrl-C, or by a reader that went away goes on in the same words.
func TestAnswerCutByItsCallerGoesOn(t *testing.T) {
	t.Parallel()
	s := setups[0]
	want := kvasir.in(t, t.TempDir(), s.args(t, answerTokens, prompt)...).must(t, 0).out
	for name, cut := range map[string]func(t *testing.T, home string) (seen string){
		"length": func(t *testing.T, home string) string {
			return kvasir.in(t, home, s.args(t, 77, "--session", "S", prompt)...).must(t, 0).out
		},
		"SIGINT": func(t *testing.T, home string) string {
			x := kvasir.start(t, home, s.args(t, answerTokens, "--session", "S", prompt)...)
			seen := x.read(40)
			x.signal(os.Interrupt)
			rest, code := x.end()
			if code != 130 && len(seen+rest) < len(want) {
				t.Errorf("exit code %d, expected 130; stderr: %s", code, x.stderr.String())
			}
			return seen + rest
		},
		"reader gone": func(t *testing.T, home string) string {
			x := kvasir.start(t, home, s.args(t, answerTokens, "--session", "S", prompt)...)
			seen := x.read(40)
			if err := x.stdout.Close(); err != nil {
				t.Fatal(err)
			}
			_ = x.cmd.Wait()
			return seen
		},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			seen := cut(t, home)
			a := kvasir.show(t, home, "S").last()
			if a.Complete || !strings.HasPrefix(a.Text, seen) || !strings.HasPrefix(want, a.Text) {
				t.Fatalf("read %q, the session holds %+v, wanted %q", seen, a, want)
			}
			if a.Tokens == answerTokens {
				t.Skip("the answer was over before it could be cut")
			}
			r := kvasir.in(t, home, s.args(t, answerTokens-a.Tokens, "--session", "S", "--stats", "-", "--continue")...).must(t, 0)
			if a.Text+r.out != want {
				t.Errorf("held %q\nmore %q\nwanted %q", a.Text, r.out, want)
			}
			if st := r.stats(t); st.ComputedTokens > 64 || name != "reader gone" && st.ComputedTokens > 1 {
				t.Errorf("a conversation that was closed in order computes %d tokens again", st.ComputedTokens)
			}
		})
	}
}

// The script for people is itself tested, on the program under test.
func TestDemoResumeScript(t *testing.T) {
	t.Parallel()
	c := program{"sh", filepath.Join(root, "testdata", "demo-resume.sh"), kvasir[0]}
	r := c.call(t, []string{"TMPDIR=" + t.TempDir()}, "")
	if r.code != 0 || strings.Contains(r.out, "FAIL") || strings.Count(r.out, "PASS") < 4 {
		t.Errorf("%v", r)
	}
}
