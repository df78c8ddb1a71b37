// Package memfs is a file system in memory for tests. It records every call that changes something, from which package
// crashfs makes the states that a crash could leave; it injects errors, and can be full.
package memfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"kvasir/platform"
	"kvasir/platform/vfs"
)

// Kind is the kind of a recorded call.
type Kind string

// The kinds of calls. The first group changes content and is recorded; the others are only shown to Fault.
const (
	Mkdir     Kind = "mkdir"
	CreateOp  Kind = "create"
	Write     Kind = "write"
	Truncate  Kind = "truncate"
	Fallocate Kind = "fallocate"
	Punch     Kind = "punch"
	Rename    Kind = "rename"
	Remove    Kind = "remove"
	Fdatasync Kind = "fdatasync"
	SyncDir   Kind = "syncdir"

	Open    Kind = "open"
	Read    Kind = "read"
	ReadDir Kind = "readdir"
	Map     Kind = "map"
	Lock    Kind = "lock"
)

// Op is one call. File identifies the file across renames; Path is its name at the time.
type Op struct {
	Kind    Kind
	Path    string
	NewPath string // Rename
	File    int
	Off, N  int64
	Data    []byte // Write: a copy
	Failed  bool   // Fdatasync: it was made to fail; such a call is recorded all the same
}

// ShortWrite, returned by Fault for a Write, lets its first N bytes through before the call fails with Err.
type ShortWrite struct {
	N   int
	Err error
}

func (s *ShortWrite) Error() string { return fmt.Sprintf("short write of %d bytes: %v", s.N, s.Err) }
func (s *ShortWrite) Unwrap() error { return s.Err }

// FS is the file system. The zero value is not usable; see New. Safe for concurrent use.
type FS struct {
	mu    sync.Mutex
	nodes map[string]*node
	ops   []Op
	nFile int
	clock int64
	boot  int   // processes that were killed: their open files are of no use
	pool  *Pool // see UsePool

	// Fault, if set, is asked before every call; an error it returns is the call's result. It must not call the FS.
	Fault func(Op) error
	// Limit bounds the sum of file sizes in bytes; 0 means none.
	Limit int64
	// ReadOnly makes every change fail with vfs.ErrReadOnly.
	ReadOnly bool
	// NoMap makes Map fail with vfs.ErrUnsupported.
	NoMap bool
	// NoRecord stops the recording of calls.
	NoRecord bool
}

// New returns an empty file system.
func New() *FS { return &FS{nodes: map[string]*node{"/": {dir: true}, ".": {dir: true}}} }

// call does the bookkeeping of one call. Needs mu.
func (m *FS) call(op Op, changes bool) error {
	if m.Fault != nil {
		if err := m.Fault(op); err != nil {
			if op.Kind == Fdatasync && !m.NoRecord {
				op.Failed = true
				m.ops = append(m.ops, op)
			}
			return fmt.Errorf("%s %s: %w", op.Kind, op.Path, err)
		}
	}
	if changes && m.ReadOnly {
		return fmt.Errorf("%s %s: %w", op.Kind, op.Path, vfs.ErrReadOnly)
	}
	if changes && !m.NoRecord {
		op.Data = slices.Clone(op.Data)
		m.ops = append(m.ops, op)
	}
	return nil
}

// Ops returns the calls recorded so far.
func (m *FS) Ops() []Op {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.ops)
}

// Calls returns the number of calls recorded so far.
func (m *FS) Calls() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.ops)
}

// Kill ends the process that uses the file system: locks are free, open files are of no use any more, and what was
// written stays where it is, synced or not. The record goes on.
func (m *FS) Kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.boot++
	for _, n := range m.nodes {
		n.locked = nil
	}
}

// Clone returns an independent copy of the content, without locks, records, faults or limits: what a new process
// finds after this one was killed.
func (m *FS) Clone() *FS {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := New()
	c.nFile, c.clock = m.nFile, m.clock
	for path, n := range m.nodes {
		c.nodes[path] = &node{id: n.id, dir: n.dir, data: n.copy(), changed: n.changed, holes: maps.Clone(n.holes)}
	}
	return c
}

// Files lists the paths of all regular files, sorted.
func (m *FS) Files() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for _, path := range slices.Sorted(maps.Keys(m.nodes)) {
		if !m.nodes[path].dir {
			out = append(out, path)
		}
	}
	return out
}

// Bytes returns the content of a file: the thing itself, to be changed by tests that damage it.
func (m *FS) Bytes(path string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.nodes[filepath.Clean(path)]; n != nil && !n.dir {
		n.gather(nil)
		return n.data
	}
	return nil
}

