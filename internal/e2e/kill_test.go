package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

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

// The program with the places to die of package failpoint, for this machine.
var buildFailPoints = sync.OnceValues(func() (string, error) { return build("", "-tags", "failpoints") })

// kill says when: after so many bytes were read, after so much time, or when the program comes to a fail point for the nth time.
type kill struct {
	bytes int
	at    time.Duration
	point string
	nth   int
}

func (k kill) String() string {
	switch {
	case k.point != "":
		return fmt.Sprintf("%s:%d", k.point, k.nth)
	case k.bytes > 0:
		return fmt.Sprintf("after %d bytes", k.bytes)
	}
	return fmt.Sprintf("after %v", k.at.Round(time.Millisecond))
}

// env is what the program is told of the kill.
func (k kill) env() []string {
	if k.point == "" {
		return nil
	}
	return []string{"KVASIR_FAILPOINT=" + k.String()}
}

// strike kills the process, unless it does so itself, and returns all that it had printed.
func (k kill) strike(x *process) string {
	var seen string
	switch {
	case k.point != "":
	case k.bytes > 0:
		seen = x.read(k.bytes)
		x.signal(syscall.SIGKILL)
	default:
		time.Sleep(k.at)
		x.signal(syscall.SIGKILL)
	}
	rest, _ := x.end()
	return seen + rest
}

// reference is an answer that nothing interrupted.
type reference struct {
	text    string
	took    time.Duration
	home    string // as it was before the question
	env     []string
	passed  map[string]int // how often it came to each fail point
	logits  map[int]string // digest of the logits behind a number of tokens
	history []turn         // of earlier questions
}

// The question before the one whose answer is killed, in the setups that have one.
const (
	earlierPrompt = "once upon a time"
	earlierTokens = 90
)

// The homes on which questions are asked.
const (
	emptyHome   = iota
	earlierHome // holds an earlier turn
	crowdedHome // full of another model's rows, which have to give way
	nHomes
)

// refer makes the answer to compare with.
func refer(t *testing.T, s setup, kind int) *reference {
	r := &reference{home: t.TempDir(), passed: map[string]int{}, logits: map[int]string{}}
	switch kind {
	case earlierHome:
		kvasir.in(t, r.home, s.args(t, earlierTokens, "--session", "S", earlierPrompt)...).must(t, 0)
		r.history = kvasir.show(t, r.home, "S").Turns
	case crowdedHome:
		other := setup{model: map[string]string{"llama": "gemma3", "gemma3": "llama"}[s.model], kv: s.kv}
		kvasir.in(t, r.home, other.args(t, earlierTokens, "--session", "other", earlierPrompt)...).must(t, 0)
		bytes := int64(1)
		for _, path := range segments(t, r.home) {
			fi, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			bytes += fi.Size()
		}
		r.env = []string{fmt.Sprintf("KVASIR_CACHE_BYTES=%d", bytes)}
	}
	home, trace := copyOf(t, r.home), filepath.Join(t.TempDir(), "trace")
	binary, err := buildFailPoints()
	if err != nil {
		t.Fatal(err)
	}
	env := append([]string{"KVASIR_HOME=" + home, "KVASIR_FAILPOINT_TRACE=" + trace}, r.env...)
	args := s.args(t, answerTokens, "--session", "S", "--stats", "-", prompt)
	res := program{binary}.call(t, env, "", args...).must(t, 0)
	if st := res.stats(t); st.GeneratedTokens != answerTokens || st.KV != s.kv || len(res.out) < 100 {
		t.Fatalf("%v: the answer to compare with is not what was asked for\n%v", s, res)
	}
	r.text, r.took = res.out, res.took
	if plain := kvasir.call(t, append([]string{"KVASIR_HOME=" + copyOf(t, r.home)}, r.env...), "", args...).must(t, 0); plain.out != r.text {
		t.Fatalf("%v: with fail points the program says %q, without %q", s, r.text, plain.out)
	}
	for line := range readTrace(t, trace) {
		switch f := strings.SplitN(line, " ", 2); f[0] {
		case "point":
			r.passed[f[1]]++
		case "logits":
			n, digest := logitsLine(t, line)
			r.logits[n] = digest
		}
	}
	if len(r.logits) != answerTokens {
		t.Fatalf("%v: the logits of %d tokens were noted, expected %d", s, len(r.logits), answerTokens)
	}
	return r
}

