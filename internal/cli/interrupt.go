package cli

import (
	"context"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"
)

// interruptible returns a context that ends with SIGINT or SIGTERM, for commands that leave something behind if they
// are not told. A second signal ends the process.
func interruptible(c *cli.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(c.Context, syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