// Put makes a file with this content, replacing what was there.
func (m *FS) Put(path string, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nFile++
	m.nodes[filepath.Clean(path)] = &node{id: m.nFile, data: slices.Clone(data)}
}

func notExist(op, path string) error { return &fs.PathError{Op: op, Path: path, Err: fs.ErrNotExist} }

// OpenFile implements vfs.FS.
func (m *FS) OpenFile(path string, flag vfs.Flag) (vfs.File, error) {
	path = filepath.Clean(path)
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.nodes[path]
	if err := m.call(Op{Kind: Open, Path: path}, false); err != nil {
		return nil, err
	}
	if flag&vfs.Write != 0 && m.ReadOnly {
		return nil, fmt.Errorf("open %s: %w", path, vfs.ErrReadOnly)
	}
	switch {
	case n != nil && n.dir:
		return nil, fmt.Errorf("open %s: %w", path, vfs.ErrNotRegular)
	case n != nil && flag&vfs.Excl != 0:
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrExist}
	case n == nil && flag&vfs.Create == 0:
		return nil, notExist("open", path)
	case n == nil:
		if d := m.nodes[filepath.Dir(path)]; d == nil || !d.dir {
			return nil, notExist("open", path)
		}
		if err := m.call(Op{Kind: CreateOp, Path: path, File: m.nFile + 1}, true); err != nil {
			return nil, err
		}
		m.nFile++
		n = &node{id: m.nFile}
		m.nodes[path] = n
	}
	return &file{fs: m, n: n, path: path, boot: m.boot, writable: flag&vfs.Write != 0}, nil
}

// MkdirAll implements vfs.FS.
func (m *FS) MkdirAll(path string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	path = filepath.Clean(path)
	if n := m.nodes[path]; n != nil && n.dir {
		return nil
	}
	if err := m.call(Op{Kind: Mkdir, Path: path}, true); err != nil {
		return err
	}
	return m.mkdir(path)
}

func (m *FS) mkdir(path string) error {
	for p := path; ; p = filepath.Dir(p) {
		n := m.nodes[p]
		if n != nil && !n.dir {
			return &fs.PathError{Op: "mkdir", Path: p, Err: fs.ErrExist}
		}
		if n != nil {
			return nil
		}
		m.nodes[p] = &node{dir: true}
	}
}

// ReadDir implements vfs.FS.
func (m *FS) ReadDir(path string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	path = filepath.Clean(path)
	if err := m.call(Op{Kind: ReadDir, Path: path}, false); err != nil {
		return nil, err
	}
	if n := m.nodes[path]; n == nil || !n.dir {
		return nil, notExist("readdir", path)
	}
	var names []string
	for p := range m.nodes {
		if p != path && filepath.Dir(p) == path {
			names = append(names, filepath.Base(p))
		}
	}
	slices.Sort(names)
	return names, nil
}

// Stat implements vfs.FS. Time is the number of the file's last change among all, in seconds.
func (m *FS) Stat(path string) (vfs.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.nodes[filepath.Clean(path)]
	if n == nil {
		return vfs.Info{}, notExist("stat", path)
	}
	return vfs.Info{Bytes: n.size(), Allocated: n.allocated(), Modified: time.Unix(n.changed, 0)}, nil
}

// Rename implements vfs.FS.
func (m *FS) Rename(oldPath, newPath string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	oldPath, newPath = filepath.Clean(oldPath), filepath.Clean(newPath)
	n := m.nodes[oldPath]
	if n == nil || n.dir {
		return notExist("rename", oldPath)
	}
	if err := m.call(Op{Kind: Rename, Path: oldPath, NewPath: newPath, File: n.id}, true); err != nil {
		return err
	}
	m.nodes[newPath] = n
	delete(m.nodes, oldPath)
	return nil
}

// Remove implements vfs.FS.
func (m *FS) Remove(path string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	path = filepath.Clean(path)
	n := m.nodes[path]
	if n == nil {
		return notExist("remove", path)
	}
	if n.dir {
		for p := range m.nodes {
			if strings.HasPrefix(p, path+"/") {
				return fmt.Errorf("remove %s: directory not empty", path)
			}
		}
	}
	if err := m.call(Op{Kind: Remove, Path: path, File: n.id}, true); err != nil {
		return err
	}
	delete(m.nodes, path)
	return nil
}

// SyncDir implements vfs.FS.
func (m *FS) SyncDir(path string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.call(Op{Kind: SyncDir, Path: filepath.Clean(path)}, true)
}

// Free implements vfs.FS: what Limit leaves, or a terabyte.
func (m *FS) Free(string) (platform.Space, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.Limit == 0 {
		return platform.Space{Total: 1 << 40, Free: 1 << 40}, nil
	}
	return platform.Space{Total: m.Limit, Free: max(m.Limit-m.used(), 0)}, nil
}

