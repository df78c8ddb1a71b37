package kvcache

import (
	"flag"
	"fmt"
	"hash"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kvasir/internal/crashfs"
	"kvasir/platform/vfs/memfs"
)

var (
	crashImages = flag.Int("crash.images", 6000, "how many crash images TestCrashImages checks")
	crashSeed   = flag.Uint64("crash.seed", 1, "the first script; 0: one that the clock draws")
	crashImage  = flag.Int("crash.image", -1, "check this image of the script alone, and describe it")
	crashSparse = flag.Bool("crash.sparse", false, "fewer images of each call, so of more scripts, all with disk faults")
	crashDense  = flag.Bool("crash.dense", false, "more images of each call: all combinations up to 4096, 200 drawn ones")
)

// TestCrashImages runs scripts on simulated storage and recovers what a crash could leave at every call: killed or without power, each
// unsynced page in any version, lost, torn or stale. In every image what was acknowledged is there byte for byte (I2), no row is wrong (I1), what
// is stored and held is found (I9), nothing exceeds the cap (I4), the index is sound (I5, I7), held blocks stay as they are (I6), and
// the conversation goes on.
func TestCrashImages(t *testing.T) {
	seed := *crashSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano()) % 1e9
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	limit := *crashImages
	if testing.Short() && *crashImage < 0 {
		limit = min(limit, 600)
	}
	began, total := time.Now(), crashTotals{did: map[string]int{}}
	for ; total.images < limit && !t.Failed(); seed++ {
		runCrashScript(t, seed, limit-total.images, &total)
		if *crashImage >= 0 {
			break
		}
	}
	d := time.Since(began)
	t.Logf("%d images of %d calls in %d scripts, from seed %d to %d, in %.1f s (%.0f us each on %d cores)", total.images, total.calls, total.scripts,
		*crashSeed, seed-1, d.Seconds(), d.Seconds()*1e6*float64(runtime.GOMAXPROCS(0))/float64(max(total.images, 1)), runtime.GOMAXPROCS(0))
	t.Logf("%d after a kill, %d after a power cut; %d tokens found again, %d unacknowledged turns there, %d tokens lost unacknowledged",
		total.kills, total.images-total.kills, total.reused, total.later, total.lost)
	t.Logf("the scripts did: %v; digest of the calls and images: %016x", total.did, total.digest)
	if *crashImage < 0 && !testing.Short() && !t.Failed() && (total.kills == 0 || total.reused == 0 || total.later == 0 || total.lost == 0) {
		t.Error("the images are too tame: nothing was found, or nothing was lost")
	}
	if total.scripts > 5 && *crashImage < 0 && !t.Failed() {
		want := []string{"fault", "warning", "eviction", "packed tail", "punched hole", "shared block", "snapshot", "restored snapshot"}
		for _, a := range crashActions {
			want = append(want, a.name)
		}
		for _, what := range want {
			if total.did[what] == 0 {
				t.Errorf("the scripts are too tame: no %s in %d of them", what, total.scripts)
			}
		}
	}
}

// A seed gives the same script, the same images and the same numbers of them each time: what failed can be looked at again.
func TestCrashScriptsRepeat(t *testing.T) {
	seeds := []uint64{77, 1006}
	if testing.Short() {
		seeds = seeds[:1]
	}
	for _, seed := range seeds {
		first, again := crashDigest(t, seed), crashDigest(t, seed)
		if first != again {
			t.Errorf("seed %d: %s, then %s", seed, first, again)
		}
	}
}

// crashDigest runs a script, checks no image, and says what there was.
func crashDigest(t *testing.T, seed uint64) string {
	jobs := make(chan crashJob, 32)
	go func() {
		for range jobs {
		}
	}()
	defer close(jobs)
	s := newCrashScript(t, seed, math.MaxInt, func() bool { return false }, jobs)
	s.run()
	return fmt.Sprintf("%d images of %d calls, digest %016x", s.number, s.calls, s.digest.Sum64())
}

type crashTotals struct {
	images, kills, calls, scripts, reused, later, lost int
	digest                                             uint64
	did                                                map[string]int
}

