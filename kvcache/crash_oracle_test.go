package kvcache

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"kvasir/platform/vfs/memfs"
)

// expectation is what an image of a script must hold.
type expectation struct {
	begun, done int // calls; the last one may have been stopped in the middle
	kill        bool
	talks       []*dialogue
	opt         Options
	cut         bool // a power cut has been survived, by this image or before it
}

// crashChecker recovers images and compares them with what is expected. Not safe for concurrent use.
type crashChecker struct {
	rows     *rowMaker
	pool     memfs.Pool
	problems []string
	nReused  int // tokens found by all images, to see that they do find
	nLater   int // turns that were not acknowledged and are there all the same
	nLost    int // tokens that were handed out and lost in a power cut
}

func newCrashChecker() *crashChecker { return &crashChecker{rows: newRowMaker()} }

// Helper and Errorf let the checker stand for a test where one is asked for.
func (c *crashChecker) Helper() {}
func (c *crashChecker) Errorf(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

// stop ends the check of an image.
type stop struct{}

func (c *crashChecker) fail(format string, args ...any) {
	c.Errorf(format, args...)
	panic(stop{})
}

func (c *crashChecker) must(err error, doing string) {
	if err != nil {
		c.fail("%s: %v", doing, err)
	}
}

// check recovers an image, compares, has a further turn in it, and compares again. number chooses with whom. The image is used up.
func (c *crashChecker) check(m *memfs.FS, e *expectation, number int) (problems []string) {
	c.problems = nil
	m.UsePool(&c.pool)
	defer func() {
		if r := recover(); r != nil && r != any(stop{}) {
			c.Errorf("panic: %v\n%s", r, debug.Stack())
		}
		problems = c.problems
		c.pool.Reclaim()
	}()
	sessions := crashSessions(m, uint64(number))
	found := c.journals(sessions, e)
	if number%4 == 0 {
		c.list(sessions, e, found)
	}
	store, ns, err := startStore(m, e.opt)
	c.must(err, "open the store")
	c.bounds(m, store, e)
	var held []*Sequence
	for _, t := range e.talks {
		held = append(held, c.path(ns, t, found[t], e)...)
		held = append(held, c.pin(ns, t, e)...)
	}
	for _, n := range ns {
		checkStates(c, n)
	}
	t, in, stored := c.further(sessions, ns, e, found, number)
	for _, q := range held {
		c.compare(q, "a path held while another was written")
		c.must(q.Close(), "close")
	}
	for _, n := range ns {
		checkStates(c, n)
	}
	c.bounds(m, store, e)
	c.must(store.Close(), "close the store")

	// Another process.
	turns := in.turns
	after, err := sessions.Read(t.name)
	c.must(err, "read after a further turn")
	if why := differ(after.Turns, turns, turns); why != "" {
		c.fail("%s after a further turn: %s", t.name, why)
	}
	store, ns, err = startStore(m, e.opt)
	c.must(err, "open the store again")
	q := ns[in.ns].NewSequence(in.salt)
	n, err := q.Match(idsOf(turns))
	c.must(err, "match again")
	c.compare(q, "a path after a clean stop")
	if stored && n != len(idsOf(turns)) {
		c.fail("%s: after a clean stop %d tokens of %d are found", t.name, n, len(idsOf(turns)))
	}
	c.must(q.Close(), "close")
	c.must(store.Close(), "close the store again")
	return c.problems
}

// compare is invariant I1.
func (c *crashChecker) compare(q *Sequence, what string) {
	if at := c.rows.wrong(q); at >= 0 {
		c.fail("wrong KV: rows of %s, in the block at %d of %d, are not those of their tokens, or the state is not", what, at, q.Len())
	}
}

// journals compares all conversations with their histories: invariant I2.
func (c *crashChecker) journals(sessions *Sessions, e *expectation) map[*dialogue]*Conversation {
	found := map[*dialogue]*Conversation{}
	for _, t := range e.talks {
		conv, err := sessions.Read(t.name)
		if err == nil {
			found[t] = conv
		} else if !errors.Is(err, ErrNoSession) && !errors.Is(err, ErrJournal) {
			c.fail("%s: read: %v", t.name, err)
		}
		if why := c.allowed(t, e, conv, err); why != "" {
			c.fail("%s: %s", t.name, why)
		}
	}
	return found
}

// history returns the last durable state by then, and those since, the one that a call in progress leads to included.
func (t *dialogue) history(e *expectation) (acked dialogueState, since []dialogueState) {
	acked = dialogueState{durable: true}
	latest := 0
	for _, s := range t.states {
		if s.from > e.done {
			if latest < e.begun {
				since = append(since, s)
			}
			break
		}
		latest = s.from
		if s.durable || e.kill {
			acked, since = s, nil
		} else {
			since = append(since, s)
		}
	}
	return acked, since
}

// allowed says why the conversation found cannot be; "" if it can.
func (c *crashChecker) allowed(t *dialogue, e *expectation, conv *Conversation, err error) string {
	acked, since := t.history(e)
	absent := !acked.exists || acked.unsure || slices.ContainsFunc(since, func(s dialogueState) bool { return !s.exists || s.unsure })
	if err != nil {
		switch {
		case absent && (acked.exists || len(since) > 0):
			return "" // being made or removed
		case absent && errors.Is(err, ErrNoSession):
			return ""
		}
		return fmt.Sprintf("acknowledged and lost: %v; %d turns were acknowledged", err, len(acked.turns))
	}
	why := "it was removed, and is back"
	if absent && acked.exists { // being removed
		return ""
	}
	base := acked.turns
	for _, s := range append([]dialogueState{acked}, since...) {
		if !s.exists {
			continue
		}
		why = differ(conv.Turns, base, s.turns)
		if why != "" && len(s.turns) < len(base) { // a rewind that was not acknowledged, perhaps with something behind it
			base = s.turns
		}
		if e.kill && why == "" && (!equalTurns(conv.Turns, s.turns) || conv.Damaged != damaged(s.turns)) {
			why = fmt.Sprintf("killed: %s, want %s", sketch(conv.Turns), sketch(s.turns))
		}
		if why == "" {
			c.nLater += max(len(conv.Turns)-len(acked.turns), 0)
			if len(since) > 0 {
				c.nLost += max(len(idsOf(since[len(since)-1].turns))-len(idsOf(conv.Turns)), 0)
			}
			return ""
		}
	}
	return why
}

func damaged(turns []Turn) bool {
	return slices.ContainsFunc(turns, func(t Turn) bool { return t.Damaged })
}

// differ says why got cannot be what is left of a conversation on the way from acked to latest. All of acked must be there; behind it may be
// what has been said since: turns whole, and of generated ones a part.
func differ(got, acked, latest []Turn) string {
	if len(latest) < len(acked) { // a rewind that was not acknowledged
		if equalTurns(got, latest) || equalTurns(got, acked) {
			return ""
		}
		return fmt.Sprintf("neither rewound nor not: %s", sketch(got))
	}
	if len(got) < len(acked) {
		return fmt.Sprintf("acknowledged and lost: %d turns of %d", len(got), len(acked))
	}
	for i, want := range acked {
		switch growing := i == len(acked)-1 && want.Generated && !want.Complete; {
		case equalTurn(got[i], want):
		case growing && partOf(got[i], latest[i]) && len(got[i].IDs) >= len(want.IDs):
		default:
			return fmt.Sprintf("acknowledged and not the same: turn %d is %s, want %s", i, sketch(got[i:i+1]), sketch(acked[i:i+1]))
		}
	}
	rest := latest[len(acked):]
	for i, turn := range got[len(acked):] {
		at := slices.IndexFunc(rest, func(x Turn) bool { return equalTurn(turn, x) || turn.Generated && x.Generated && partOf(turn, x) })
		if at < 0 {
			return fmt.Sprintf("turn %d was never said, or was taken back: %s", len(acked)+i, sketch([]Turn{turn}))
		}
		rest = rest[at+1:]
	}
	return ""
}

// partOf reports whether a generated turn holds the beginning of another.
func partOf(got, whole Turn) bool {
	n := len(got.IDs)
	return n <= len(whole.IDs) && slices.Equal(got.IDs, whole.IDs[:n]) && strings.HasPrefix(whole.Text, got.Text) && got.Generated &&
		(!got.Complete || whole.Complete && n == len(whole.IDs) && got.Text == whole.Text)
}

func equalTurn(a, b Turn) bool {
	return a.Role == b.Role && a.Text == b.Text && a.Generated == b.Generated && a.Complete == b.Complete && a.Damaged == b.Damaged &&
		a.Finish == b.Finish && slices.Equal(a.IDs, b.IDs)
}

func equalTurns(a, b []Turn) bool { return slices.EqualFunc(a, b, equalTurn) }

// sketch names turns in few words.
func sketch(turns []Turn) string {
	var b strings.Builder
	for _, t := range turns {
		fmt.Fprintf(&b, "[%s %d tokens %d bytes", t.Role, len(t.IDs), len(t.Text))
		for _, f := range []struct {
			is   bool
			name string
		}{{!t.Complete, "incomplete"}, {t.Damaged, "damaged"}} {
			if f.is {
				b.WriteString(" " + f.name)
			}
		}
		b.WriteByte(']')
	}
	return b.String()
}

func idsOf(turns []Turn) []int32 { return (&dialogue{turns: turns}).ids() }

// list compares the list of sessions with what was read one by one.
func (c *crashChecker) list(sessions *Sessions, e *expectation, found map[*dialogue]*Conversation) {
	list, err := sessions.List()
	c.must(err, "list")
	for _, t := range e.talks {
		listed := slices.ContainsFunc(list, func(i SessionInfo) bool { return i.Err == nil && i.Name == t.name })
		if conv := found[t]; conv != nil && !listed && len(conv.Gaps) == 0 {
			c.fail("%s: it can be read and is not in the list", t.name)
		}
	}
}

// bounds is invariant I4, and that the disk is used.
func (c *crashChecker) bounds(m *memfs.FS, store *Store, e *expectation) {
	st := store.Status()
	if st.Mode != OnDisk {
		c.fail("store: %s: %v", st.Mode, st.Reason)
	}
	var size, unseen int64
	for _, path := range m.Files() {
		if strings.HasSuffix(path, ".seg") {
			info, err := m.Stat(path)
			c.must(err, "stat")
			size += info.Allocated
			if e.cut { // headers do not tell of a hole whose filling was lost: it may be taken for one that was not made
				unseen += 4096
			}
		}
		if strings.HasPrefix(path, "/home/tmp/m-") {
			c.fail("%s is left", path)
		}
	}
	if used := store.Stats().UsedBytes; size > e.opt.MaxBytes+unseen || size > used+unseen {
		c.fail("segments have %d bytes, counted are %d, the cap is %d", size, used, e.opt.MaxBytes)
	}
}

// path looks up what a conversation holds, and what was claimed of it: invariants I1 and I9. It returns open sequences.
func (c *crashChecker) path(ns [2]*Namespace, t *dialogue, conv *Conversation, e *expectation) (held []*Sequence) {
	for i := len(t.claims) - 1; i >= 0; i-- {
		claim := t.claims[i]
		if e.done < claim.from || e.begun > claim.to {
			continue
		}
		want := claim.power
		if e.kill {
			want = claim.kill
		}
		q := ns[claim.ns].NewSequence(claim.salt)
		held = append(held, q)
		got, err := q.Match(claim.ids)
		c.must(err, "match")
		c.compare(q, "a path that was stored")
		if got < want.n {
			c.fail("%s: stored and lost: %d tokens found of a path of which %d were stored", t.name, got, want.n)
		}
		break
	}
	if conv != nil {
		state := t.at(e)
		q := ns[state.ns].NewSequence(state.salt)
		held = append(held, q)
		got, err := q.Match(conv.IDs())
		c.must(err, "match")
		c.compare(q, "a conversation's path")
		c.nReused += got
	}
	return held
}

// pin compares the pin of a conversation with what was acknowledged, and looks for its path.
func (c *crashChecker) pin(ns [2]*Namespace, t *dialogue, e *expectation) (held []*Sequence) {
	i := len(t.pins) - 1
	for i >= 0 && t.pins[i].from > e.done {
		i--
	}
	p := pinState{sure: true}
	if i >= 0 {
		p = t.pins[i]
	}
	if changing := i+1 < len(t.pins) && p.from < e.begun; p.sure && !changing {
		there := false
		for _, n := range ns {
			there = there || slices.ContainsFunc(n.Pins(), func(x Pin) bool { return x.Label == SessionPin(t.name) })
		}
		if there != p.pinned {
			c.fail("%s: pinned %v, acknowledged as %v", t.name, there, p.pinned)
		}
	}
	if !p.pinned {
		return nil
	}
	want := p.synced
	if e.kill {
		want = len(p.ids)
	}
	q := ns[p.ns].NewSequence(nil)
	got, err := q.Match(p.ids)
	c.must(err, "match")
	c.compare(q, "a pinned path")
	if got < want {
		c.fail("%s: pinned and lost: %d tokens found of a path of which %d were stored", t.name, got, want)
	}
	return append(held, q)
}

// at returns the latest state that existed by then, or is being made.
func (t *dialogue) at(e *expectation) (latest dialogueState) {
	acked, since := t.history(e)
	for _, s := range append([]dialogueState{acked}, since...) {
		if s.exists {
			latest = s
		}
	}
	return latest
}

// further has one more turn: with a conversation that is there, or with one that has to be made.
func (c *crashChecker) further(sessions *Sessions, ns [2]*Namespace, e *expectation, found map[*dialogue]*Conversation, number int) (t *dialogue, in dialogueState, stored bool) {
	t = e.talks[number%len(e.talks)]
	in = t.at(e)
	var j *Journal
	conv := found[t]
	var err error
	if conv != nil {
		j, conv, err = sessions.Open(t.name)
		c.must(err, "open "+t.name)
	} else {
		j, err = sessions.Create(t.name)
		if errors.Is(err, ErrExists) { // a journal that was being removed, or made, and cannot be read: it can be removed
			c.must(sessions.Remove(t.name), "remove what is left of "+t.name)
			j, err = sessions.Create(t.name)
		}
		c.must(err, "create "+t.name)
	}
	turns := []Turn(nil)
	if conv != nil {
		turns = slices.Clone(conv.Turns)
	}
	say := func(turn Turn) {
		if turn.Generated {
			c.must(j.Tokens(turn.IDs, []byte(turn.Text), nil), "tokens")
			c.must(j.EndTurn(turn.Finish, nil), "end of turn")
		} else {
			c.must(j.Turn(turn.Role, turn.Text, turn.IDs), "turn")
		}
		turns = append(turns, turn)
	}
	q := ns[in.ns].NewSequence(in.salt)
	_, err = q.Match(idsOf(turns))
	c.must(err, "match")
	next := []int32{8000, 8001, 8002, int32(8003 + number%2)}
	for i := range 66 - len(idsOf(turns))%8 {
		next = append(next, int32(8100+i))
	}
	say(Turn{Role: "user", Text: "goes on", IDs: next, Complete: true})
	say(Turn{Role: "assistant", Text: "answers", IDs: []int32{9000, 9001}, Generated: true, Complete: true, Finish: "length"})
	for ids := idsOf(turns); q.Len() < len(ids); {
		n := min(MaxReserve, len(ids)-q.Len())
		c.must(q.Reserve(n), "reserve")
		at := q.Len()
		c.rows.write(q, ids, at, n)
		c.must(q.Commit(ids[at:at+n]), "commit")
	}
	if q.ns.lay.state != nil {
		c.must(q.PutState(c.rows.state(q, q.ids)), "take a snapshot")
	}
	c.compare(q, "a path after a further turn")
	err = q.Flush()
	if err != nil && !errors.Is(err, ErrFull) {
		c.fail("flush: %v", err)
	}
	c.compare(q, "a path after its flush")
	stored = err == nil
	for _, entry := range q.entries {
		stored = stored && (entry.block == nil || entry.block.seg != nil && !entry.block.dropped)
	}
	if b := q.Len() / BlockTokens; q.ns.lay.state != nil {
		parent := q.parent(b)
		s := q.ns.states[stateHash(&parent.hash, q.ids[b*BlockTokens:])]
		stored = stored && s != nil && s.seg != nil
	}
	c.must(q.Close(), "close")
	c.must(j.Close(), "close the journal")
	in.turns = turns
	return t, in, stored
}
