// Package crashfs simulates storage that loses power. It follows the calls that package memfs has recorded and makes, at any of
// them, the file systems that a crash could leave: unsynced pages lost, kept, in any of their versions, or torn at sectors of
// 512 bytes; lengths and directory entries that were not synced, there or not; allocated space with stale content.
// Images share their pages: one costs microseconds. For tests alone.
package crashfs

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"maps"
	"path/filepath"
	"slices"

	"kvasir/platform/vfs/memfs"
)

const pageBytes = memfs.PageBytes

// Disk is the state of the storage after some calls of a run: what is durable, and for each thing that is not, the versions of
// it that may be there. Not safe for concurrent use; images made from it stay valid.
type Disk struct {
	nOps    int
	files   map[int]*inode
	dirs    map[string]bool
	durable map[string]int // directory entries: path to file
	units   []*unit        // not durable, in the order of their first change
	hash    uint64         // of the durable content of files
	last    memfs.Op
}

// inode is a file, whether or not a directory has it. pages and bytes are durable.
type inode struct {
	id      int
	path    string // the last name
	pages   []*memfs.Page
	written []bool // pages whose durable content was written, and did not just come with allocated space
	bytes   int64
	size    int64 // as the running system sees it
	pending map[int64]*unit
	sizes   *unit
	changed int64
}

// Units are what a crash keeps or loses on its own.
type unitKind uint8

const (
	pageUnit  unitKind = iota // versions of a page
	sizeUnit                  // lengths of a file
	entryUnit                 // a name made, moved or removed
)

type unit struct {
	kind   unitKind
	file   *inode
	page   int64
	pages  []*memfs.Page // pageUnit: the durable version, then each since
	hashes []uint64      // of pages
	sizes  []int64       // sizeUnit: likewise
	op     memfs.Op      // entryUnit
	lastN  int           // number of the newest change
	stuck  bool          // a sync failed: the system thinks that it is durable
}

func (u *unit) nVersions() int {
	switch u.kind {
	case pageUnit:
		return len(u.pages)
	case sizeUnit:
		return len(u.sizes)
	}
	return 2
}

func (u *unit) String() string {
	switch u.kind {
	case pageUnit:
		return fmt.Sprintf("page %d of %s", u.page, u.file.path)
	case sizeUnit:
		return "length of " + u.file.path
	}
	return fmt.Sprintf("%s %s %s", u.op.Kind, u.op.Path, u.op.NewPath)
}

// NewDisk returns the storage that holds what base holds, all of it durable; base may be nil.
func NewDisk(base *memfs.FS) *Disk {
	d := &Disk{files: map[int]*inode{}, dirs: map[string]bool{}, durable: map[string]int{}}
	if base == nil {
		return d
	}
	dirs, files := base.Snapshot()
	for _, dir := range dirs {
		d.dirs[dir] = true
	}
	for _, f := range files {
		n := d.inode(f.File, f.Path)
		n.bytes, n.size, n.changed = f.Bytes, f.Bytes, f.Changed
		for i, p := range f.Pages {
			n.setDurable(int64(i), canonical(p), true)
			d.hash ^= pageHash(n, int64(i), n.pages[i])
		}
		d.hash ^= sizeHash(n, n.bytes)
		d.durable[f.Path] = n.id
	}
	return d
}

func (d *Disk) inode(id int, path string) *inode {
	n := d.files[id]
	if n == nil {
		n = &inode{id: id, pending: map[int64]*unit{}}
		d.files[id] = n
	}
	n.path = path
	return n
}

func (n *inode) setDurable(page int64, p *memfs.Page, written bool) {
	for int64(len(n.pages)) <= page {
		n.pages, n.written = append(n.pages, nil), append(n.written, false)
	}
	n.pages[page], n.written[page] = p, written
}

func (n *inode) durablePage(page int64) *memfs.Page {
	if page < int64(len(n.pages)) {
		return n.pages[page]
	}
	return nil
}

