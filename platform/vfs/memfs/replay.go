package memfs

import (
	"maps"
	"path/filepath"
	"slices"
)

// PageBytes is the unit in which a crash keeps or loses what was written and not synced.
const PageBytes = 4096

// Replay builds the file system that a power cut after the first n of ops could leave. What was synced is there. Of what was not,
// each page of each write is there if keep says so, and so is each change of a directory (page -1). With keep nil
// everything is there: a process that was killed.
//
// A file's length and allocation count as synced by its next Fdatasync; a create, rename or remove by the next SyncDir of
// the directory it is in.
func Replay(ops []Op, n int, keep func(op int, page int64) bool) *FS {
	ops = ops[:n]
	synced := durable(ops)
	kept := func(op int, page int64) bool { return keep == nil || synced[op] || keep(op, page) }

	out := New()
	files := map[int]*node{}
	for i, op := range ops {
		switch op.Kind {
		case Mkdir: // a lost directory would lose all that is in it: that is the image of an earlier cut
			_ = out.mkdir(op.Path)
		case CreateOp:
			files[op.File] = &node{id: op.File}
			if kept(i, -1) {
				out.nodes[op.Path] = files[op.File]
			}
		case Rename:
			if kept(i, -1) {
				out.nodes[op.NewPath] = files[op.File]
				delete(out.nodes, op.Path)
			}
		case Remove:
			if kept(i, -1) {
				delete(out.nodes, op.Path)
			}
		case Write:
			f := files[op.File]
			end := op.Off + int64(len(op.Data))
			for page := op.Off / PageBytes; page*PageBytes < end; page++ {
				if !kept(i, page) {
					continue
				}
				from, to := max(op.Off, page*PageBytes), min(end, (page+1)*PageBytes)
				f.extend(to)
				copy(f.data[from:to], op.Data[from-op.Off:])
			}
		case Truncate:
			if kept(i, -1) {
				f := files[op.File]
				f.data = f.data[:min(op.N, int64(len(f.data)))]
				f.extend(op.N)
			}
		case Fallocate:
			if kept(i, -1) {
				files[op.File].extend(op.Off + op.N)
			}
		case Punch:
			if f := files[op.File]; kept(i, -1) {
				size := int64(len(f.data))
				clear(f.data[min(op.Off, size):min(op.Off+op.N, size)])
			}
		}
	}
	out.nFile = len(slices.Collect(maps.Keys(files)))
	return out
}

func (n *node) extend(size int64) {
	if more := size - int64(len(n.data)); more > 0 {
		n.data = append(n.data, make([]byte, more)...)
	}
}

// durable tells for each op whether a later sync covers it.
func durable(ops []Op) []bool {
	out := make([]bool, len(ops))
	files, dirs := map[int]bool{}, map[string]bool{}
	for i, op := range slices.Backward(ops) {
		switch op.Kind {
		case Fdatasync:
			files[op.File] = true
		case SyncDir:
			dirs[op.Path] = true
		case Write, Truncate, Fallocate, Punch:
			out[i] = files[op.File]
		case CreateOp, Remove:
			out[i] = dirs[filepath.Dir(op.Path)]
		case Rename:
			out[i] = dirs[filepath.Dir(op.NewPath)]
		case Mkdir:
			out[i] = true
		}
	}
	return out
}
