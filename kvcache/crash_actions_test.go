package kvcache

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The actions of crash scripts. Each reports whether it could be done.

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

// source returns the conversation of which t is to be made, and what its journal says; nil if there is none, or t is there already.
func (w *world) source(t *dialogue) (*dialogue, *Conversation) {
	i := slices.IndexFunc(w.talks, func(from *dialogue) bool { return from != t && from.exists() && len(from.turns) > 0 })
	if i < 0 || t.exists() || t.journal != nil {
		return nil, nil
	}
	c, err := w.sessions.Read(w.talks[i].name)
	w.must(err)
	return w.talks[i], c
}

// move exports a conversation and imports it under another name.
func (w *world) move(t *dialogue) bool {
	from, c := w.source(t)
	if from == nil {
		return false
	}
	var archive bytes.Buffer
	if _, err := w.sessions.Export(&archive, from.name, w.r.IntN(4) == 0); errors.Is(err, ErrDamaged) {
		return true
	} else {
		w.must(err)
	}
	w.noteAbsent(t)
	t.ns, t.salt, t.turns = from.ns, nil, c.Turns
	_, err := w.sessions.Import(&archive, ImportOptions{Name: t.name, Store: w.store})
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
	from, c := w.source(t)
	if from == nil {
		return false
	}
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