type crashJob struct {
	number int
	fs     *memfs.FS
	expect *expectation
	about  string // what was chosen, for the report
}

// runCrashScript runs the script of a seed, some processes after each other with power cuts between them, and checks at most limit images.
func runCrashScript(t *testing.T, seed uint64, limit int, total *crashTotals) {
	jobs := make(chan crashJob, 32)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed []string
	checkers := make([]*crashChecker, runtime.GOMAXPROCS(0))
	for i := range checkers {
		checkers[i] = newCrashChecker()
		wg.Go(func() {
			for job := range jobs {
				if problems := checkers[i].check(job.fs, job.expect, job.number); len(problems) > 0 {
					mu.Lock()
					failed = append(failed, fmt.Sprintf("seed %d, image %d, after call %d: %s\n\tagain: -run TestCrashImages -crash.seed=%d -crash.image=%d%s\n%s",
						seed, job.number, job.expect.begun, strings.Join(problems, "; "), seed, job.number, crashPlanFlags(), job.about))
					mu.Unlock()
				}
			}
		})
	}
	stopped := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(failed) >= 5
	}
	s := newCrashScript(t, seed, limit, stopped, jobs)
	s.did = total.did
	s.run()
	close(jobs)
	wg.Wait()
	slices.Sort(failed)
	for _, f := range failed {
		t.Error(f)
	}
	total.images += s.images
	total.kills += s.kills
	total.calls += s.calls
	total.scripts++
	total.digest = total.digest*31 + s.digest.Sum64()
	for _, c := range checkers {
		total.reused += c.nReused
		total.later += c.nLater
		total.lost += c.nLost
	}
}

// crashScript makes the images of one seed.
type crashScript struct {
	t             *testing.T
	seed          uint64
	r             *rand.Rand
	limit         int
	stopped       func() bool
	jobs          chan<- crashJob
	number        int // of all images of the script
	images, kills int // checked
	calls         int
	did           map[string]int
	digest        hash.Hash64 // of the calls and of what was chosen of them: a seed gives the same one each time
}

func newCrashScript(t *testing.T, seed uint64, limit int, stopped func() bool, jobs chan<- crashJob) *crashScript {
	return &crashScript{
		t: t, seed: seed, r: rand.New(rand.NewPCG(seed, 3)), limit: limit, stopped: stopped, jobs: jobs,
		did: map[string]int{}, digest: fnv.New64a(),
	}
}

// crashPlanFlags are the flags on which the numbers of images depend, beside the seed.
func crashPlanFlags() string {
	switch {
	case *crashSparse:
		return " -crash.sparse"
	case *crashDense:
		return " -crash.dense"
	}
	return ""
}

func (s *crashScript) plan() crashfs.Plan {
	if *crashSparse {
		return crashfs.Plan{Exhaustive: 4, Single: 2, Random: 2, Torn: 1}
	}
	if *crashDense {
		return crashfs.Plan{Exhaustive: 4096, Random: 200, Torn: 60, Stale: 8}
	}
	return crashfs.Plan{Exhaustive: 16, Single: 6, Random: 4, Torn: 3, Stale: 1}
}

func (s *crashScript) run() {
	opt := testOptions()
	opt.segmentSlots = 6
	if s.r.IntN(3) > 0 { // three segments: evictions
		opt.MaxBytes = 3 * 200 << 10
	}
	m := memfs.New()
	noMap := s.r.IntN(3) == 0
	var talks []*dialogue
	for generation := range 3 {
		before := talks
		talks = make([]*dialogue, len(crashNames)) // the images of the last process are being compared with the old ones
		for i, name := range crashNames {
			talks[i] = &dialogue{name: name}
			if before != nil {
				talks[i].ns, talks[i].salt = before[i].ns, before[i].salt
			}
		}
		opt.Random = &randomReader{n: byte(100 * generation)}
		w := &world{t: s.t, r: s.r, m: m, opt: opt, rows: newRowMaker(), talks: talks, did: s.did, cut: generation > 0}
		disk := crashfs.NewDisk(m)
		m.NoMap = noMap
		w.start()
		for _, t := range talks {
			if c, err := w.sessions.Read(t.name); err == nil {
				t.turns = c.Turns
				t.states = []dialogueState{{0, true, false, c.Turns, t.ns, t.salt, true}}
			}
		}
		for i, n := range w.ns {
			for _, p := range n.Pins() {
				for _, t := range talks {
					if SessionPin(t.name) == p.Label {
						t.pins = append(t.pins, pinState{pinned: true, sure: true, ns: i})
					}
				}
			}
		}
		w.run(50, s.r.IntN(2) == 0 || *crashSparse)
		w.m.Kill()
		for _, t := range talks {
			if t.seq != nil {
				_ = t.seq.Close()
			}
			t.journal, t.seq, t.behind = nil, nil, nil
		}
		_ = w.store.Close()
		if m = s.crash(w, disk, noMap); m == nil {
			return
		}
	}
}

