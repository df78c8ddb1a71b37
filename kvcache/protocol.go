//go:build !kvbroken

package kvcache

// Rules on which crash safety stands, as constants: what breaks one of them is not in the program. With the build tag kvbroken
// they are variables, so that the crash tests can take one away and must notice (protocol_broken.go).
const (
	syncBeforeAck   = true // a turn is acknowledged after the journal's fdatasync (FORMAT.md, section 9)
	failureIsFinal  = true // a journal whose sync failed is not written any more (J7)
	verifyPayload   = true // layer checksums decide before the first use (R9)
	checkParent     = true // a block without its parent is not kept (R7)
	holdSlots       = true // a slot that a sequence uses is not given out again (W1)
	syncNewSegment  = true // the directory is synced before a new segment is used
	distrustOnError = true // what a failed sync leaves in doubt leaves the index (W4)
)