func (n *inode) isWritten(page int64) bool { return page < int64(len(n.written)) && n.written[page] }

// canonical returns nil for a page of zeros that takes space.
func canonical(p *memfs.Page) *memfs.Page {
	if p != nil && p != memfs.Hole && *p == (memfs.Page{}) {
		return nil
	}
	return p
}

// Ops returns how many calls were applied.
func (d *Disk) Ops() int { return d.nOps }

// Apply takes in the next call of the run.
func (d *Disk) Apply(op memfs.Op) {
	d.nOps++
	d.last = op
	switch op.Kind {
	case memfs.Mkdir: // vfs makes directories durably: losing one is the image of an earlier cut
		for p := op.Path; !d.dirs[p]; p = filepath.Dir(p) {
			d.dirs[p] = true
		}
	case memfs.CreateOp, memfs.Rename, memfs.Remove:
		if op.Kind != memfs.Remove {
			n := d.inode(op.File, op.Path)
			n.changed = max(n.changed, int64(d.nOps))
			if op.Kind == memfs.Rename {
				n.path = op.NewPath
			}
		}
		d.units = append(d.units, &unit{kind: entryUnit, op: op, lastN: d.nOps})
	case memfs.Write:
		n := d.inode(op.File, op.Path)
		n.changed = int64(d.nOps)
		d.change(n, op.Off, int64(len(op.Data)), func(p *memfs.Page, from, to, at int64) { copy(p[from:to], op.Data[at:]) })
		d.resize(n, max(n.size, op.Off+int64(len(op.Data))))
	case memfs.Punch:
		n := d.inode(op.File, op.Path)
		d.change(n, op.Off, min(op.N, n.size-op.Off), nil)
	case memfs.Fallocate:
		n := d.inode(op.File, op.Path)
		for page := op.Off / pageBytes; page*pageBytes < min(op.Off+op.N, n.size); page++ {
			if n.newest(page) == memfs.Hole {
				d.change(n, page*pageBytes, pageBytes, func(*memfs.Page, int64, int64, int64) {})
			}
		}
		d.resize(n, max(n.size, op.Off+op.N))
	case memfs.Truncate:
		n := d.inode(op.File, op.Path)
		d.change(n, op.N, n.size-op.N, func(p *memfs.Page, from, to, _ int64) { clear(p[from:to]) })
		d.resize(n, op.N)
	case memfs.Fdatasync:
		d.settle(func(u *unit) bool {
			if u.kind == entryUnit || u.file.id != op.File {
				return false
			}
			if op.Failed {
				u.stuck = true
			}
			return !u.stuck
		})
	case memfs.SyncDir:
		d.settle(func(u *unit) bool {
			if u.kind != entryUnit {
				return false
			}
			path := u.op.Path
			if u.op.Kind == memfs.Rename {
				path = u.op.NewPath
			}
			return filepath.Dir(path) == op.Path
		})
	}
}

// newest returns the page as the running system sees it.
func (n *inode) newest(page int64) *memfs.Page {
	if u := n.pending[page]; u != nil {
		return u.pages[len(u.pages)-1]
	}
	return n.durablePage(page)
}

// change adds a version of each page of a range, made by edit from the newest one. Without edit whole pages become holes.
func (d *Disk) change(n *inode, off, length int64, edit func(p *memfs.Page, from, to, at int64)) {
	for at := int64(0); at < length; {
		page, from := (off+at)/pageBytes, (off+at)%pageBytes
		to := min(pageBytes, from+length-at)
		u := n.pending[page]
		if u == nil {
			u = &unit{kind: pageUnit, file: n, page: page}
			u.version(n.durablePage(page))
			n.pending[page] = u
			d.units = append(d.units, u)
		}
		p := new(memfs.Page)
		if newest := u.pages[len(u.pages)-1]; newest != nil {
			*p = *newest
		}
		switch {
		case edit != nil:
			edit(p, from, to, at)
		case from == 0 && to == pageBytes:
			p = memfs.Hole
		default:
			clear(p[from:to])
		}
		u.version(canonical(p))
		u.lastN, u.stuck = d.nOps, false
		at += to - from
	}
}

