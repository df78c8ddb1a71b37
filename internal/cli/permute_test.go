package cli

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// grammar is a command line with every kind of flag.
func grammar(run func(*cli.Context) error) []*cli.Command {
	flags := func() []cli.Flag {
		return []cli.Flag{
			&cli.StringFlag{Name: "model", Aliases: []string{"m"}}, &cli.IntFlag{Name: "n"}, &cli.StringFlag{Name: "o"},
			&cli.BoolFlag{Name: "raw", Aliases: []string{"x"}}, &cli.BoolFlag{Name: "v"}, &cli.IntSliceFlag{Name: "d"},
		}
	}
	return []*cli.Command{
		{Name: "run", Aliases: []string{"r"}, Flags: flags(), Action: run},
		{Name: "sessions", Subcommands: []*cli.Command{{Name: "show", Flags: flags(), Action: run}}},
	}
}

func TestPermute(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"run", "run"},
		{"run a b", "run -- a b"},
		{"run a -n 5 b", "run -n 5 -- a b"},
		{"run -n 5 a", "run -n 5 -- a"},
		{"r a -raw b", "r -raw -- a b"},
		{"run a --model=x b -m y", "run --model=x -m y -- a b"},
		{"run - -n 5", "run -n 5 -- -"},               // standard input
		{"run a -n -1", "run -n -1 -- a"},             // a value that looks like a flag
		{"run a -n -- b", "run -n -- -- a b"},         // and one that looks like the end of flags
		{"run -n 1 -- -n 2", "run -n 1 -- -n 2"},      // behind -- all are words
		{"run a -- b -m x", "run -- a b -m x"},        //
		{"run a --", "run -- a"},                      //
		{"run -- a", "run -- a"},                      //
		{"run a -xv b", "run -xv -- a b"},             // short flags in one word
		{"run a -vn 5 b", "run -vn 5 -- a b"},         // the last of them with a value
		{"run a --nosuch b", "run --nosuch -- a b"},   // left to the library to refuse
		{"run a -help b", "run -help -- a b"},         //
		{"run a -n", "run -n"},                        // a value that is missing: -- would be taken for it
		{"run a -d 1,2 -d 3", "run -d 1,2 -d 3 -- a"}, //
		{"sessions show NAME -o json", "sessions show -o json -- NAME"},
		{"sessions nosuch -o json", "sessions nosuch -o json"}, // the library names the word
		{"nosuch a -b", "nosuch a -b"},
		{"-h", "-h"},
		{"run help", "run -- help"},
	} {
		in := append([]string{"kvasir"}, strings.Fields(c.in)...)
		before := slices.Clone(in)
		got := strings.Join(permute(in, grammar(nil))[1:], " ")
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
		if !slices.Equal(in, before) {
			t.Errorf("%q: changed its argument", c.in)
		}
	}
	if got := permute(nil, grammar(nil)); len(got) != 0 {
		t.Errorf("no arguments at all: %q", got)
	}
}

// What the library makes of the new order is what was meant.
func TestPermutedFlagsReachTheCommand(t *testing.T) {
	for _, c := range []struct {
		in, model string
		n         int
		raw       bool
		d         []int
		words     []string
	}{
		{"run a -m x b -n 5 -x", "x", 5, true, nil, []string{"a", "b"}},
		{"run help", "", 0, false, nil, []string{"help"}},
		{"run h -n 3", "", 3, false, nil, []string{"h"}},
		{"run model", "", 0, false, nil, []string{"model"}}, // the name of a flag is a word too
		{"run -xv a -- -m x", "", 0, true, nil, []string{"a", "-m", "x"}},
		{"run a -vn 7", "", 7, false, nil, []string{"a"}},
		{"run -d 1,2 a -d 3", "", 0, false, []int{1, 2, 3}, []string{"a"}},
		{"sessions show a --raw=false -m y", "y", 0, false, nil, []string{"a"}},
	} {
		ran := false
		commands := grammar(func(ctx *cli.Context) error {
			ran = true
			if got := ctx.Args().Slice(); !slices.Equal(got, c.words) || ctx.String("model") != c.model || ctx.Int("n") != c.n || ctx.Bool("raw") != c.raw ||
				!slices.Equal(ctx.IntSlice("d"), c.d) {
				t.Errorf("%q: words %q, model %q, n %d, raw %v, d %v", c.in, got, ctx.String("model"), ctx.Int("n"), ctx.Bool("raw"), ctx.IntSlice("d"))
			}
			return nil
		})
		wordsAreArguments(commands)
		app := &cli.App{Name: "kvasir", UseShortOptionHandling: true, Commands: commands, HideVersion: true}
		if err := app.Run(permute(append([]string{"kvasir"}, strings.Fields(c.in)...), commands)); err != nil || !ran {
			t.Errorf("%q: ran %v, %v", c.in, ran, err)
		}
	}
}

// A flag whose value is missing is refused, whatever stands before it.
func TestPermuteLeavesAMissingValueMissing(t *testing.T) {
	for _, in := range []string{"run -n", "run a -n", "run a b -m", "sessions show NAME -o", "run a -vn"} {
		commands := grammar(func(ctx *cli.Context) error {
			t.Errorf("%q: ran with words %q", in, ctx.Args().Slice())
			return nil
		})
		wordsAreArguments(commands)
		app := &cli.App{Name: "kvasir", UseShortOptionHandling: true, Commands: commands, HideVersion: true, Writer: io.Discard, ErrWriter: io.Discard}
		err := app.Run(permute(append([]string{"kvasir"}, strings.Fields(in)...), commands))
		if err == nil || !strings.Contains(err.Error(), "needs an argument") {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// Whatever the words, none is made up, and none lost but before a flag without its value; a second time changes nothing.
func FuzzPermute(f *testing.F) {
	for _, s := range []string{"run a -n 5 b", "sessions show -o -- 0", "run a -n", "run -- -", "sessions show -o", "run -xvn 1 -", "run --", "", "run -"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		in := append([]string{"kvasir"}, strings.Fields(s)...)
		out := permute(in, grammar(nil))
		count := func(words []string) map[string]int {
			m := map[string]int{}
			for _, w := range words {
				if w != "--" {
					m[w]++
				}
			}
			return m
		}
		a, b := count(in), count(out)
		last := in[len(in)-1]
		refused := len(last) > 1 && last[0] == '-' && out[len(out)-1] == last
		for w, n := range a {
			if b[w] != n && !(refused && b[w] < n) {
				t.Fatalf("%q: %q %d times in %q", in, w, b[w], out)
			}
		}
		if len(b) > len(a) || len(out) > len(in)+1 {
			t.Fatalf("%q became %q", in, out)
		}
		if again := permute(out, grammar(nil)); !slices.Equal(again, out) {
			t.Fatalf("%q, permuted again %q", out, again)
		}
	})
}
