package memfs

import (
	"maps"
	"slices"
)

// PageBytes is the unit in which the page cache keeps and loses what was written.
const PageBytes = 4096

// Page is one page of a file. A nil *Page is a page of zeros.
type Page [PageBytes]byte

// Hole is a page of zeros that takes no space: the pointer says so.
var Hole = new(Page)

// node is a file or a directory. The content of a file is one slice, or, in an image until somebody maps the file, pages that
// many images share and that are copied when they are written.
type node struct {
	id      int
	dir     bool
	data    []byte
	paged   *paged // nil: data is the content
	changed int64
	locked  *file
	holes   map[int64]bool // pages that take no space
}

// allocated is the size without the holes.
func (n *node) allocated() int64 { return max(n.size()-PageBytes*int64(len(n.holes)), 0) }

// holesIn returns the bytes that filling the holes in a range takes.
func (n *node) holesIn(off, length int64) int64 {
	var sum int64
	if len(n.holes) > 0 {
		pieces(off, length, func(page, _, _, _ int64) {
			if n.holes[page] {
				sum += PageBytes
			}
		})
	}
	return sum
}

// punch makes the whole pages of a range holes; fill takes the holes of one away.
func (n *node) punch(off, length int64) {
	if n.holes == nil {
		n.holes = map[int64]bool{}
	}
	pieces(off, min(off+length, n.size())-off, func(page, from, to, _ int64) {
		if from == 0 && to == PageBytes {
			n.holes[page] = true
		}
	})
}

func (n *node) fill(off, length int64) {
	if len(n.holes) > 0 {
		pieces(off, length, func(page, _, _, _ int64) { delete(n.holes, page) })
	}
}

type paged struct {
	pages  []*Page
	own    []bool // pages that this image may write
	length int64
}

func (n *node) size() int64 {
	if n.paged != nil {
		return n.paged.length
	}
	return int64(len(n.data))
}

// pieces calls fn for each page of [off, off+length), with the range in the page and where it stands in the whole.
func pieces(off, length int64, fn func(page, from, to, at int64)) {
	for at := int64(0); at < length; {
		page, from := (off+at)/PageBytes, (off+at)%PageBytes
		to := min(PageBytes, from+length-at)
		fn(page, from, to, at)
		at += to - from
	}
}

// read copies to dst what is there at off.
func (n *node) read(dst []byte, off int64) int {
	if n.paged == nil {
		return copy(dst, n.data[off:])
	}
	length := min(int64(len(dst)), n.paged.length-off)
	pieces(off, length, func(page, from, to, at int64) {
		piece := dst[at : at+to-from]
		if p := n.paged.pages[page]; p != nil {
			copy(piece, p[from:])
		} else {
			clear(piece)
		}
	})
	return int(length)
}

func (n *node) write(src []byte, off int64) {
	n.resize(max(n.size(), off+int64(len(src))))
	n.fill(off, int64(len(src)))
	if n.paged == nil {
		copy(n.data[off:], src)
		return
	}
	pieces(off, int64(len(src)), func(page, from, to, at int64) { copy(n.paged.writable(page)[from:to], src[at:]) })
}

func (n *node) clear(off, length int64) {
	length = min(off+length, n.size()) - off
	if n.paged == nil {
		if length > 0 {
			clear(n.data[off : off+length])
		}
		return
	}
	pieces(off, length, func(page, from, to, at int64) { clear(n.paged.writable(page)[from:to]) })
}

func (n *node) resize(size int64) {
	maps.DeleteFunc(n.holes, func(page int64, _ bool) bool { return (page+1)*PageBytes > size })
	switch {
	case n.paged != nil:
		n.paged.resize(size)
	case size <= int64(len(n.data)):
		n.data = n.data[:size:size]
	default:
		n.data = append(n.data, make([]byte, size-int64(len(n.data)))...)
	}
}