func (u *unit) version(p *memfs.Page) {
	u.pages = append(u.pages, p)
	u.hashes = append(u.hashes, pageHash(u.file, u.page, p))
}

func (d *Disk) resize(n *inode, size int64) {
	if size == n.size {
		return
	}
	n.size = size
	if n.sizes == nil {
		n.sizes = &unit{kind: sizeUnit, file: n, sizes: []int64{n.bytes}}
		d.units = append(d.units, n.sizes)
	}
	n.sizes.sizes = append(n.sizes.sizes, size)
	n.sizes.lastN, n.sizes.stuck = d.nOps, false
}

// settle makes the newest version of some units the durable one.
func (d *Disk) settle(synced func(*unit) bool) {
	moved := map[string]bool{} // names from which a file has gone for good: how they came to be does not matter any more
	for _, u := range d.units {
		if u.kind == entryUnit && u.op.Kind == memfs.Rename && synced(u) {
			moved[u.op.Path] = true
		}
	}
	left := d.units[:0]
	for _, u := range d.units {
		if u.kind == entryUnit && u.op.Kind != memfs.Rename && moved[u.op.Path] && !synced(u) {
			continue
		}
		if !synced(u) {
			left = append(left, u)
			continue
		}
		d.hash ^= unitHash(u, 0) ^ unitHash(u, u.nVersions()-1)
		switch u.kind {
		case pageUnit:
			u.file.setDurable(u.page, u.pages[len(u.pages)-1], true)
			delete(u.file.pending, u.page)
		case sizeUnit:
			u.file.bytes, u.file.sizes = u.sizes[len(u.sizes)-1], nil
		case entryUnit:
			applyEntry(d.durable, u.op)
		}
	}
	clear(d.units[len(left):])
	d.units = left
}

func applyEntry(names map[string]int, op memfs.Op) {
	switch op.Kind {
	case memfs.CreateOp:
		names[op.Path] = op.File
	case memfs.Rename:
		delete(names, op.Path)
		names[op.NewPath] = op.File
	case memfs.Remove:
		delete(names, op.Path)
	}
}

// Hashes of parts of an image; those of all parts together, by exclusive or, tell whether two images are the same.

var hashSeed = maphash.MakeSeed()

func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

func pageHash(n *inode, page int64, p *memfs.Page) uint64 {
	if p == nil {
		return 0
	}
	if p == memfs.Hole {
		return mix(^mix(uint64(n.id)<<32 | uint64(page)))
	}
	return mix(maphash.Bytes(hashSeed, p[:]) ^ mix(uint64(n.id)<<32|uint64(page)))
}

func sizeHash(n *inode, size int64) uint64 { return mix(mix(uint64(n.id)+1<<60) + uint64(size)) }

func entryHash(path string, file int) uint64 {
	return mix(maphash.String(hashSeed, path) + uint64(file))
}

// unitHash is the part of a unit in version v; names have their own (see Image).
func unitHash(u *unit, v int) uint64 {
	switch u.kind {
	case pageUnit:
		return u.hashes[v]
	case sizeUnit:
		return sizeHash(u.file, u.sizes[v])
	}
	return 0
}

// sectors merges two versions of a page: bit i of mask says that sector i is of b.
func sectors(a, b *memfs.Page, mask uint8) *memfs.Page {
	if a == b || mask == 0 {
		return a
	}
	p := new(memfs.Page)
	if a != nil {
		*p = *a
	}
	for i := range 8 {
		if mask>>i&1 == 0 {
			continue
		}
		if part := p[i*512 : (i+1)*512]; b != nil {
			copy(part, b[i*512:])
		} else {
			clear(part)
		}
	}
	if a != nil && bytes.Equal(p[:], a[:]) {
		return a
	}
	return canonical(p)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
