package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
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

// seedOf returns $name, or a seed of the moment.
func seedOf(t testing.TB, name string) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv(name); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%s=%d goes through the same choices again", name, seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// P1 and P2 for kill -9 at any moment of an answer, also more than once: what the parent has read is in the session, at
// most 64 tokens are computed again, and the answer goes on as if nothing had been. $KVASIR_KILL_ROUNDS sets how often.
func TestKilledAnswerGoesOn(t *testing.T) {
	rounds := 20
	if s := os.Getenv("KVASIR_KILL_ROUNDS"); s != "" {
		var err error
		if rounds, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	rnd := seedOf(t, "KVASIR_KILL_SEED")
	type reference struct {
		text string
		took time.Duration
	}
	wanted := map[string]reference{}
	inside, tokens := 0, 0
	for i := range rounds {
		s := setups[i%len(setups)]
		want, ok := wanted[s.String()]
		if !ok {
			r := kvasir.in(t, t.TempDir(), s.args(t, answerTokens, "--stats", "-", prompt)...).must(t, 0)
			if st := r.stats(t); st.GeneratedTokens != answerTokens || st.KV != s.kv || len(r.out) < 100 {
				t.Fatalf("%v: the answer to compare with is not what was asked for\n%v", s, r)
			}
			want = reference{r.out, r.took}
			wanted[s.String()] = want
		}
		kills := make([]kill, 1+i%3)
		for j := range kills {
			if rnd.IntN(3) == 0 {
				kills[j].at = time.Duration(rnd.Int64N(int64(want.took)))
			} else {
				kills[j].bytes = 1 + rnd.IntN(len(want.text)/len(kills))
			}
		}
		t.Run(fmt.Sprintf("%d %v %v", i, s, kills), func(t *testing.T) {
			n, k := killedAnswer(t, s, kills, want.text)
			inside, tokens = inside+n, max(tokens, k)
		})
	}
	t.Logf("%d rounds, %d kills inside an answer, at most %d tokens computed to go on", rounds, inside, tokens)
	if inside < rounds/3 {
		t.Errorf("%d of %d rounds were killed inside their answer: too few to say anything", inside, rounds)
	}
}

// kill says when: after so many bytes were read, or after so much time.
type kill struct {
	bytes int
	at    time.Duration
}

func (k kill) String() string {
	if k.bytes > 0 {
		return fmt.Sprintf("after %d bytes", k.bytes)
	}
	return fmt.Sprintf("after %v", k.at.Round(time.Millisecond))
}

// strike kills the process and returns all that it had printed.
func (k kill) strike(x *process) string {
	var seen string
	if k.bytes > 0 {
		seen = x.read(k.bytes)
	} else {
		time.Sleep(k.at)
	}
	x.signal(syscall.SIGKILL)
	rest, _ := x.end()
	return seen + rest
}

// killedAnswer returns how many kills hit inside the answer, and the most tokens that were computed to go on.
func killedAnswer(t *testing.T, s setup, kills []kill, want string) (inside, computed int) {
	home := t.TempDir()
	next := []string{"--session", "S", prompt}
	seen, left := "", answerTokens
	for _, k := range kills {
		seen += k.strike(kvasir.start(t, home, s.args(t, left, next...)...))
		if seen == "" && kvasir.in(t, home, "sessions", "show", "S").code != 0 {
			continue // killed before there was a session: it starts from the beginning
		}
		held := kvasir.show(t, home, "S")
		switch n := len(held.Turns); {
		case seen == "" && n == 0:
			continue
		case seen == "" && n == 1:
			next = []string{"--session", "S", "--continue"}
			continue
		case n != 2 || held.Damaged:
			t.Fatalf("read %q, the session holds %+v", seen, held)
		}
		next = []string{"--session", "S", "--continue"}
		a := held.last()
		if a.Complete {
			t.Errorf("a killed answer is marked as complete: %+v", a)
		}
		if !strings.HasPrefix(a.Text, seen) {
			t.Fatalf("what was read is not in the session:\nread %q\nheld %q", seen, a.Text)
		}
		if !strings.HasPrefix(want, a.Text) {
			t.Fatalf("the session holds what an uninterrupted run does not say:\nheld   %q\nwanted %q", a.Text, want)
		}
		seen, left = a.Text, answerTokens-a.Tokens
		if left == 0 {
			if seen != want {
				t.Fatalf("all tokens are there, the text differs:\nheld   %q\nwanted %q", seen, want)
			}
			return inside, computed
		}
		if a.Tokens > 0 {
			inside++
		}
	}
	r := kvasir.in(t, home, s.args(t, left, append([]string{"--stats", "-"}, next...)...)...).must(t, 0)
	if got := seen + r.out; got != want {
		t.Fatalf("the answer did not go on as it would have:\nheld   %q\nmore   %q\nwanted %q", seen, r.out, want)
	}
	st := r.stats(t)
	if st.ReusedTokens+st.ComputedTokens != st.PromptTokens || st.GeneratedTokens != left {
		t.Errorf("the figures do not add up: %+v, %d tokens were left", st, left)
	}
	if st.ComputedTokens > 64 {
		t.Errorf("%d tokens computed again, expected at most 64: %+v", st.ComputedTokens, st)
	}
	held := kvasir.show(t, home, "S")
	if a := held.last(); a.Text != want || a.Tokens != answerTokens || len(held.Turns) != 2 || held.Damaged {
		t.Errorf("at the end the session holds %+v", held)
	}
	return inside, st.ComputedTokens
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
