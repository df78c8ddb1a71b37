package kvcache

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kvasir/platform/vfs"
)

// Options of a store. The zero value is usable.
type Options struct {
	// MaxBytes bounds what all segments occupy; 0: a quarter of the free space and what is there, at most 8 GiB; negative: no block
	// is written, those that are there are used.
	MaxBytes int64
	// MinFree is the space that stays free on the file system; 0: 5 % of it, at least 512 MiB; negative: none.
	MinFree int64
	// DailyBytes bounds what is written to disk in a UTC day; what comes later stays in memory until the day ends. 0: 16 GiB;
	// negative: no bound.
	DailyBytes int64
	// Warn is told, once per cause, that blocks go to memory instead of the disk. It may be nil; it must not call the store.
	Warn func(error)
	// Now and Random replace the clock and the source of segment ids in tests.
	Now    func() time.Time
	Random io.Reader

	segmentSlots int // of a new segment, at most; 0: as FORMAT.md, section 5, says. Tests use segments of few slots.
}

// Mode says where new blocks go.
type Mode uint8

// The modes of a store.
const (
	OnDisk   Mode = iota // stored
	ReadOnly             // found on disk, new ones in memory
	InMemory             // the disk is not used
)

func (m Mode) String() string { return [...]string{"on disk", "read-only", "in memory"}[m] }

// Status is the state of a store for its user.
type Status struct {
	Mode   Mode
	Reason error // why not OnDisk, or why the last block could not be stored; nil if all is well
}

// ErrFull: the byte cap or the free-space floor leaves no room, and no block may be evicted.
var ErrFull = errors.New("kv store is full")

// Store is the KV cache of one home directory. Safe for concurrent use.
type Store struct {
	fs       vfs.FS
	home     string
	opt      Options
	stats    *counters
	readOnly bool
	lock     vfs.File     // nil: blocks live in memory only
	lastUse  atomic.Int64 // of any block, in Unix ms
	ledger   *ledger

	pinMu      sync.Mutex // one changes pins at a time
	evictMu    sync.Mutex // one makes room at a time
	mu         sync.Mutex // guards what follows; taken before the locks of namespaces
	complete   bool       // every namespace on disk is open
	used       int64      // bytes of all segment files
	removed    regain
	status     Status
	warned     map[string]bool
	namespaces []*Namespace
	open       map[Hash]*Namespace
	closed     bool
}

// Open opens the store under home, making what is missing. A home that cannot be used (another process has it, it is
// read-only, it is full) gives a store whose blocks live in memory, or are only looked up; Status says so. The error is
// for wrong use only.
func Open(fsys vfs.FS, home string, opt Options) (*Store, error) {
	if fsys == nil || home == "" {
		return nil, errors.New("kv store: no file system or no directory given")
	}
	s := newStore(fsys, home, opt)
	if err := s.acquire(); err != nil {
		s.degrade(InMemory, "open", err)
		return s, nil
	}
	if s.readOnly {
		s.degrade(ReadOnly, "open", fmt.Errorf("%s: %w", s.kvDir(), vfs.ErrReadOnly))
	}
	if err := s.prepare(); err != nil {
		s.degrade(InMemory, "open", err)
		s.lock.Close()
		s.lock = nil
	}
	if s.lock != nil && !s.readOnly && s.opt.MaxBytes > 0 && s.used > s.opt.MaxBytes {
		if _, err := s.shrink(s.opt.MaxBytes); err != nil {
			s.degrade(ReadOnly, "open", err)
			s.readOnly = true
		}
	}
	return s, nil
}

func newStore(fsys vfs.FS, home string, opt Options) *Store {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Random == nil {
		opt.Random = rand.Reader
	}
	s := &Store{fs: fsys, home: home, opt: opt, stats: new(counters), warned: map[string]bool{}, open: map[Hash]*Namespace{}}
	s.ledger = s.newLedger()
	return s
}

func (s *Store) kvDir() string  { return filepath.Join(s.home, "kv", "v1") }
func (s *Store) tmpDir() string { return filepath.Join(s.home, "tmp") }

// acquire takes the lock of rule R1; where the home is read-only, on a file that is there.
func (s *Store) acquire() error {
	path := filepath.Join(s.kvDir(), "LOCK")
	err := s.fs.MkdirAll(s.kvDir())
	if err == nil {
		err = s.fs.MkdirAll(s.tmpDir())
	}
	var f vfs.File
	if err == nil {
		f, err = s.fs.OpenFile(path, vfs.Write|vfs.Create)
	}
	if errors.Is(err, vfs.ErrReadOnly) || errors.Is(err, fs.ErrPermission) {
		var readErr error
		if f, readErr = s.fs.OpenFile(path, vfs.Read); readErr != nil {
			return err
		}
		s.readOnly = true
	} else if err != nil {
		return err
	}
	if err := f.Lock(); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	s.lock = f
	return nil
}

// prepare empties tmp and sums up what segments occupy.
func (s *Store) prepare() error {
	if !s.readOnly {
		if err := s.sweep(); err != nil {
			return err
		}
	}
	dirs, err := s.fs.ReadDir(s.kvDir())
	if err != nil && !isNotExist(err) {
		return err
	}
	for _, d := range dirs {
		if strings.HasPrefix(d, "m-") {
			bytes, _ := s.segmentFiles(filepath.Join(s.kvDir(), d))
			s.used += bytes
		}
	}
	s.ledger.load()
	space, err := s.space()
	if err != nil {
		return err
	}
	if s.opt.MaxBytes < 0 {
		s.opt.MaxBytes = 0
	} else if s.opt.MaxBytes == 0 {
		s.opt.MaxBytes = min(s.used+space.Free/4, 8<<30)
	}
	if s.opt.MinFree == 0 {
		s.opt.MinFree = max(space.Total/20, 512<<20)
	}
	return nil
}