func (m *FS) used() int64 {
	var sum int64
	for _, n := range m.nodes {
		sum += n.allocated()
	}
	return sum
}

type file struct {
	fs       *FS
	n        *node
	path     string
	boot     int
	writable bool
	closed   bool
}

func (f *file) begin(op Op, changes bool) error {
	op.Path, op.File = f.path, f.n.id
	if f.closed || f.boot != f.fs.boot {
		return fmt.Errorf("%s %s: %w", op.Kind, f.path, fs.ErrClosed)
	}
	if changes && !f.writable {
		return fmt.Errorf("%s %s: %w", op.Kind, f.path, fs.ErrPermission)
	}
	return f.fs.call(op, changes)
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.begin(Op{Kind: Read, Off: off, N: int64(len(p))}, false); err != nil {
		return 0, err
	}
	if off >= f.n.size() {
		return 0, io.EOF
	}
	n := f.n.read(p, off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// room says whether the limit lets the file have what it holds and [off, off+n). Needs fs.mu.
func (f *file) room(off, n int64) error {
	more := max(off+n-f.n.size(), 0) + f.n.holesIn(off, n)
	if f.fs.Limit > 0 && more > 0 && f.fs.used()+more > f.fs.Limit {
		return fmt.Errorf("%s: %w", f.path, vfs.ErrNoSpace)
	}
	return nil
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.room(off, int64(len(p))); err != nil {
		return 0, err
	}
	err := f.begin(Op{Kind: Write, Off: off, N: int64(len(p)), Data: p}, true)
	var short *ShortWrite
	if errors.As(err, &short) {
		p = p[:min(short.N, len(p))]
		if !f.fs.NoRecord && len(p) > 0 {
			f.fs.ops = append(f.fs.ops, Op{Kind: Write, Path: f.path, File: f.n.id, Off: off, N: int64(len(p)), Data: slices.Clone(p)})
		}
	} else if err != nil {
		return 0, err
	}
	f.changes()
	f.n.write(p, off)
	return len(p), err
}

func (f *file) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return f.n.size(), nil
}

// Stamp implements vfs.File: what Stat says.
func (f *file) Stamp() (vfs.Stamp, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return vfs.Stamp{Bytes: f.n.size(), Allocated: f.n.allocated(), Modified: f.n.changed}, nil
}

// changes notes a change of the content. Needs fs.mu.
func (f *file) changes() {
	f.fs.clock++
	f.n.changed = f.fs.clock
}

func (f *file) Truncate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.room(size, 0); err != nil {
		return err
	}
	if err := f.begin(Op{Kind: Truncate, N: size}, true); err != nil {
		return err
	}
	f.changes()
	f.n.resize(size)
	return nil
}

func (f *file) Fallocate(off, n int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.room(off, n); err != nil {
		return err
	}
	if err := f.begin(Op{Kind: Fallocate, Off: off, N: n}, true); err != nil {
		return err
	}
	f.changes()
	f.n.resize(max(f.n.size(), off+n))
	f.n.fill(off, n)
	return nil
}

func (f *file) Punch(off, n int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.begin(Op{Kind: Punch, Off: off, N: n}, true); err != nil {
		return err
	}
	f.changes()
	f.n.clear(off, n)
	f.n.punch(off, n)
	return nil
}

func (f *file) Fdatasync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return f.begin(Op{Kind: Fdatasync}, true)
}

// Map returns the content itself, which shows later writes as long as the file does not grow.
func (f *file) Map(size int64) ([]byte, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.begin(Op{Kind: Map, N: size}, false); err != nil {
		return nil, err
	}
	if f.fs.NoMap {
		return nil, fmt.Errorf("map %s: %w", f.path, vfs.ErrUnsupported)
	}
	if size > f.n.size() {
		return nil, fmt.Errorf("map %d bytes of %s: the file has %d", size, f.path, f.n.size())
	}
	f.n.gather(f.fs.pool)
	return f.n.data[:size:size], nil
}

func (f *file) Unmap([]byte) error { return nil }

func (f *file) Lock() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.begin(Op{Kind: Lock}, false); err != nil {
		return err
	}
	if f.fs.nodes[f.path] != f.n {
		return notExist("lock", f.path)
	}
	if f.n.locked != nil && f.n.locked != f {
		return fmt.Errorf("lock %s: %w", f.path, vfs.ErrLocked)
	}
	f.n.locked = f
	return nil
}

func (f *file) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return fs.ErrClosed
	}
	f.closed = true
	if f.n.locked == f {
		f.n.locked = nil
	}
	return nil
}
