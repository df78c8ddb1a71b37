package gguf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"

	"github.com/edsrzf/mmap-go"
)

// Model is an opened GGUF file: its contents mapped read-only, or bytes that the program has in memory.
//
// Close may not run while another goroutine uses tensor data or Digest: whoever shares a Model counts its users.
type Model struct {
	*File
	Name string // the path given to Open, or the name given to OpenBytes
	Size int64  // bytes

	data   []byte
	mapped mmap.MMap // nil for OpenBytes
	file   *os.File  // nil for OpenBytes
	info   fs.FileInfo
	once   sync.Once
}

// Open maps the file at path and parses it. Only regular files are opened: a directory, a named pipe, a socket or a
// device is an error of class ErrUnsupported, without blocking. Faults of the file's contents are *Error; a file that
// is cut short while it is parsed is an error that matches ErrFault.
func Open(path string) (*Model, error) {
	m, err := open(path)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err // the path follows, quoted
		}
		return nil, fmt.Errorf("open model %q: %w", path, err)
	}
	return m, nil
}

func open(path string) (_ *Model, err error) {
	// Opening a device can have effects, so look before; look again behind, since the name may have changed hands.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if err := checkRegular(info); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	if info, err = file.Stat(); err != nil {
		return nil, err
	}
	if err := checkRegular(info); err != nil {
		return nil, err
	}
	size := info.Size()
	if size == 0 {
		return nil, &Error{Class: ErrTruncated, Offset: -1, Msg: "the file is empty"}
	}
	if size > int64(^uint(0)>>1) {
		return nil, &Error{Class: ErrLimit, Offset: -1,
			Msg: sprintf("%d bytes are more than this machine can map", size)}
	}
	mapped, err := mmap.MapRegion(file, int(size), mmap.RDONLY, 0, 0)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes: %w", size, err)
	}
	m := &Model{Name: path, Size: size, data: mapped, mapped: mapped, file: file, info: info}
	err = CatchFault(func() (err error) {
		m.File, err = Parse(mapped)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, mapped.Unmap())
	}
	return m, nil
}

func checkRegular(info fs.FileInfo) error {
	if info.Mode().IsRegular() {
		return nil
	}
	kind := "device"
	switch mode := info.Mode(); {
	case mode.IsDir():
		kind = "directory"
	case mode&fs.ModeNamedPipe != 0:
		kind = "named pipe"
	case mode&fs.ModeSocket != 0:
		kind = "socket"
	}
	return &Error{Class: ErrUnsupported, Offset: -1, Msg: "is a " + kind + ", expected a regular file"}
}

// OpenBytes parses a model that the program has in memory. b must not change until Close.
func OpenBytes(name string, b []byte) (*Model, error) {
	f, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("open model %q: %w", name, err)
	}
	return &Model{File: f, Name: name, Size: int64(len(b)), data: b}, nil
}

// Contents returns the whole file, for advice to the system about its pages: valid until Close.
func (m *Model) Contents() []byte { return m.data }

// Close unmaps the file. Metadata stay usable; Data returns nil from then on, and slices it returned before are
// invalid. A second Close does nothing.
func (m *Model) Close() error {
	var err error
	m.once.Do(func() {
		m.data, m.File.data = nil, nil
		if m.file != nil {
			err = errors.Join(m.mapped.Unmap(), m.file.Close())
		}
	})
	return err
}
