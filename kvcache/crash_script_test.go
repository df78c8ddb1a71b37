package kvcache

import (
	"bytes"
	"errors"
	"fmt"
	"math"
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

// kvClaim is how much of a path must be found in images of the calls [from, to].
type kvClaim struct {
	from, to    int
	ns          int
	salt        []byte
	ids         []int32
	kill, power tokensFound
}

// tokensFound is a length, and the snapshot that finding it depends on; nil: none.
type tokensFound struct {
	n        int
	snapshot *state
}

const forever = math.MaxInt

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
	s.random = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 7})
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
	w.warnings = map[string]int{}
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

// claim records what must be found of the path of an open sequence from here on; flushed: all that is stored is durable.
func (w *world) claim(t *dialogue, flushed bool) {
	stored := 0
	n := t.seq.ns
	n.mu.Lock()
	for _, e := range t.seq.entries {
		if e.block == nil || e.block.seg == nil || e.block.dropped {
			break
		}
		stored += BlockTokens
	}
	usable := func(tokens int) int {
		return n.lay.usable(tokens, func(b int) bool { return !t.seq.entries[b].block.windowless })
	}
	stored = usable(stored)
	found, earlier := tokensFound{n: stored}, tokensFound{}
	if c := t.claimNow(); c != nil {
		earlier = c.power
	}
	if n.lay.state == nil {
		earlier.n = usable(min(earlier.n, stored))
	} else {
		found = tokensFound{}
		if s := lastSnapshot(t.seq, stored); s != nil {
			found = tokensFound{s.pos(), s}
		}
		if earlier.n > stored {
			earlier = tokensFound{}
		}
	}
	n.mu.Unlock()
	w.unclaim(t)
	c := kvClaim{from: w.now(), to: forever, ns: t.ns, salt: t.salt, ids: slices.Clone(t.seq.ids[:stored]), kill: found, power: earlier}
	if flushed {
		c.power = found
		if found.snapshot != nil {
			w.did["durable snapshot"]++
		}
	}
	t.claims = append(t.claims, c)
}

// claimNow returns the claim that holds now, or nil.
func (t *dialogue) claimNow() *kvClaim {
	if last := len(t.claims) - 1; last >= 0 && t.claims[last].to == forever {
		return &t.claims[last]
	}
	return nil
}

// dropped reports whether the store has taken a snapshot that the claim depends on for another one.
func (c *kvClaim) dropped() bool {
	gone := func(s *state) bool { return s != nil && s.dropped }
	return gone(c.kill.snapshot) || gone(c.power.snapshot)
}

// lastSnapshot returns the stored snapshot at which a path of n positions will be taken up, if there is one. Its rows of the window are kept:
// no script goes as far beyond it as it takes to lose them. Needs n.mu.
func lastSnapshot(q *Sequence, n int) (last *state) {
	for b := n / BlockTokens; b >= 0 && last == nil; b-- {
		node := q.ns.node(q.parent(b))
		if node == nil {
			continue
		}
		for _, s := range node.states {
			end := b*BlockTokens + len(s.ids)
			if end <= n && s.seg != nil && !s.seg.failed && slices.Equal(s.ids, q.ids[b*BlockTokens:end]) && (last == nil || last.pos() < end) {
				last = s
			}
		}
	}
	return last
}

// disclaim ends, as of the call before what was just done, the claims whose snapshot it has taken for another one: rows are held, snapshots are not.
func (w *world) disclaim(begun int) {
	for _, t := range w.talks {
		if c := t.claimNow(); c != nil && c.dropped() {
			c.to = begun
		}
	}
}

// put takes a snapshot of the state, as an engine does now and then.
func (w *world) put(t *dialogue) {
	if t.seq.ns.lay.state == nil || t.seq.Len() == 0 {
		return
	}
	begun := w.now()
	w.must(t.seq.PutState(w.rows.state(t.seq, t.seq.ids)))
	w.disclaim(begun)
	w.did["snapshot"]++
}

// took follows a call that may have moved the sequence: its state is known, either from a snapshot or because it is where it was.
func (w *world) took(t *dialogue) {
	switch {
	case t.seq.ns.lay.state == nil:
		return
	case t.seq.State() != nil:
		w.did["restored snapshot"]++
	case t.seq.Len() > 0 && !slices.Equal(t.behind, t.seq.ids):
		w.must(fmt.Errorf("%s: at %d tokens without a state, which is known behind %d", t.name, t.seq.Len(), len(t.behind)))
	}
	t.behind = slices.Clone(t.seq.ids)
}

