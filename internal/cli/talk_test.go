package cli

import (
	"math"
	"strings"
	"testing"
)

func TestLogitBias(t *testing.T) {
	for text, want := range map[string]struct {
		id   int32
		bias float32
	}{"5=1.5": {5, 1.5}, "5=-1": {5, -1}, "15043+1": {15043, 1}, "7-1e2": {7, -100}, "3=-inf": {3, float32(math.Inf(-1))}} {
		if id, bias, ok := logitBias(text); !ok || id != want.id || bias != want.bias {
			t.Errorf("%s: %d, %g, %v", text, id, bias, ok)
		}
	}
	for _, text := range []string{"", "5", "=1", "5=", "5=x", "5=1x", "x=1", "-5=1", "5=nan", "99999999999=1", "5 = 1"} {
		if id, bias, ok := logitBias(text); ok {
			t.Errorf("%q is taken for %d, %g", text, id, bias)
		}
	}
}

// help shows what -h does, commands of commands included.
func TestHelpOfCommands(t *testing.T) {
	for _, words := range []string{"", "run", "sessions", "sessions fork", "cache", "cache bake", "eval"} {
		args := strings.Fields(words)
		help, flag := kvasir(t, "", append([]string{"help"}, args...)...), kvasir(t, "", append(args, "-h")...)
		if help.code != exitOK || help.out != flag.out || !strings.Contains(help.out, "USAGE:") || help.err != "" {
			t.Errorf("help %s: %+v\n-h: %+v", words, help, flag)
		}
	}
	if r := kvasir(t, "", "help", "sessions"); !strings.Contains(r.out, "rewind") {
		t.Errorf("help sessions does not list its commands: %s", r.out)
	}
	if a, b := kvasir(t, "", "--version"), kvasir(t, "", "version"); a.code != exitOK || a.out != b.out {
		t.Errorf("--version: %+v", a)
	}
}
