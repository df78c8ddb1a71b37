// Package sample chooses the next token from a model's logits.
//
// The chain is that of llama.cpp: logit bias, penalties, top-k, top-p, min-p, temperature, draw. All arithmetic after
// the logits is in float64 in a fixed order, with exponential, logarithm and random numbers of this package's own, so
// that a seed gives the same tokens on every machine.
package sample

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

var (
	// ErrBadParams says that a parameter is outside its range; the text names it.
	ErrBadParams = errors.New("sample: bad parameter")
	// ErrBadLogits says that logits hold NaN or +Inf, have the wrong length, or exclude every token.
	ErrBadLogits = errors.New("sample: bad logits")
)

// Params says how tokens are chosen. The zero value is greedy with no repeat penalty set, which Validate refuses: start
// from Defaults.
type Params struct {
	Temp float32 // temperature; 0 or less: always the likeliest token, the lowest id where several are
	TopK int     // keep the k likeliest; 0 or less: all
	TopP float32 // keep the fewest likeliest whose probabilities reach this sum; 1: all
	MinP float32 // keep those at least this fraction as likely as the likeliest; 0: all

	RepeatPenalty    float32 // divides positive logits of recent tokens, multiplies negative ones; 1: off
	PresencePenalty  float32 // subtracted once from the logit of a recent token
	FrequencyPenalty float32 // subtracted for each time a token is recent
	PenaltyLastN     int     // how many tokens are recent; 0: none, -1: all that were accepted

	Seed      uint64
	LogitBias map[int32]float32 // added to a token's logit; -Inf excludes it
}

// maxPenaltyLastN bounds the memory of the penalty window.
const maxPenaltyLastN = 1 << 24

// Defaults returns llama.cpp's defaults, with seed 0.
func Defaults() Params {
	return Params{Temp: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05, RepeatPenalty: 1, PenaltyLastN: 64}
}

// Greedy returns parameters that choose the likeliest token, without penalties.
func Greedy() Params { return Params{TopP: 1, RepeatPenalty: 1} }

// Validate reports the first parameter that is outside its range, wrapping ErrBadParams.
func (p *Params) Validate() error {
	for _, f := range []struct {
		name         string
		v            float32
		lo, hi       float32
		openLo       bool
		expectedText string
	}{
		{"temp", p.Temp, -math.MaxFloat32, math.MaxFloat32, false, "a finite number"},
		{"top_p", p.TopP, 0, 1, false, "a number from 0 to 1"},
		{"min_p", p.MinP, 0, 1, false, "a number from 0 to 1"},
		{"repeat_penalty", p.RepeatPenalty, 0, math.MaxFloat32, true, "a finite number above 0"},
		{"presence_penalty", p.PresencePenalty, -math.MaxFloat32, math.MaxFloat32, false, "a finite number"},
		{"frequency_penalty", p.FrequencyPenalty, -math.MaxFloat32, math.MaxFloat32, false, "a finite number"},
	} {
		if !(f.v >= f.lo && f.v <= f.hi) || f.openLo && f.v == f.lo { // the first form refuses NaN too
			return fmt.Errorf("%w: %s is %v, expected %s", ErrBadParams, f.name, f.v, f.expectedText)
		}
	}
	if p.PenaltyLastN < -1 || p.PenaltyLastN > maxPenaltyLastN {
		return fmt.Errorf("%w: repeat_last_n is %d, expected -1 to %d", ErrBadParams, p.PenaltyLastN, maxPenaltyLastN)
	}
	for _, id := range sortedIDs(p.LogitBias) {
		if b := p.LogitBias[id]; id < 0 || !(b <= math.MaxFloat32) {
			return fmt.Errorf("%w: logit_bias of token %d is %v, expected a token id and a number or -Inf", ErrBadParams, id, b)
		}
	}
	return nil
}

func sortedIDs(m map[int32]float32) []int32 {
	ids := make([]int32, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// penalised reports whether any penalty is on.
func (p *Params) penalised() bool {
	return p.PenaltyLastN != 0 && (p.RepeatPenalty != 1 || p.PresencePenalty != 0 || p.FrequencyPenalty != 0)
}
