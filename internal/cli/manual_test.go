package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// The manual page names every command and every flag by its first name.
func TestManualIsComplete(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "kvasir.1"))
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]bool{}
	for _, w := range strings.FieldsFunc(strings.ReplaceAll(string(b), `\-`, "-"), func(r rune) bool { return strings.ContainsRune(" \t\n\",|[]()\\", r) }) {
		words[w] = true
	}
	n := 0
	var check func(commands []*cli.Command, path string)
	check = func(commands []*cli.Command, path string) {
		for _, c := range commands {
			if !words[c.Name] {
				t.Errorf("no command %s %s in the manual", path, c.Name)
			}
			for _, f := range c.Flags {
				dashed := "--" + f.Names()[0]
				if len(f.Names()[0]) == 1 {
					dashed = dashed[1:]
				}
				// A flag with a short name may stand in the manual by that alone.
				found := words[dashed]
				for _, alias := range f.Names()[1:] {
					found = found || len(alias) == 1 && words["-"+alias]
				}
				if n++; !found {
					t.Errorf("no flag %s of %s %s in the manual", dashed, path, c.Name)
				}
			}
			check(c.Subcommands, path+" "+c.Name)
		}
	}
	check((&app{}).commands(), "kvasir")
	if n < 40 {
		t.Errorf("%d flags seen", n)
	}
}
