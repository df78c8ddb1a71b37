package crashfs

import (
	"fmt"
	"maps"
	"strings"

	"kvasir/platform/vfs/memfs"
)

// Stale says what is read where space was allocated, or a file became longer, and nothing that was written arrived.
type Stale uint8

// The kinds of stale content.
const (
	Zeros Stale = iota
	Junk        // noise
	Echo        // what another file has there, as after space was freed and given out again
)

func (s Stale) String() string { return [...]string{"zeros", "junk", "echo"}[s] }

// pick is the choice for one unit: version a, and for a page b in the sectors of mask.
type pick struct {
	a, b int
	mask uint8
}

// Choice is one thing that a crash may leave of a Disk.
type Choice struct {
	Name  string // how it was chosen
	Kill  bool   // all of it: the process died, the system did not
	Short bool   // with Kill: in the middle of the last call
	picks []pick // for each unit
	stale Stale
	hash  uint64
}

// Describe lists what of the choice is neither the newest version nor the durable one by rule, for the report of a failure.
func (d *Disk) Describe(c Choice) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; stale space: %s; %d things not durable", c.Name, c.stale, len(d.units))
	for i, u := range d.units {
		p, n := c.picks[i], u.nVersions()
		fmt.Fprintf(&b, "\n\t%s: version %d of 0..%d", u, p.a, n-1)
		if p.mask != 0 && p.a != p.b {
			fmt.Fprintf(&b, ", sectors %08b of version %d", p.mask, p.b)
		}
	}
	return b.String()
}

// Newest is the choice of everything: what the next process finds after this one was killed.
func (d *Disk) Newest() Choice {
	c := Choice{Name: "all", Kill: true, picks: make([]pick, len(d.units))}
	for i, u := range d.units {
		c.picks[i] = pick{a: u.nVersions() - 1}
	}
	return c
}

// names returns the directory entries of a choice.
func (d *Disk) names(c Choice) map[string]int {
	names, cloned := d.durable, false
	for i, u := range d.units {
		if u.kind == entryUnit && c.picks[i].a == 1 {
			if !cloned {
				names, cloned = maps.Clone(names), true
			}
			applyEntry(names, u.op)
		}
	}
	return names
}

// Image makes the file system of a choice. It may be used while the Disk goes on.
func (d *Disk) Image(c Choice) *memfs.FS {
	names := d.names(c)
	byFile := make(map[int]int, len(names))
	images := make([]memfs.Image, 0, len(names))
	for path, id := range names {
		n := d.files[id]
		pages := make([]*memfs.Page, max(int64(len(n.pages)), (n.size+pageBytes-1)/pageBytes))
		copy(pages, n.pages)
		byFile[id] = len(images)
		images = append(images, memfs.Image{Path: path, File: id, Pages: pages, Bytes: n.bytes, Changed: n.changed})
	}
	var arrived map[*unit]bool
	if c.stale != Zeros {
		arrived = map[*unit]bool{}
	}
	for i, u := range d.units {
		if u.kind == entryUnit {
			continue
		}
		at, reachable := byFile[u.file.id]
		if !reachable {
			continue
		}
		p := c.picks[i]
		switch u.kind {
		case sizeUnit:
			images[at].Bytes = u.sizes[p.a]
		case pageUnit:
			for int64(len(images[at].Pages)) <= u.page {
				images[at].Pages = append(images[at].Pages, nil)
			}
			images[at].Pages[u.page] = sectors(u.pages[p.a], u.pages[p.b], p.mask)
			if arrived != nil && (p.a > 0 || p.b > 0 && p.mask != 0) {
				arrived[u] = true
			}
		}
	}
	if c.stale != Zeros {
		d.spoil(c.stale, images, arrived)
	}
	return memfs.NewImage(sortedKeys(d.dirs), images)
}

// spoil puts stale content where nothing that was written arrived.
func (d *Disk) spoil(s Stale, images []memfs.Image, arrived map[*unit]bool) {
	for _, f := range images {
		n := d.files[f.File]
		for page := range (f.Bytes + pageBytes - 1) / pageBytes {
			if page >= int64(len(f.Pages)) {
				break
			}
			u := n.pending[page]
			if n.isWritten(page) || u != nil && arrived[u] {
				continue
			}
			if s == Junk {
				f.Pages[page] = &junk[(int64(n.id)+page)%int64(len(junk))]
			} else {
				f.Pages[page] = d.echo(n, page)
			}
		}
	}
}

// echo returns what some other file of the same kind has at a page, or had before it was removed.
func (d *Disk) echo(n *inode, page int64) *memfs.Page {
	for id := n.id - 1; id > 0; id-- {
		other := d.files[id]
		if other == nil || suffix(other.path) != suffix(n.path) {
			continue
		}
		if p := other.durablePage(page); p != nil {
			return p
		}
	}
	return nil
}

func suffix(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

var junk = func() (pages [4]memfs.Page) {
	x := uint64(88172645463325252)
	for i := range pages {
		for j := range pages[i] {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			pages[i][j] = byte(x)
		}
	}
	return pages
}()

// Replay returns the file system that the first n calls leave: with keep nil all of it, as when the process is killed. Otherwise
// what was synced and, of the rest, each page as of the newest write to it that keep accepts, and the lengths and directory entries
// (page -1) that it accepts.
func Replay(ops []memfs.Op, n int, keep func(op int, page int64) bool) *memfs.FS {
	d := NewDisk(nil)
	kept := map[*unit]int{}
	for i, op := range ops[:n] {
		d.Apply(op)
		for _, u := range d.units {
			page := int64(-1)
			if u.kind == pageUnit {
				page = u.page
			}
			if u.lastN == i+1 && (keep == nil || keep(i, page)) {
				kept[u] = u.nVersions() - 1
			}
		}
	}
	c := d.Newest()
	for i, u := range d.units {
		c.picks[i] = pick{a: kept[u]}
	}
	fs := d.Image(c)
	fs.NoRecord = false
	return fs
}
