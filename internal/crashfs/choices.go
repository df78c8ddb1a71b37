package crashfs

import (
	"cmp"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"

	"kvasir/platform/vfs/memfs"
)

// Plan says how many choices are made of one state of a Disk.
type Plan struct {
	Exhaustive int // all combinations of versions if there are at most this many
	Single     int // otherwise at most this many things lost, and kept, alone, drawn if there are more; 0: each
	Random     int // otherwise, beside the systematic ones, this many drawn
	Torn       int // drawn ones with pages torn at sectors
	Stale      int // drawn ones with stale space, of each kind
}

// Choices enumerates what a crash may leave after the calls applied so far, without two that are alike. The record of what was made
// before, in seen, is kept by the caller; what it holds is left out. mark is mixed into the identity, so that an image counts as another one when other
// things are expected of it.
//
// Always: all, for a process that was killed; a write of several pages stopped between two of them; nothing. With few combinations, every one.
// With more: each thing alone lost, each alone kept, the newest ones kept and the older ones lost at every point between, and drawn ones.
func (d *Disk) Choices(plan Plan, mark uint64, seen map[uint64]bool, r *rand.Rand) iter.Seq[Choice] {
	return func(yield func(Choice) bool) {
		try := func(c Choice) bool {
			c.hash = d.choiceHash(c)
			key := mix(c.hash ^ mix(mark+1))
			if c.Kill {
				key = mix(key + 1)
			}
			if seen[key] {
				return true
			}
			seen[key] = true
			return yield(c)
		}
		newest := d.Newest()
		if !try(newest) || !d.stopped(newest, try) {
			return
		}
		base := func(name string) Choice {
			return Choice{Name: name, picks: make([]pick, len(d.units))}
		}
		if !try(base("none")) {
			return
		}
		nCombos := 1
		for _, u := range d.units {
			if nCombos *= u.nVersions(); nCombos > plan.Exhaustive {
				break
			}
		}
		if nCombos <= plan.Exhaustive {
			if !d.every(base, try) {
				return
			}
		} else if !d.systematic(plan.Single, base, newest, r, try) {
			return
		}
		draw := func(name string) Choice {
			c := base(name)
			odds := 1 + r.IntN(7) // of 8, that a thing arrived
			for i, u := range d.units {
				if r.IntN(8) < odds {
					c.picks[i].a = 1 + r.IntN(u.nVersions()-1)
				}
			}
			return c
		}
		if nCombos > plan.Exhaustive {
			for range plan.Random {
				if !try(draw("drawn")) {
					return
				}
			}
		}
		for i := range plan.Torn {
			if len(d.units) == 0 {
				break
			}
			c := draw("torn")
			if i == 0 { // the newest pages alone, in part
				c.picks = slices.Clone(newest.picks)
			}
			for i, u := range d.units {
				if u.kind == pageUnit {
					c.picks[i].b, c.picks[i].mask = r.IntN(u.nVersions()), uint8(r.Uint32())
				}
			}
			if !try(c) {
				return
			}
		}
		for i := range 2 * plan.Stale {
			c := draw("stale")
			if i < 2 {
				c = base("none, stale")
			}
			c.stale = Junk + Stale(i%2)
			if !try(c) {
				return
			}
		}
	}
}

// stopped makes the choices in which the last call, a write of several pages, was stopped by the end of the process.
func (d *Disk) stopped(newest Choice, try func(Choice) bool) bool {
	if d.last.Kind != memfs.Write {
		return true
	}
	var pages []int
	for i, u := range d.units {
		if u.lastN == d.nOps && u.kind == pageUnit {
			pages = append(pages, i)
		}
	}
	slices.SortFunc(pages, func(i, j int) int { return cmp.Compare(d.units[i].page, d.units[j].page) })
	for whole := 1; whole < len(pages); whole++ {
		c := newest
		c.Short = true
		c.Name, c.picks = fmt.Sprintf("the last write stopped after %d of %d pages", whole, len(pages)), slices.Clone(newest.picks)
		for _, i := range pages[whole:] {
			c.picks[i].a--
		}
		reached := (d.units[pages[whole-1]].page + 1) * pageBytes
		more := true
		d.withLength(c, reached, func() { more = try(c) })
		if !more {
			return false
		}
	}
	return true
}

// withLength runs fn while the file that the last call wrote has, in choice c, the length to which a stopped write had come.
func (d *Disk) withLength(c Choice, reached int64, fn func()) {
	for i, u := range d.units {
		if u.kind != sizeUnit || u.lastN != d.nOps || u.file.id != d.last.File {
			continue
		}
		sizes := u.sizes
		u.sizes = append(slices.Clone(sizes), max(min(reached, u.file.size), sizes[len(sizes)-2]))
		c.picks[i].a = len(sizes)
		fn()
		u.sizes = sizes
		return
	}
	fn()
}

// every tries all combinations of versions.
func (d *Disk) every(base func(string) Choice, try func(Choice) bool) bool {
	c := base("every combination")
	for {
		i := 0
		for ; i < len(d.units); i++ {
			if c.picks[i].a++; c.picks[i].a < d.units[i].nVersions() {
				break
			}
			c.picks[i].a = 0
		}
		if i == len(d.units) {
			return true
		}
		next := c
		next.picks = slices.Clone(c.picks)
		if !try(next) {
			return false
		}
	}
}

func (d *Disk) systematic(limit int, base func(string) Choice, newest Choice, r *rand.Rand, try func(Choice) bool) bool {
	order := make([]int, len(d.units))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return d.units[j].lastN - d.units[i].lastN })
	drawn := map[int]bool{}
	if n := len(order); limit > 0 && n > limit {
		for _, i := range r.Perm(n)[:limit] {
			drawn[i] = true
		}
	}
	reversed := base("")
	for n, i := range order {
		reversed.picks[i] = newest.picks[i]
		if len(drawn) > 0 && !drawn[n] {
			continue
		}
		missing, alone := base("all but "+d.units[i].String()), base("only "+d.units[i].String())
		copy(missing.picks, newest.picks)
		missing.picks[i].a = 0
		alone.picks[i] = newest.picks[i]
		newer := base(fmt.Sprintf("the newest %d", n+1))
		copy(newer.picks, reversed.picks)
		if !try(missing) || !try(alone) || !try(newer) {
			return false
		}
	}
	return true
}

// choiceHash names the image of a choice.
func (d *Disk) choiceHash(c Choice) uint64 {
	names := d.names(c)
	reachable := make(map[int]bool, len(names))
	h := d.hash + mix(uint64(c.stale)<<8)
	var entries uint64
	for path, id := range names {
		reachable[id] = true
		entries ^= entryHash(path, id)
	}
	var content uint64
	for i, u := range d.units {
		p := c.picks[i]
		if u.kind == entryUnit || !reachable[u.file.id] || p.a == 0 && p.mask == 0 {
			continue
		}
		content ^= unitHash(u, 0)
		if u.kind == pageUnit && p.mask != 0 {
			content ^= pageHash(u.file, u.page, sectors(u.pages[p.a], u.pages[p.b], p.mask))
		} else {
			content ^= unitHash(u, p.a)
		}
	}
	return mix(h^content) ^ entries
}
