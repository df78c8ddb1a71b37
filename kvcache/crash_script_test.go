package kvcache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"kvasir/platform/vfs"
	"kvasir/platform/vfs/memfs"
)

// dialogue is a conversation of a crash script, and what is known of it: after which call it was in which state.
type dialogue struct {
	name    string
	ns      int
	salt    []byte
	turns   []Turn
	open    bool      // generated tokens go to the last turn
	journal *Journal  // nil: closed
	seq     *Sequence // of the path of all turns, or of a part of it; nil: closed
	behind  []int32   // the path whose recurrent state is known, as an engine does; nil: none
	states  []dialogueState
	claims  []kvClaim
	pins    []pinState
}

// pinState is what is known of a conversation's pin from some call on.
type pinState struct {
	from   int
	pinned bool
	sure   bool // false after a call that failed
	ns     int
	ids    []int32 // whole blocks of the pinned path
	synced int     // of these, durable
}

// dialogueState is what a journal holds from some call on.
type dialogueState struct {
	from    int // number of calls after which it held
	exists  bool
	unsure  bool // or it does not
	turns   []Turn
	ns      int
	salt    []byte
	durable bool // acknowledged: from here on a power cut does not change it
}

func (t *dialogue) ids() []int32 {
	var ids []int32
	for _, turn := range t.turns {
		ids = append(ids, turn.IDs...)
	}
	return ids
}

// world runs a script against a recorded file system.
type world struct {
	t        testing.TB
	r        *rand.Rand
	m        *memfs.FS
	opt      Options
	rows     *rowMaker
	store    *Store
	ns       [2]*Namespace
	sessions *Sessions
	talks    []*dialogue
	warnings map[string]int // of the process
	given    map[Hash]bool  // snapshots that the process was given
	ops      []memfs.Op     // recorded; set at the end
	actions  []string       // what was done, with the number of calls before it
	did      map[string]int
	unsynced bool // a sync of a segment failed
	doubtful bool // in an earlier process, and later ones cannot know: what it wrote may be lost, a miss, whatever they sync
	cut      bool // it goes on after a power cut
	faulty   bool // a fault was injected since the last start
}

var crashPrints = [2]Fingerprint{{1, 2, 3}, {9}}

// startStore opens the store and both namespaces.
func startStore(fsys vfs.FS, opt Options) (*Store, [2]*Namespace, error) {
	var ns [2]*Namespace
	s, err := Open(fsys, "/home", opt)
	for i := range ns {
		if err == nil {
			ns[i], err = s.Namespace(crashPrints[i], []byte("toy model"), crashGeometries[i])
		}
	}
	return s, ns, err
}

func crashSessions(fsys vfs.FS, seed uint64) *Sessions {
	s := NewSessions(fsys, "/home")
	s.clock = func() time.Time { return time.Unix(1e9, 5) }
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	key[31] = 7
	s.random = rand.NewChaCha8(key)
	return s
}

func (w *world) must(err error) {
	if err != nil {
		w.t.Helper()
		w.t.Fatalf("%v\nscript: %s", err, strings.Join(w.actions, "; "))
	}
}

func (w *world) now() int { return w.m.Calls() }

// start begins a process: on what m holds the conversations are as their journals say.
func (w *world) start() {
	var err error
	w.checkWarnings()
	w.faulty, w.doubtful = false, w.doubtful || w.unsynced
	w.m.Fault = nil
	w.warnings, w.given = map[string]int{}, map[Hash]bool{}
	w.opt.Warn = func(err error) { w.warnings[err.Error()]++ }
	w.store, w.ns, err = startStore(w.m, w.opt)
	w.must(err)
	if st := w.store.Status(); st.Mode != OnDisk {
		w.must(fmt.Errorf("store after start: %s: %w", st.Mode, st.Reason))
	}
	w.sessions = crashSessions(w.m, w.r.Uint64())
}

