package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/urfave/cli/v2"

	"kvasir/engine"
	"kvasir/gguf/synth"
	"kvasir/platform"
)

// openSynthetic writes a model of random weights to a file, opens it, and removes its name.
func (a *app) openSynthetic(ctx context.Context, c *cli.Context, what string) (_ *engine.Model, err error) {
	if c.String("model") != "" {
		return nil, usagef("-m and --synthetic exclude each other")
	}
	shapeName, typeName, err := shapeAndType(what)
	if err != nil {
		return nil, err
	}
	shape, err := synth.Named(shapeName)
	if err != nil {
		return nil, usagef("--synthetic: %v", err)
	}
	mix, err := synth.ParseMix(typeName)
	if err != nil {
		return nil, usagef("--synthetic: %v", err)
	}
	size, err := synth.Bytes(shape, mix)
	if err != nil {
		return nil, err
	}
	dir := c.String("dir")
	if dir == "" {
		dir = os.TempDir()
	}
	if space, err := platform.FreeSpace(dir); err == nil && space.Free < size {
		return nil, fmt.Errorf("%.256q has %s free, the random model takes %s (see --dir): %w", dir, bytesText(space.Free), bytesText(size), syscall.ENOSPC)
	}
	f, err := os.CreateTemp(dir, "kvasir-bench-*.gguf")
	if err != nil {
		return nil, quotePath(err)
	}
	// The mapping outlives the name: once it exists, nothing is left behind however the process ends.
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	fmt.Fprintf(a.err, "writing a model of random weights, %s, to %.256q (removed at once when it is open)\n", bytesText(size), f.Name())
	if err := a.writeSynthetic(ctx, f, shape, mix, size); err != nil {
		return nil, errors.Join(fmt.Errorf("write %.256q: %w", f.Name(), err), f.Close())
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	if err := c.Set("model", f.Name()); err != nil {
		return nil, err
	}
	return a.openModel(ctx, c)
}

func (a *app) writeSynthetic(ctx context.Context, f io.Writer, shape synth.Shape, mix synth.Mix, size int64) error {
	bar := a.progress("random weights")
	defer bar.end()
	done := int64(0)
	w := bufio.NewWriterSize(writerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n, err := f.Write(p)
		done += int64(n)
		bar.set(done, size)
		return n, err
	}), 1<<20)
	if _, err := synth.Write(w, shape, mix); err != nil {
		return err
	}
	return w.Flush()
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
