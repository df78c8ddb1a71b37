package cli

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// permute moves flags before the arguments among which they stand, since the library reads flags only up to the first
// argument: "inspect model.gguf -o json" works like "inspect -o json model.gguf". Behind "--" everything is an argument.
// The order of flags among themselves, and of arguments, stays. args[0] is the program; commands are those of the app.
//
// Which word is the value of a flag is decided as package flag does it: the word behind a flag that takes a value,
// whatever it looks like. An unknown flag is taken for one without a value; the library then refuses it. Where the last
// flag lacks its value the arguments are left out: the library refuses that flag before it would read them.
func permute(args []string, commands []*cli.Command) []string {
	if len(args) == 0 {
		return args
	}
	out, rest := args[:1:1], args[1:]
	var cmd *cli.Command
	for len(rest) > 0 {
		next := find(commands, rest[0])
		if next == nil {
			break
		}
		cmd, commands = next, next.Subcommands
		out, rest = append(out, rest[0]), rest[1:]
	}
	// A command of commands has no arguments but their names: leave what is not one to the library's message.
	if cmd == nil || len(cmd.Subcommands) > 0 {
		return append(out, rest...)
	}
	takesValue := valueFlags(cmd)
	var flags, words []string
	for len(rest) > 0 {
		word := rest[0]
		rest = rest[1:]
		switch {
		case word == "--":
			words = append(words, rest...)
			rest = nil
		case len(word) < 2 || word[0] != '-': // "-" is standard input
			words = append(words, word)
		default:
			flags = append(flags, word)
			if !wantsValue(word, takesValue) {
				break
			}
			if len(rest) == 0 {
				// The value is missing: nothing may follow that would be taken for it, so that the library refuses the flag.
				return append(out, flags...)
			}
			flags, rest = append(flags, rest[0]), rest[1:]
		}
	}
	out = append(out, flags...)
	if len(words) > 0 {
		out = append(append(out, "--"), words...)
	}
	return out
}

// wantsValue reports whether the word behind a flag is its value.
func wantsValue(flag string, takesValue map[string]bool) bool {
	if strings.Contains(flag, "=") {
		return false
	}
	name := strings.TrimPrefix(strings.TrimPrefix(flag, "-"), "-")
	takes, known := takesValue[name]
	if known || strings.HasPrefix(flag, "--") {
		return takes
	}
	// Short flags in one word: the library takes it apart into all of them, so that only the last can have a value.
	for _, r := range name {
		if _, known := takesValue[string(r)]; !known {
			return false
		}
	}
	return takesValue[name[len(name)-1:]]
}

// valueFlags says of each name of a flag of cmd whether it takes a value.
func valueFlags(cmd *cli.Command) map[string]bool {
	m := map[string]bool{}
	for _, f := range append([]cli.Flag{cli.HelpFlag}, cmd.Flags...) {
		d, ok := f.(cli.DocGenerationFlag)
		for _, name := range f.Names() {
			m[name] = ok && d.TakesValue()
		}
	}
	return m
}

func find(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

// wordsAreArguments keeps the library from taking the argument "help" of a command without subcommands for one.
func wordsAreArguments(commands []*cli.Command) {
	for _, c := range commands {
		c.HideHelpCommand = c.HideHelpCommand || len(c.Subcommands) == 0
		wordsAreArguments(c.Subcommands)
	}
}