// checkWarnings: what goes wrong is said once, and nothing is said when all is well.
func (w *world) checkWarnings() {
	for text, n := range w.warnings {
		if n > 1 {
			w.must(fmt.Errorf("said %d times: %s", n, text))
		}
		if !w.faulty && !strings.Contains(text, ErrFull.Error()) {
			w.must(fmt.Errorf("said without a fault: %s", text))
		}
		w.did["warning"]++
	}
}

// note records the state of a conversation after a call that has returned.
func (w *world) note(t *dialogue, exists, durable bool) {
	s := dialogueState{from: w.now(), exists: exists, ns: t.ns, salt: t.salt, durable: durable}
	if exists {
		s.turns = slices.Clone(t.turns) // else those of a call that failed, at times
	}
	t.states = append(t.states, s)
}

// noteAbsent records that a conversation does not exist, before it is made. If its removal failed half-way it may come back.
func (w *world) noteAbsent(t *dialogue) {
	n := len(t.states)
	w.note(t, false, n == 0 || t.states[n-1].durable)
}

func (t *dialogue) exists() bool { return len(t.states) > 0 && t.states[len(t.states)-1].exists }

// failed follows a call of the journal that returned an error: what it holds now is read, as the user of a journal does.
func (w *world) failed(t *dialogue, err error) {
	if !w.faulty {
		w.must(err)
	}
	if errors.Is(err, vfs.ErrNoSpace) && t.journal.failed == nil {
		w.note(t, true, false) // refused, and the journal goes on
		return
	}
	durable := t.journal.Sync() == nil // asked once more, it must not say that all is well
	w.must(t.journal.Close())
	t.journal = nil
	w.reread(t)
	if durable {
		w.note(t, true, true)
	}
}

// reread takes over what the journal says: some of the calls that failed may have left what they wrote.
func (w *world) reread(t *dialogue) {
	c, err := w.sessions.Read(t.name)
	w.must(err)
	t.turns = c.Turns
	w.note(t, true, false)
}

// done reports whether a call succeeded; it must, unless the disk was made to fail.
func (w *world) done(err error) bool {
	if err != nil && !w.faulty {
		w.must(err)
	}
	return err == nil
}

func (w *world) notePin(t *dialogue, p pinState) {
	p.from = w.now()
	t.pins = append(t.pins, p)
}

func (t *dialogue) pinnedNow() pinState {
	if len(t.pins) == 0 {
		return pinState{sure: true}
	}
	return t.pins[len(t.pins)-1]
}

// synced notes that all that is stored in a namespace is durable, pinned paths too.
func (w *world) synced(ns int) {
	for _, t := range w.talks {
		if p := t.pinnedNow(); p.pinned && p.ns == ns && p.synced < len(p.ids) {
			p.synced = len(p.ids)
			w.notePin(t, p)
		}
	}
}

// restart stops the process, cleanly or not, and starts another on what it left.
func (w *world) restart(kill bool) {
	for _, t := range w.talks {
		if !kill {
			w.flushAtStop(t)
			w.close(t)
		}
		w.unclaim(t)
	}
	if kill {
		w.checkWarnings()
		w.m.Kill()
		for _, t := range w.talks { // give back their memory: no call of theirs reaches the files
			if t.seq != nil {
				_ = t.seq.Close()
			}
			t.journal, t.seq, t.behind = nil, nil, nil
		}
	}
	if err := w.store.Close(); err != nil && !kill && !w.faulty {
		w.must(err)
	}
	if kill {
		clear(w.warnings) // what the dead process said when its memory was taken back
	}
	w.start()
	for _, t := range w.talks {
		if t.exists() {
			w.reread(t)
		}
	}
}

func (w *world) flushAtStop(t *dialogue) {
	if t.seq != nil && w.r.IntN(2) == 0 {
		w.flush(t)
	}
}

