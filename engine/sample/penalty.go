package sample

// window counts the recent tokens.
type window struct {
	ring   []int32      // the last n tokens; nil when all are recent
	head   int          // where the next one goes
	counts []tokenCount // the distinct tokens, in no order that matters
	slot   []int32      // by id: index in counts + 1
}

type tokenCount struct {
	id int32
	n  int32
}

func newWindow(lastN, nVocab int) *window {
	w := &window{slot: make([]int32, nVocab)}
	if lastN > 0 {
		w.ring = make([]int32, 0, min(lastN, 4096))
		w.counts = make([]tokenCount, 0, min(lastN, nVocab, 4096))
	}
	return w
}

func (w *window) reset() {
	for _, c := range w.counts {
		w.slot[c.id] = 0
	}
	w.counts = w.counts[:0]
	w.ring, w.head = w.ring[:0], 0
}

// add makes id the most recent token of a window of lastN, -1 for no bound.
func (w *window) add(id int32, lastN int) {
	if lastN > 0 {
		if len(w.ring) < lastN {
			w.ring = append(w.ring, id)
		} else {
			w.drop(w.ring[w.head])
			w.ring[w.head] = id
			if w.head++; w.head == lastN {
				w.head = 0
			}
		}
	}
	if s := w.slot[id]; s > 0 {
		w.counts[s-1].n++
		return
	}
	w.counts = append(w.counts, tokenCount{id, 1})
	w.slot[id] = int32(len(w.counts))
}

func (w *window) drop(id int32) {
	i := w.slot[id] - 1
	if w.counts[i].n--; w.counts[i].n > 0 {
		return
	}
	last := w.counts[len(w.counts)-1]
	w.counts[i] = last
	w.slot[last.id] = i + 1
	w.slot[id] = 0
	w.counts = w.counts[:len(w.counts)-1]
}

// penalise returns the logit of a token that was seen n times.
func (p *Params) penalise(logit float32, n int32) float32 {
	if logit <= 0 {
		logit *= p.RepeatPenalty
	} else {
		logit /= p.RepeatPenalty
	}
	return logit - (float32(float32(n)*p.FrequencyPenalty) + p.PresencePenalty)
}
