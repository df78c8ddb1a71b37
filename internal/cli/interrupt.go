package cli

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/urfave/cli/v2"
)

// interruptible returns a context that ends with SIGINT or SIGTERM, for commands that leave something behind if they
// are not told. A second signal ends the process.
func interruptible(c *cli.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(c.Context, heeded(syscall.SIGINT)...)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// heeded returns SIGTERM and those of the signals that the process was not started to ignore, as nohup and shells in the background do.
func heeded(signals ...os.Signal) []os.Signal {
	return append(slices.DeleteFunc(signals, signal.Ignored), syscall.SIGTERM)
}
