// Package kvcache keeps the attention keys and values of token paths, in memory and on disk, and the journals of
// conversations. FORMAT.md is normative for every byte on disk.
//
// Reading order: geometry.go (what a block holds and where), sequence.go (the path of one conversation, which the
// engine reads and writes), namespace.go (the index that sequences share), segment.go and header.go (the disk), store.go
// (lock, limits, status), recovery.go, evict.go and regain.go (room), stamp.go and view.go (what others do to the files), window.go and
// window_punch.go (layers with a window), state.go (recurrent ones); apart from these journal.go, sessions.go, renew.go, fork.go and scrub.go (a
// session goes, and its rows with it), and archive.go (one file that moves a conversation or a prefix to another store).
//
// The package knows nothing of models: a Geometry says how many bytes a row has, a Fingerprint says whose rows they are.
package kvcache