func readTrace(t testing.TB, path string) (lines func(func(string) bool)) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return func(yield func(string) bool) {
		for line := range strings.Lines(string(b)) {
			if line, whole := strings.CutSuffix(line, "\n"); whole && !yield(line) {
				return
			}
		}
	}
}

func logitsLine(t testing.TB, line string) (n int, digest string) {
	t.Helper()
	if _, err := fmt.Sscanf(line, "logits %d %s", &n, &digest); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return n, digest
}

// copyOf copies a home directory.
func copyOf(t testing.TB, home string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(home)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// P1 and P2 for kill -9 at any moment of an answer, also more than once: what the parent has read is in the session, at most 64
// tokens are computed again, the answer goes on as if nothing had been, and so do the logits, bit for bit. Every other round kills
// the program as it is released after some time or output; the rest dies at a fail point. $KVASIR_KILL_ROUNDS sets how often.
func TestKilledAnswerGoesOn(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 24
	}
	if s := os.Getenv("KVASIR_KILL_ROUNDS"); s != "" {
		var err error
		if rounds, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	rnd := seedOf(t, "KVASIR_KILL_SEED")
	wanted := map[string]*reference{}
	points := failPoints(t)
	inside, tokens, died := 0, 0, map[string]int{}
	for i := range rounds {
		s, kind := setups[i%len(setups)], i/len(setups)%nHomes
		key := fmt.Sprint(s, kind)
		if wanted[key] == nil {
			wanted[key] = refer(t, s, kind)
		}
		want := wanted[key]
		var kills []kill
		for range 1 + i/2%3 {
			switch {
			case i%2 == 1: // the points in turn, so that few rounds come to all
				k := kill{point: points[(i/2+rnd.IntN(2)*len(kills))%len(points)]}
				if n := want.passed[k.point]; n > 0 {
					k.nth = 1 + rnd.IntN(n)
					kills = append(kills, k)
				}
			case rnd.IntN(3) == 0:
				kills = append(kills, kill{at: time.Duration(rnd.Int64N(int64(want.took)))})
			default:
				kills = append(kills, kill{bytes: 1 + rnd.IntN(len(want.text)/2)})
			}
		}
		t.Run(fmt.Sprintf("%d %v home %d %v", i, s, kind, kills), func(t *testing.T) {
			n, k := killedAnswer(t, s, want, kills, died)
			inside, tokens = inside+n, max(tokens, k)
		})
	}
	t.Logf("%d rounds, %d kills inside an answer, at most %d tokens computed to go on; died at %d of %d fail points: %v",
		rounds, inside, tokens, len(died), len(points), died)
	if inside < rounds/3 {
		t.Errorf("%d of %d rounds were killed inside their answer: too few to say anything", inside, rounds)
	}
	if rounds >= nHomes*len(setups) { // every kind of home
		reached := map[string]bool{}
		for _, r := range wanted {
			for p := range r.passed {
				reached[p] = true
			}
		}
		for _, p := range points {
			if !strings.HasPrefix(p, "vfs: ") && !reached[p] { // see TestKilledCommandsAreDoneWholeOrNotAtAll
				t.Errorf("no answer here comes to the fail point %q", p)
			}
		}
	}
	if rounds >= 2*len(points) && len(died) < len(points)*3/4 {
		t.Errorf("the program died at %d of %d fail points only: %v", len(died), len(points), died)
	}
}

// failPoints lists the points that the source has.
func failPoints(t testing.TB) []string {
	t.Helper()
	call := regexp.MustCompile(`failpoint\.(?:Here|Torn)\("([^"]+)"`)
	var points []string
	for _, dir := range []string{"platform/vfs", "kvcache", "engine"} {
		files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range call.FindAllSubmatch(b, -1) {
				points = append(points, string(m[1]))
			}
		}
	}
	slices.Sort(points)
	if points = slices.Compact(points); len(points) < 20 {
		t.Fatalf("%d fail points found: %q", len(points), points)
	}
	return points
}