func (p *paged) resize(size int64) {
	if rest := size % PageBytes; size < p.length && rest != 0 {
		clear(p.writable(size / PageBytes)[rest:])
	}
	nPages := int((size + PageBytes - 1) / PageBytes)
	if more := nPages - len(p.pages); more > 0 {
		p.pages, p.own = append(p.pages, make([]*Page, more)...), append(p.own, make([]bool, more)...)
	}
	p.pages, p.own, p.length = p.pages[:nPages], p.own[:nPages], size
}

func (p *paged) writable(page int64) *Page {
	if !p.own[page] {
		own := new(Page)
		if p.pages[page] != nil {
			*own = *p.pages[page]
		}
		p.pages[page], p.own[page] = own, true
	}
	return p.pages[page]
}

// gather makes the content one slice.
func (n *node) gather(pool *Pool) {
	if n.paged == nil {
		return
	}
	data := pool.get(int(n.paged.length))
	n.read(data, 0)
	n.data, n.paged = data, nil
}

func (n *node) copy() []byte {
	data := make([]byte, n.size())
	n.read(data, 0)
	return data
}

// Pool lends the memory of the files that an image maps, so that a hundred thousand images need that of one. The zero value is
// usable; a nil one allocates. Not safe for concurrent use.
type Pool struct{ free, lent [][]byte }

// get returns n bytes whose content is arbitrary.
func (p *Pool) get(n int) []byte {
	if p == nil {
		return make([]byte, n)
	}
	for i, b := range p.free {
		if cap(b) >= n {
			last := len(p.free) - 1
			p.free[i] = p.free[last]
			p.free = p.free[:last]
			p.lent = append(p.lent, b)
			return b[:n]
		}
	}
	b := make([]byte, n)
	p.lent = append(p.lent, b)
	return b
}

// Reclaim takes everything back. No file system made with the pool may be used after it.
func (p *Pool) Reclaim() {
	p.free, p.lent = append(p.free, p.lent...), p.lent[:0]
}

// Image is the content of one file of a file system to be made by NewImage. The pages are shared: they are never written.
type Image struct {
	Path    string
	File    int // identity, as in Op
	Pages   []*Page
	Bytes   int64
	Changed int64 // when, on the clock of Stat
}

// UsePool lets the files that are mapped from now on take their memory from pool.
func (m *FS) UsePool(pool *Pool) { m.pool = pool }

// NewImage returns a file system with these directories (all of them, the parents too) and files. Its calls are not recorded unless
// NoRecord is cleared.
func NewImage(dirs []string, files []Image) *FS {
	m := New()
	m.NoRecord = true
	for _, d := range dirs {
		m.nodes[d] = &node{dir: true}
	}
	for _, f := range files {
		m.nFile, m.clock = max(m.nFile, f.File), max(m.clock, f.Changed)
		p := &paged{pages: make([]*Page, (f.Bytes+PageBytes-1)/PageBytes), length: f.Bytes}
		copy(p.pages, f.Pages)
		p.own = make([]bool, len(p.pages))
		n := &node{id: f.File, paged: p, changed: f.Changed}
		for i, page := range p.pages {
			if page == Hole {
				n.punch(int64(i)*PageBytes, PageBytes)
				p.pages[i] = nil
			}
		}
		m.nodes[f.Path] = n
	}
	return m
}

// Snapshot returns the directories and files, sorted, for NewImage or as the beginning of another record.
func (m *FS) Snapshot() (dirs []string, files []Image) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, path := range slices.Sorted(maps.Keys(m.nodes)) {
		n := m.nodes[path]
		if n.dir {
			dirs = append(dirs, path)
			continue
		}
		f := Image{Path: path, File: n.id, Bytes: n.size(), Changed: n.changed}
		for off := int64(0); off < f.Bytes; off += PageBytes {
			p := Hole
			if !n.holes[off/PageBytes] {
				p = new(Page)
				n.read(p[:], off)
			}
			f.Pages = append(f.Pages, p)
		}
		files = append(files, f)
	}
	return dirs, files
}
