package chat

import "time"

// Limits that hold at compile time.
const (
	// MaxSourceBytes is the largest template that Compile accepts.
	MaxSourceBytes = 1 << 20
	// maxParseDepth bounds the nesting of blocks and expressions together.
	maxParseDepth = 128
)

// Limits that hold during a render.
const (
	defaultFuel        = 2_000_000
	defaultOutputBytes = 16 << 20

	maxRangeItems    = 100_000
	maxRepeatBytes   = 4 << 20  // result of "ab" * n, of padding and of indenting
	maxStringBytes   = 16 << 20 // result of any other operation on strings
	maxCallDepth     = 32       // macros, call blocks and recursive loops inside each other
	maxEvalDepth     = 4096     // evaluation of nested nodes, macros included
	maxValueDepth    = 128      // printing, comparing or decoding a nested value
	maxFormatBytes   = 4096     // format string of strftime_now
	maxRaisedBytes   = 4096     // message kept of raise_exception
	maxQuotedBytes   = 128      // template or input text in an error
	bytesPerStep     = 64       // bytes that string work may touch for one step of fuel
	namesPerStep     = 16       // names of scopes that may be looked at for one step of fuel
	stepsPerDeadline = 4096     // steps between two looks at the clock
)

// Limits is the budget of one render. A zero field means the default.
type Limits struct {
	// Fuel is the number of evaluation steps, 2,000,000 by default. A node evaluated, a list element touched and 64 bytes of
	// string made cost one step each, so that fuel bounds time and memory alike.
	Fuel int
	// OutputBytes is the largest output, at most (and by default) 16 MiB.
	OutputBytes int
	// Deadline ends the render when the clock has passed it; the zero time means no deadline.
	Deadline time.Time
}

func (l Limits) withDefaults() Limits {
	if l.Fuel <= 0 {
		l.Fuel = defaultFuel
	}
	if l.OutputBytes <= 0 || l.OutputBytes > defaultOutputBytes {
		l.OutputBytes = defaultOutputBytes
	}
	return l
}