// unclaim ends the claim on the path: the next call may shorten or give up the sequence.
func (w *world) unclaim(t *dialogue) {
	if c := t.claimNow(); c != nil {
		c.to = w.now()
	}
}

// match makes the sequence hold what is stored of the path.
func (w *world) match(t *dialogue) {
	ids := t.ids()
	if commonPrefix(t.seq.ids, ids) < len(t.seq.ids) {
		w.unclaim(t)
	}
	_, err := t.seq.Match(ids)
	w.must(err)
	w.checkRows(t)
	w.claim(t, false)
}

// compute makes the rows that are missing of the path.
func (w *world) compute(t *dialogue) {
	ids := t.ids()
	for t.seq.Len() < len(ids) {
		begun, n := w.now(), min(1+w.r.IntN(130), len(ids)-t.seq.Len())
		err := t.seq.Reserve(n)
		w.took(t)
		if errors.Is(err, ErrLost) && w.faulty {
			w.unclaim(t)
			continue
		}
		w.must(err)
		at := t.seq.Len()
		w.rows.write(t.seq, ids, at, n)
		w.must(t.seq.Commit(ids[at : at+n]))
		t.behind = slices.Clone(t.seq.ids)
		if w.r.IntN(2) == 0 {
			w.put(t)
		}
		w.disclaim(begun)
	}
	if w.r.IntN(3) == 0 {
		w.put(t)
	}
	w.checkRows(t)
	w.claim(t, false)
}

func (w *world) checkRows(t *dialogue) {
	w.took(t)
	if at := w.rows.wrong(t.seq); at >= 0 {
		w.must(fmt.Errorf("%s: rows of the block at %d are not those of its tokens", t.name, at))
	}
}

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

// The actions. Each returns whether it could be done.

var crashNames = []string{"alpha", "beta", "gamma", "delta"}

// words is the text of generated tokens: a function of them.
func words(ids []int32) string {
	var b strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&b, "%d ", id)
	}
	return b.String()
}

// phrase draws ids from few sequences, so that conversations share prefixes and part in the middle of blocks.
func (w *world) phrase(most int) []int32 {
	ids, base := make([]int32, 1+w.r.IntN(most)), int32(w.r.IntN(3)*1000)
	for i := range ids {
		ids[i] = base + int32(i)
	}
	return ids
}

func (w *world) create(t *dialogue) bool {
	if t.exists() {
		return false
	}
	w.noteAbsent(t)
	begun := w.now()
	j, err := w.sessions.Create(t.name)
	if err != nil && w.faulty {
		t.states = append(t.states, dialogueState{from: begun, exists: true, unsure: true}) // until it was withdrawn
		w.note(t, false, false)
		if c, readErr := w.sessions.Read(t.name); readErr == nil { // it failed after the record was written
			t.turns = c.Turns
			w.note(t, true, false)
		}
		return true
	}
	w.must(err)
	t.turns, t.open, t.journal, t.ns, t.salt = nil, false, j, 0, nil
	if w.r.IntN(3) == 0 {
		t.ns = 1
	}
	if w.r.IntN(4) == 0 {
		t.salt = []byte("other user")
	}
	w.note(t, true, true)
	t.seq, t.behind = w.ns[t.ns].NewSequence(t.salt), nil
	if err := j.Model(ModelRecord{Fingerprint: crashPrints[t.ns], Name: "toy"}); err != nil {
		w.failed(t, err)
	}
	system := make([]int32, 90+60*w.r.IntN(2))
	for i := range system {
		system[i] = 7000 + int32(i)
	}
	return w.turn(t, "system", system)
}

func (w *world) turn(t *dialogue, role string, ids []int32) bool {
	if t.journal == nil {
		return false
	}
	text := fmt.Sprintf("says %s with %d tokens", role, len(ids))
	if w.r.IntN(12) == 0 {
		text += strings.Repeat(" and so on", w.r.IntN(4000)) // some pages, beyond the extent at times
	}
	if err := t.journal.Turn(role, text, ids); err != nil {
		w.failed(t, err)
		return true
	}
	t.turns = append(slices.Clip(t.turns), Turn{Role: role, Text: text, IDs: ids, Complete: true})
	t.open = false
	w.note(t, true, true)
	if w.r.IntN(4) == 0 || t.seq.Len() == 0 {
		w.match(t)
	}
	w.compute(t)
	return true
}

