package kvcache

import "time"

// Values of replay.open that are no index.
const (
	noTurn  = -1 // the next TOKENS record opens a turn
	cutTurn = -2 // tokens belong to a turn that a gap has cut: they are dropped
)

// replay builds a Conversation from records in their order.
type replay struct {
	c    *Conversation
	open int    // index of the turn that TOKENS belong to, or noTurn, or cutTurn
	text []byte // of the open turn
}

// damaged notes damage behind the first n turns.
func (r *replay) damaged(n int) {
	if !r.c.Damaged {
		r.c.Damaged, r.c.Sound = true, n
	}
}

// closeText moves the gathered text to the open turn.
func (r *replay) closeText() {
	if r.open >= 0 {
		r.c.Turns[r.open].Text = string(r.text)
	}
	r.text = r.text[:0]
}

// settle ends the open turn.
func (r *replay) settle() {
	r.closeText()
	r.open = noTurn
}

// cut notes a gap in the records.
func (r *replay) cut() {
	sound := len(r.c.Turns)
	if r.open >= 0 {
		t := &r.c.Turns[r.open]
		t.Damaged, t.Sampler = true, nil
		sound = r.open
	}
	r.damaged(sound)
	r.settle()
	r.open = cutTurn
}

// finish ends the reading.
func (r *replay) finish() {
	r.closeText()
	r.c.cut, r.c.open = r.open == cutTurn, r.open >= 0
	if !r.c.Damaged {
		r.c.Sound = len(r.c.Turns)
	}
}

// generated opens a generated turn if none is open.
func (r *replay) generated() *Turn {
	if r.open == noTurn {
		r.c.Turns = append(r.c.Turns, Turn{Role: "assistant", Generated: true})
		r.open = len(r.c.Turns) - 1
	}
	return &r.c.Turns[r.open]
}

// apply takes one valid record in. One whose payload does not parse marks the conversation as damaged and changes nothing else.
func (r *replay) apply(kind uint8, p *payload) {
	c := r.c
	switch kind {
	case recSession:
		created := p.u64()
		name := string(p.take(p.u16()))
		if !p.bad && checkName(name) == nil {
			c.Created, c.Name = time.Unix(0, int64(created)), name
		} else {
			p.bad = true
		}
	case recFork:
		n := p.u8()
		f := Fork{}
		copy(f.id[:], p.take(len(f.id)))
		f.Turns = p.u32()
		f.Session = string(p.take(n))
		if !p.bad {
			c.Parent = &f
		}
	case recModel:
		m := ModelRecord{}
		copy(m.Fingerprint[:], p.take(len(m.Fingerprint)))
		m.Name = string(p.take(p.u16()))
		m.Settings = append([]byte(nil), p.take(p.u32())...)
		if !p.bad {
			c.Model = m
		}
	case recUser:
		t := Turn{Complete: true, At: time.Unix(0, int64(p.u64()))}
		t.Role = string(p.take(p.u8()))
		t.IDs = p.ids(nil, p.u32())
		t.Text = string(p.take(p.u32()))
		if !p.bad {
			r.settle()
			c.Turns = append(c.Turns, t)
		}
	case recTokens:
		r.tokens(p)
	case recTurnEnd:
		r.turnEnd(p)
	case recEdit:
		op, keep := p.u8(), p.u32()
		if !p.bad && (op == editRewind || op == editAccept) && keep <= len(c.Turns) {
			r.settle()
			r.rewind(keep, op == editAccept)
		}
	}
	if p.bad {
		r.damaged(len(c.Turns))
	}
}

// rewind forgets all turns but the first keep, and damage that lies behind those, if there are turns to forget or it is accepted (rule J9).
func (r *replay) rewind(keep int, accept bool) {
	c := r.c
	if keep <= c.Sound && (accept || keep < len(c.Turns)) {
		c.Damaged = false
	}
	if keep == len(c.Turns) {
		return
	}
	if c.Parent != nil {
		c.Parent.Turns = min(c.Parent.Turns, keep)
	}
	f := forgotten{keep: keep, turns: make([][]int32, 0, len(c.Turns)-keep)}
	for _, t := range c.Turns[keep:] {
		f.turns = append(f.turns, t.IDs)
	}
	c.forgotten = append(c.forgotten, f)
	clear(c.Turns[keep:])
	c.Turns = c.Turns[:keep]
}

func (r *replay) tokens(p *payload) {
	ids := p.take(4 * p.u16())
	text := p.take(p.u16())
	state := p.take(p.u16())
	if p.bad || r.open == cutTurn {
		return
	}
	t := r.generated()
	in := payload{b: ids}
	t.IDs = in.ids(t.IDs, len(ids)/4)
	r.text = append(r.text, text...)
	if len(state) > 0 {
		t.Sampler = append(t.Sampler[:0], state...)
	}
}

func (r *replay) turnEnd(p *payload) {
	at := p.u64()
	finish := string(p.take(p.u8()))
	n := p.u32()
	var digest Hash
	copy(digest[:], p.take(len(digest)))
	state := p.take(p.u16())
	if p.bad {
		return
	}
	if r.open == cutTurn {
		r.open = noTurn
		return
	}
	t := r.generated() // an answer without a token is a turn too
	t.At, t.Finish, t.Complete = time.Unix(0, int64(at)), finish, true
	if n != len(t.IDs) || digest != idsDigest(t.IDs) {
		t.Damaged, t.Complete = true, false
		r.damaged(r.open)
	}
	if len(state) > 0 {
		t.Sampler = append(t.Sampler[:0], state...)
	}
	r.settle()
}