// killedAnswer returns how many kills hit inside the answer, and the most tokens that were computed to go on. It notes the fail
// points at which the program died.
func killedAnswer(t *testing.T, s setup, ref *reference, kills []kill, died map[string]int) (inside, computed int) {
	home, trace := copyOf(t, ref.home), filepath.Join(t.TempDir(), "trace")
	next := []string{"--session", "S", prompt}
	seen, left, want := "", answerTokens, ref.text
	for _, k := range kills {
		p := kvasir
		if k.point != "" {
			binary, err := buildFailPoints()
			if err != nil {
				t.Fatal(err)
			}
			p = program{binary}
		}
		env := slices.Concat(k.env(), ref.env, []string{"KVASIR_HOME=" + home, "KVASIR_FAILPOINT_TRACE=" + trace})
		x := p.startWith(t, env, s.args(t, left, next...)...)
		seen += k.strike(x)
		if k.point != "" && x.cmd.ProcessState.ExitCode() == -1 {
			died[k.point]++
		}
		if len(ref.history) == 0 && seen == "" && kvasir.in(t, home, "sessions", "show", "S").code != 0 {
			continue // killed before there was a session: it starts from the beginning
		}
		held := kvasir.show(t, home, "S")
		past := len(ref.history)
		if len(held.Turns) < past || held.Damaged || !slices.Equal(held.Turns[:past], ref.history) {
			t.Fatalf("an acknowledged turn is lost: the session holds %+v, before it held %+v", held, ref.history)
		}
		switch n := len(held.Turns) - past; {
		case seen == "" && n == 0:
			continue
		case seen == "" && n == 1:
			next = []string{"--session", "S", "--continue"}
			continue
		case n != 2:
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
	binary, err := buildFailPoints() // for its notes
	if err != nil {
		t.Fatal(err)
	}
	r := program{binary}.call(t, append([]string{"KVASIR_HOME=" + home, "KVASIR_FAILPOINT_TRACE=" + trace}, ref.env...), "",
		s.args(t, left, append([]string{"--stats", "-"}, next...)...)...).must(t, 0)
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
	if a := held.last(); a.Text != want || a.Tokens != answerTokens || len(held.Turns) != len(ref.history)+2 || held.Damaged {
		t.Errorf("at the end the session holds %+v", held)
	}
	noted := 0
	for line := range readTrace(t, trace) {
		if strings.HasPrefix(line, "logits ") {
			noted++
			if n, digest := logitsLine(t, line); digest != ref.logits[n] {
				t.Fatalf("the logits behind %d tokens are not those of an uninterrupted run", n)
			}
		}
	}
	if noted < left {
		t.Errorf("%d logits were compared, expected at least %d", noted, left)
	}
	return inside, st.ComputedTokens
}

// A process that dies takes its lock along: the next one has the store at once, without a word.
func TestLockOfAKilledProcessIsFree(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	common := []string{"-m", model(t, "llama"), "--raw", "-n", "70", "--temp", "0", "--logit-bias", noEnd}
	for i := range 5 {
		x := kvasir.start(t, home, append([]string{"chat", "--session", "A"}, common...)...)
		x.write("one two three\n")
		x.readLine()
		x.signal(syscall.SIGKILL)
		x.end()
		r := kvasir.in(t, home, append([]string{"run", "--session", fmt.Sprint(i), "--stats", "-"}, append(common, "one two three")...)...).must(t, 0)
		if st := r.stats(t); len(r.lines()) != 1 || st.ReusedTokens == 0 {
			t.Errorf("beside a dead process: %v", r)
		}
	}
}

// What is for tests alone is not in the program that people get.
func TestReleaseHasNoFailPoints(t *testing.T) {
	t.Parallel()
	instrumented, err := buildFailPoints()
	if err != nil {
		t.Fatal(err)
	}
	for binary, want := range map[string]bool{kvasir[0]: false, instrumented: true} {
		b, err := os.ReadFile(binary)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range append(failPoints(t), "KVASIR_FAILPOINT") {
			if strings.Contains(string(b), s) != want {
				t.Errorf("%s: holds %q: %v, expected %v", filepath.Base(binary), s, !want, want)
			}
		}
	}
	if _, err := exec.LookPath("go"); err == nil {
		c := exec.Command("go", "vet", "-tags", "failpoints", "./internal/failpoint", "./kvcache", "./engine", "./platform/vfs")
		c.Dir = root
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("go vet -tags failpoints: %v\n%s", err, out)
		}
	}
}
