//go:build kvbroken

package kvcache

import (
	"flag"
	"os"
	"testing"
)

var crashBreak = flag.String("crash.break", "", "the rule of protocol_broken.go to break")

// With the tag kvbroken the tests run with one rule broken: they must fail (testdata/crash-negative.sh).
func TestMain(m *testing.M) {
	flag.Parse()
	if *crashBreak != "" {
		rule := breakable[*crashBreak]
		if rule == nil {
			println("no rule is called", *crashBreak)
			os.Exit(2)
		}
		*rule = false
	}
	os.Exit(m.Run())
}