func (w *world) say(t *dialogue) bool { return len(t.ids()) < 320 && w.turn(t, "user", w.phrase(90)) }

func (w *world) generate(t *dialogue) bool {
	if t.journal == nil || len(t.ids()) > 400 {
		return false
	}
	for range 1 + w.r.IntN(12) {
		ids := w.phrase(3)
		if err := t.journal.Tokens(ids, []byte(words(ids)), []byte("state")); err != nil {
			w.failed(t, err)
			return true
		}
		if t.turns = slices.Clone(t.turns); !t.open {
			t.turns = append(t.turns, Turn{Role: "assistant", Generated: true})
		}
		t.open = true
		last := &t.turns[len(t.turns)-1]
		last.IDs, last.Text = append(slices.Clip(last.IDs), ids...), last.Text+words(ids)
		w.note(t, true, false)
		w.compute(t)
	}
	if w.r.IntN(4) > 0 {
		return w.end(t)
	}
	return true
}

func (w *world) end(t *dialogue) bool {
	if t.journal == nil || !t.open {
		return false
	}
	if err := t.journal.EndTurn("stop", []byte("after")); err != nil {
		w.failed(t, err)
		return true
	}
	t.turns, t.open = slices.Clone(t.turns), false
	last := &t.turns[len(t.turns)-1]
	last.Complete, last.Finish = true, "stop"
	w.note(t, true, true)
	return true
}

func (w *world) rewind(t *dialogue) bool {
	if t.journal == nil || len(t.turns) < 2 {
		return false
	}
	keep := 1 + w.r.IntN(len(t.turns))
	w.unclaim(t)
	if err := t.journal.Rewind(keep); err != nil {
		w.failed(t, err)
		return true
	}
	t.turns, t.open = slices.Clone(t.turns[:keep]), false
	w.note(t, true, true)
	if n := len(t.ids()); w.r.IntN(2) == 0 && t.seq.Len() >= n {
		if err := t.seq.Truncate(n); !errors.Is(err, ErrLost) { // lost: planes of the window are not there any more
			w.must(err)
		}
		w.checkRows(t)
		w.claim(t, false)
	} else {
		w.match(t)
	}
	w.compute(t)
	return true
}

func (w *world) flush(t *dialogue) bool {
	if t.seq == nil || t.seq.Len() == 0 {
		return false
	}
	err := t.seq.Flush()
	if err != nil && !w.faulty && !errors.Is(err, ErrFull) {
		w.must(err)
	}
	w.checkRows(t)
	flushed := err == nil && t.seq.ns.Durable() && !w.doubtful
	w.claim(t, flushed)
	if flushed {
		w.synced(t.ns)
	}
	return true
}

func (w *world) close(t *dialogue) bool {
	if t.journal == nil && t.seq == nil {
		return false
	}
	if t.journal != nil {
		w.must(t.journal.Close())
	}
	if t.seq != nil {
		w.unclaim(t)
		w.must(t.seq.Close())
	}
	t.journal, t.seq, t.behind = nil, nil, nil
	return true
}

func (w *world) resume(t *dialogue) bool {
	if t.journal != nil || !t.exists() {
		return false
	}
	j, c, err := w.sessions.Open(t.name)
	if err != nil {
		if !w.faulty {
			w.must(err)
		}
		return true
	}
	t.journal, t.turns, t.open = j, c.Turns, c.open
	w.note(t, true, false)
	if t.seq == nil {
		t.seq = w.ns[t.ns].NewSequence(t.salt)
	}
	w.match(t)
	w.compute(t)
	return true
}

