//go:build kvbroken

package kvcache

// The rules of protocol.go as variables. breakable names them for -crash.break.
var (
	syncBeforeAck   = true
	failureIsFinal  = true
	verifyPayload   = true
	checkParent     = true
	holdSlots       = true
	syncNewSegment  = true
	distrustOnError = true
)

var breakable = map[string]*bool{
	"sync-before-ack":   &syncBeforeAck,
	"failure-is-final":  &failureIsFinal,
	"verify-payload":    &verifyPayload,
	"check-parent":      &checkParent,
	"hold-slots":        &holdSlots,
	"sync-new-segment":  &syncNewSegment,
	"distrust-on-error": &distrustOnError,
}