// crash checks the images of all calls of a process, and returns one after which the next goes on.
func (s *crashScript) crash(w *world, d *crashfs.Disk, noMap bool) (next *memfs.FS) {
	ops := w.m.Ops()
	w.ops = ops
	s.calls += len(ops)
	seen := map[uint64]bool{}
	at, chosen := len(ops)/2+s.r.IntN(len(ops)/2), s.r.IntN(20)
	marks := w.marks()
	nMarks := 0
	for cut := 0; cut <= len(ops); cut++ {
		if cut > 0 {
			op := ops[cut-1]
			d.Apply(op)
			fmt.Fprintln(s.digest, op.Kind, op.Path, op.NewPath, op.Off, op.N, op.Failed)
			s.digest.Write(op.Data)
		}
		for nMarks < len(marks) && marks[nMarks] <= cut {
			nMarks++
		}
		mark := uint64(nMarks) * 2
		if nMarks > 0 && marks[nMarks-1] < cut {
			mark++
		}
		nAt := 0
		for c := range d.Choices(s.plan(), mark, seen, s.r) {
			s.number++
			nAt++
			fmt.Fprintln(s.digest, s.number, c.Name)
			if cut >= at && nAt > chosen && next == nil && !c.Kill {
				next = d.Image(c)
				next.NoRecord = false
			}
			if s.images >= s.limit || s.stopped() {
				return nil
			}
			if *crashImage >= 0 && *crashImage != s.number {
				continue
			}
			s.images++
			if c.Kill {
				s.kills++
			}
			fs := d.Image(c)
			fs.NoMap = noMap
			opt := w.opt
			opt.Random = &randomReader{n: byte(s.number)}
			opt.Warn = nil // the script's own counts what the script is told
			job := crashJob{number: s.number, fs: fs, expect: &expectation{cut, cut, c.Kill, w.talks, opt, w.cut || !c.Kill}}
			if c.Short {
				job.expect.done--
			}
			job.about = s.about(w, d, c, cut)
			s.jobs <- job
		}
	}
	return next
}

// marks lists the numbers of calls at which something else is expected of an image.
func (w *world) marks() []int {
	var marks []int
	for _, t := range w.talks {
		for _, s := range t.states {
			marks = append(marks, s.from)
		}
		for _, p := range t.pins {
			marks = append(marks, p.from)
		}
		for _, c := range t.claims {
			marks = append(marks, c.from, c.to)
		}
	}
	slices.Sort(marks)
	return marks
}

// about describes an image for the report of a failure.
func (s *crashScript) about(w *world, d *crashfs.Disk, c crashfs.Choice, cut int) string {
	text := fmt.Sprintf("\t%s, after %s", c.Name, describeCall(w.ops, cut))
	if *crashImage >= 0 {
		text = fmt.Sprintf("\tafter %s; %s\n\tscript: %s", describeCall(w.ops, cut), d.Describe(c), strings.Join(w.actions, "; "))
		s.t.Logf("image %d:\n%s", s.number, text)
	}
	return text
}

func describeCall(ops []memfs.Op, n int) string {
	if n == 0 {
		return "the start"
	}
	op := ops[n-1]
	return fmt.Sprintf("%s %s %s [%d, %d)", op.Kind, op.Path, op.NewPath, op.Off, op.Off+op.N)
}