// sweep removes segments that were being made when the last process ended.
func (s *Store) sweep() error {
	names, err := s.fs.ReadDir(s.tmpDir())
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, "m-") {
			if err := s.fs.Remove(filepath.Join(s.tmpDir(), name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Namespace opens the blocks of a fingerprint and geometry; the same one for the same arguments. meta is text for people about
// what fp was made from. A directory that cannot be used gives a namespace in memory, and Status says why. The error wraps
// ErrGeometry or ErrClosed.
func (s *Store) Namespace(fp Fingerprint, meta []byte, g Geometry) (*Namespace, error) {
	lay, err := newLayout(g)
	if err != nil {
		return nil, err
	}
	id := namespaceID(fp, lay.recipeHash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if n := s.open[id]; n != nil {
		return n, nil
	}
	n := newNamespace(lay, fp, s.stats)
	if s.lock != nil && lay.storable {
		if stored, err := s.load(lay, fp, meta); err != nil {
			s.degradeLocked(InMemory, "namespace", err)
		} else {
			n = stored
		}
	}
	s.open[id] = n
	s.namespaces = append(s.namespaces, n)
	return n, nil
}

// load reads what the directory of a namespace holds, making it if it is absent.
func (s *Store) load(lay *layout, fp Fingerprint, meta []byte) (*Namespace, error) {
	n := newNamespace(lay, fp, s.stats)
	d := &disk{store: s, dir: filepath.Join(s.kvDir(), namespaceDir(namespaceID(fp, lay.recipeHash)))}
	if err := d.recover(n, meta); err != nil {
		return nil, err
	}
	n.disk = d
	return n, nil
}

// Stored lists the namespaces in the store's home; see StoredNamespaces.
func (s *Store) Stored() ([]Stored, error) { return StoredNamespaces(s.fs, s.home) }

// Status says whether new blocks go to disk, and if not, why.
func (s *Store) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Stats returns the counters of all namespaces together.
func (s *Store) Stats() Stats {
	st := s.stats.snapshot()
	s.mu.Lock()
	defer s.mu.Unlock()
	st.UsedBytes = s.used
	for _, n := range s.namespaces {
		n.mu.Lock()
		st.Blocks += len(n.blocks)
		st.States += len(n.states)
		n.mu.Unlock()
	}
	return st
}

// Sync makes all blocks written so far durable.
func (s *Store) Sync() error {
	s.mu.Lock()
	namespaces := s.namespaces
	s.mu.Unlock()
	var err error
	for _, n := range namespaces {
		err = errors.Join(err, n.sync())
	}
	return err
}

// PunchWindows gives back the disk space of planes that no window reaches any more, and returns how much. It does a bounded
// amount of work: with much to do it takes several calls, of which the last one returns 0. Closing calls it once.
func (s *Store) PunchWindows() (int64, error) {
	s.mu.Lock()
	namespaces := s.namespaces
	s.mu.Unlock()
	var freed int64
	var err error
	for _, n := range namespaces {
		bytes, punchErr := n.punchWindows()
		freed, err = freed+bytes, errors.Join(err, punchErr)
	}
	return freed, err
}

// Close makes everything durable and gives up files, memory and lock. With a sequence still open it only syncs, and
// returns ErrBusy.
func (s *Store) Close() error {
	err := s.Sync()
	if _, punchErr := s.PunchWindows(); err == nil {
		err = punchErr
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	for _, n := range s.namespaces {
		n.mu.Lock()
		nOpen := n.nOpen
		n.mu.Unlock()
		if nOpen > 0 {
			return errors.Join(err, fmt.Errorf("%w: %d sequences open", ErrBusy, nOpen))
		}
	}
	s.closed = true
	for _, n := range s.namespaces {
		n.writeHints()
		err = errors.Join(err, n.Close(), n.closeFiles())
	}
	if s.lock != nil {
		err = errors.Join(err, s.ledger.close(), s.lock.Close())
	}
	return err
}

// degrade notes why the disk is not used, and warns once per cause.
func (s *Store) degrade(mode Mode, cause string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.degradeLocked(mode, cause, err)
}

func (s *Store) degradeLocked(mode Mode, cause string, err error) {
	s.status = Status{max(mode, s.status.Mode), fmt.Errorf("kv cache is kept in memory: %w", err)}
	if s.opt.Warn != nil && !s.warned[cause] {
		s.warned[cause] = true
		s.opt.Warn(s.status.Reason)
	}
}

// claim asks size how many bytes to take of the room there is, and counts them as used. It returns 0 for no room.
func (s *Store) claim(size func(room int64) int64) (int64, error) {
	space, err := s.fs.Free(s.home)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := size(s.room(space.Free))
	s.used += n
	return n, nil
}

func (s *Store) unclaim(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used -= n
}

// full notes that a block found no room; stored that one did again.
func (s *Store) full(err error) { s.degrade(OnDisk, "full", err) }

func (s *Store) stored() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status.Mode == OnDisk {
		s.status.Reason = nil
	}
}

// allocated is what a file counts under the cap.
func allocated(info vfs.Info) int64 {
	if info.Allocated > 0 {
		return min(info.Allocated, info.Bytes)
	}
	return info.Bytes
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

func readFull(r io.Reader, b []byte) (int, error) { return io.ReadFull(r, b) }