// fault makes the next calls of one kind fail, once or for a while.
func (w *world) fault() {
	kinds := []memfs.Kind{memfs.Write, memfs.Write, memfs.Write, memfs.Fdatasync, memfs.Fdatasync, memfs.Fdatasync, memfs.SyncDir, memfs.Rename, memfs.CreateOp, memfs.Fallocate}
	kind := kinds[w.r.IntN(len(kinds))]
	skip, times := w.r.IntN(4), 1
	cause := errDisk
	if kind == memfs.Write || kind == memfs.Fallocate {
		cause = []error{errDisk, vfs.ErrNoSpace}[w.r.IntN(2)]
		times += w.r.IntN(3)
	}
	segments := w.r.IntN(2) == 0 // those alone
	short := kind == memfs.Write && w.r.IntN(2) == 0
	w.faulty = true
	w.m.Fault = func(op memfs.Op) error {
		if op.Kind != kind || segments && !strings.HasSuffix(op.Path, ".seg") {
			return nil
		}
		if skip > 0 {
			skip--
			return nil
		}
		if times == 0 {
			return nil
		}
		times--
		w.unsynced = w.unsynced || kind == memfs.Fdatasync && strings.HasSuffix(op.Path, ".seg")
		if short && op.N > 1 {
			return &memfs.ShortWrite{N: int(op.N) / 2, Err: cause}
		}
		return cause
	}
	w.actions = append(w.actions, fmt.Sprintf("%d: fault %s %v, short %v, segments alone %v", w.now(), kind, cause, short, segments))
	for _, t := range w.talks { // twice: the second time must not make good the first
		if kind == memfs.Fdatasync && segments {
			skip = 0
			if w.flush(t) {
				w.flush(t)
			}
		}
	}
}

// action is what a script may do next, with whom.
type action struct {
	weight int
	name   string
	do     func(w *world, t *dialogue) bool
}

var crashActions = []action{
	{6, "create", (*world).create}, {10, "say", (*world).say}, {14, "generate", (*world).generate}, {3, "end", (*world).end},
	{4, "rewind", (*world).rewind}, {8, "flush", (*world).flush}, {3, "close", (*world).close}, {8, "resume", (*world).resume},
	{1, "remove", (*world).remove}, {3, "fork", (*world).fork}, {2, "move", (*world).move}, {4, "pin", (*world).pin},
	{1, "restart", func(w *world, _ *dialogue) bool { w.restart(false); return true }},
	{5, "stray", (*world).stray},
	{1, "kill", func(w *world, _ *dialogue) bool { w.restart(true); return true }},
}

// run does n actions.
func (w *world) run(n int, faults bool) {
	actions := crashActions
	if faults {
		actions = append(slices.Clip(actions), action{6, "fault", func(w *world, _ *dialogue) bool { w.fault(); return true }})
	}
	total := 0
	for _, a := range actions {
		total += a.weight
	}
	for done := 0; done < n; {
		t, at := w.talks[w.r.IntN(len(w.talks))], w.r.IntN(total)
		for _, a := range actions {
			if at -= a.weight; at >= 0 {
				continue
			}
			begun := w.now()
			w.actions = append(w.actions, fmt.Sprintf("%d: %s %s", begun, a.name, t.name))
			did := a.do(w, t)
			w.disclaim(begun)
			if did {
				done++
				w.did[a.name]++
			} else {
				w.actions = w.actions[:len(w.actions)-1]
			}
			break
		}
	}
	for _, t := range w.talks {
		if t.seq != nil {
			w.checkRows(t)
		}
	}
	st := w.store.Stats()
	w.did["eviction"] += int(st.EvictedBlocks)
	w.did["packed tail"] += int(st.PackedBlocks)
	w.did["punched hole"] += int(st.PunchedBytes / 4096)
	w.did["shared block"] += int(st.SharedBlocks)
	w.checkWarnings()
	if used := st.UsedBytes; used > w.opt.MaxBytes {
		w.must(fmt.Errorf("%d bytes used of %d", used, w.opt.MaxBytes))
	}
}
