package cli

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// helpCommand shows what -h behind the same words does: the library's own knows neither the commands of a command nor exit codes.
func (a *app) helpCommand() *cli.Command {
	return &cli.Command{
		Name: "help", Usage: "list the commands, or the flags of one", ArgsUsage: "[COMMAND...]",
		Action: func(c *cli.Context) error {
			commands, path := a.commands(), []string{c.App.Name}
			for _, word := range c.Args().Slice() {
				found := find(commands, word)
				if found == nil {
					return usagef("no command %q; 'kvasir help' lists them", strings.Join(append(path[1:], word), " "))
				}
				commands, path = found.Subcommands, append(path, word)
			}
			return c.App.RunContext(c.Context, append(path, "-h"))
		},
	}
}
