package cli

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"kvasir/engine"
)

// -v says how much of a prompt was reused and shows where it leaves what is stored; without it nothing is said.
func TestVerboseShowsWhereAPromptDiffers(t *testing.T) {
	homeFor(t)
	run := func(system string, more ...string) result {
		r := plain("", append([]string{"run", "-n", "1", "--temp", "0", "--raw", system}, more...)...)
		if r.code != 0 {
			t.Fatalf("exit code %d, %s", r.code, r.err)
		}
		return r
	}
	const monday, tuesday = "be brief; today is \tmonday \"x\"", "be brief; today is \ttuesday \"x\""
	if r := run(monday, "-v"); !strings.Contains(r.err, " 0 reused, ") || !strings.Contains(r.err, "nothing is stored for this model") {
		t.Errorf("first: %s", r.err)
	}
	if r := run(monday, "--verbose"); !strings.Contains(r.err, " 1 computed: the last token is always computed") || strings.Count(r.err, "\n") != 1 {
		t.Errorf("again: %s", r.err)
	}
	r := run(tuesday, "-v", "--stats", "-")
	for _, want := range []string{"reused", "what is stored goes on differently", `today is \t"` + "\n", `here    "tuesday "x"…"`, `stored  "monday "x"`} {
		if !strings.Contains(r.err, want) {
			t.Errorf("no %s in\n%s", want, r.err)
		}
	}
	lines := strings.Split(strings.TrimSpace(r.err), "\n")
	var s stats
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &s); err != nil || s.Reuse == nil || s.Reuse.Why != engine.WhyDiffers || s.Reuse.Position != s.ReusedTokens || s.ReusedTokens == 0 {
		t.Errorf("%v, %+v", err, s)
	}
	if r := run("be quick", "--stats", "-"); strings.Contains(r.err, "reuse\"") || strings.Count(r.err, "\n") != 1 {
		t.Errorf("without -v: %s", r.err)
	}
	// A conversation that is taken up.
	if r := plain("hello\n", "chat", "--session", "s", "-v", "-n", "2"); r.code != 0 || !strings.Contains(r.err, "kvasir: prompt: ") {
		t.Errorf("exit code %d, %s", r.code, r.err)
	}
	r = plain("and then\n", "chat", "--session", "s", "-v", "-n", "2")
	if r.code != 0 || !strings.Contains(r.err, "kvasir: conversation: ") || !strings.Contains(r.err, "they are new") {
		t.Errorf("exit code %d, %s", r.code, r.err)
	}
}

// Every reason has its sentence.
func TestReasonsHaveTexts(t *testing.T) {
	whys := []engine.Why{engine.WhyLastToken, engine.WhyNew, engine.WhyDiffers, engine.WhyNothing, engine.WhyOtherFormat, engine.WhyNotKept, engine.WhyInMemory,
		engine.WhyEvicted, engine.WhyDamaged, engine.WhyGone, engine.WhyWindow, engine.WhyUnfinished}
	for _, w := range whys {
		if whyTexts[w] == "" {
			t.Errorf("no text for %q", w)
		}
	}
	for w := range whyTexts {
		if !slices.Contains(whys, w) {
			t.Errorf("a text for %q", w)
		}
	}
}

// No text reaches the terminal with what could command it.
func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"":                      "nothing",
		"a \"b\" \\ c":          `"…a "b" \\ c"`,
		"\x1b[31m\r\n\x00é\xc3": `"…\x1b[31m\r\n\x00é\xc3"`,
	} {
		if got := visible("…", in, ""); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}
