package cli

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"kvasir/engine"
	"kvasir/internal/buildinfo"
)

func (a *app) versionCommand() *cli.Command {
	return &cli.Command{
		Name: "version", Usage: "print the version of the program and its kernels",
		UsageText: "kvasir version [-o table|json]",
		Flags:     []cli.Flag{outputFlag()},
		Action:    a.version,
	}
}

func (a *app) version(c *cli.Context) error {
	asJSON, err := wantsJSON(c)
	if err != nil {
		return err
	}
	if err := noArguments(c); err != nil {
		return err
	}
	info, kernels := buildinfo.Get(), engine.Kernels()
	if asJSON {
		return a.printJSON(struct {
			buildinfo.Info
			Kernels []string `json:"kernels"`
		}{info, kernels}, true)
	}
	_, err = fmt.Fprintf(a.out, "kvasir %s\n%s %s/%s\nkernels %s\n", info, info.Go, info.OS, info.Arch, strings.Join(kernels, " "))
	return err
}