// stray computes a path that no conversation holds, as a run without a session does: what it leaves is there to be evicted.
func (w *world) stray(*dialogue) bool {
	t := &dialogue{name: "stray", ns: w.r.IntN(4) / 3}
	t.turns = []Turn{{IDs: append(w.phrase(100), w.phrase(150)...)}}
	if w.r.IntN(3) == 0 { // long enough for the window to leave its beginning
		t.turns = append(t.turns, Turn{IDs: append(w.phrase(150), w.phrase(150)...)})
	}
	t.seq = w.ns[t.ns].NewSequence(nil)
	w.match(t)
	w.compute(t)
	if w.r.IntN(3) == 0 {
		w.flush(t)
	}
	w.must(t.seq.Close())
	return true
}

// pin keeps the path of a conversation from being evicted, or lets it go again.
func (w *world) pin(t *dialogue) bool {
	if t.seq == nil || t.salt != nil {
		return false
	}
	if was := t.pinnedNow(); was.pinned && was.sure {
		err := w.ns[was.ns].Unpin(SessionPin(t.name))
		if !errors.Is(err, ErrNotDurable) {
			w.notePin(t, pinState{sure: w.done(err)})
		}
		return true
	}
	n, err := w.ns[t.ns].Pin(SessionPin(t.name), t.seq.ids)
	if errors.Is(err, ErrPinLimit) || errors.Is(err, ErrNotStored) || errors.Is(err, ErrNotDurable) {
		return true
	}
	p := pinState{pinned: err == nil, sure: w.done(err), ns: t.ns}
	if p.pinned && w.ns[t.ns].lay.state == nil { // with a state, a path is found as far as its last snapshot, and those are not pinned
		p.ids = slices.Clone(t.seq.ids[:t.seq.usable(n/BlockTokens*BlockTokens)])
	}
	w.notePin(t, p)
	return true
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

// move exports a conversation and imports it under another name.
func (w *world) move(t *dialogue) bool {
	i := slices.IndexFunc(w.talks, func(from *dialogue) bool { return from != t && from.exists() && len(from.turns) > 0 })
	if i < 0 || t.exists() || t.journal != nil {
		return false
	}
	from := w.talks[i]
	c, err := w.sessions.Read(from.name)
	w.must(err)
	var archive bytes.Buffer
	if _, err := w.sessions.Export(&archive, from.name, w.r.IntN(4) == 0); errors.Is(err, ErrDamaged) {
		return true
	} else {
		w.must(err)
	}
	w.noteAbsent(t)
	t.ns, t.salt, t.turns = from.ns, nil, c.Turns
	_, err = w.sessions.Import(&archive, ImportOptions{Name: t.name, Store: w.store})
	w.made(t, err)
	return true
}

// made notes a conversation that a call made whole, or not at all.
func (w *world) made(t *dialogue, err error) {
	if w.done(err) {
		w.note(t, true, true)
	} else if _, readErr := w.sessions.Read(t.name); readErr == nil {
		w.note(t, true, false)
	}
}

// fork makes a conversation of the first turns of another: invariant I8, as all images go on comparing both.
func (w *world) fork(t *dialogue) bool {
	i := slices.IndexFunc(w.talks, func(from *dialogue) bool { return from != t && from.exists() && len(from.turns) > 0 })
	if i < 0 || t.exists() || t.journal != nil {
		return false
	}
	from := w.talks[i]
	c, err := w.sessions.Read(from.name)
	w.must(err)
	w.noteAbsent(t)
	n := 1 + w.r.IntN(len(c.Turns))
	t.ns, t.salt, t.turns = from.ns, from.salt, slices.Clone(c.Turns[:n])
	if err := w.sessions.Fork(c, t.name, n); !errors.Is(err, ErrDamaged) {
		w.made(t, err)
	}
	return true
}

func (w *world) remove(t *dialogue) bool {
	if !t.exists() {
		return false
	}
	w.close(t)
	if t.pinnedNow().pinned {
		w.notePin(t, pinState{}) // goes with the rows, or stays
	}
	remove := w.sessions.Remove
	if w.r.IntN(2) == 0 { // with the rows that nobody else uses
		remove = func(name string) error {
			_, err := w.sessions.RemoveRows(name, w.store)
			return err
		}
	}
	if err := remove(t.name); err != nil {
		if !w.faulty {
			w.must(err)
		}
		if c, err := w.sessions.Read(t.name); err == nil {
			t.turns = c.Turns
			w.note(t, true, false)
		} else {
			w.note(t, false, false)
		}
		return true
	}
	t.turns = nil
	w.note(t, false, true)
	return true
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
