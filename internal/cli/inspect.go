package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"kvasir/engine"
	"kvasir/gguf"
	"kvasir/quant"
)

func (a *app) inspectCommand() *cli.Command {
	return &cli.Command{
		Name: "inspect", Usage: "show what a model file holds and whether it fits in this machine's memory",
		UsageText: "kvasir inspect MODEL [-c N] [-o table|json]\n\nMODEL is a GGUF file, or demo for the built-in model.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "model", Aliases: []string{"m"}, Usage: "GGUF model `FILE`, instead of the argument"},
			&cli.IntFlag{Name: "ctx", Aliases: []string{"c", "ctx-size"}, Usage: "judge the memory for a context of `N` tokens (default: what the model was trained for)"},
			outputFlag(),
		},
		Action: a.inspect,
	}
}

func (a *app) inspect(c *cli.Context) error {
	asJSON, err := wantsJSON(c)
	if err != nil {
		return err
	}
	name := c.String("model")
	switch {
	case c.NArg() > 1 || c.NArg() == 1 && name != "":
		return usagef("one model can be inspected at a time, %d given", c.NArg()+min(1, len(name)))
	case c.NArg() == 1:
		name = c.Args().First()
	case name == "":
		name = a.cfg.Model
	}
	nCtx := c.Int("ctx")
	if nCtx < 0 || nCtx > maxContext {
		return usagef("-c %d, expected 1 to %d", nCtx, maxContext)
	}
	f, err := a.openFile(name)
	if err != nil {
		return err
	}
	r := describe(f)
	// A file that cannot be run can be looked at all the same.
	m, err := a.openNamed(name, engine.Options{Threads: 1, Kernels: a.cfg.Kernels})
	if err != nil {
		if !unusable(err) {
			return errors.Join(err, f.Close())
		}
		r.Reason = reasonOf(err)
	} else {
		err = errors.Join(a.addRunning(c.Context, r, m, nCtx), m.Close())
		if err != nil {
			return errors.Join(err, f.Close())
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(r, true)
	}
	return r.print(a.out)
}

// addRunning adds what running the model takes, with the recipe that a conversation would use.
func (a *app) addRunning(ctx context.Context, r *inspection, m *engine.Model, nCtx int) error {
	p := a.progress("reading model")
	recipe, path, broken := m.FindRecipe(ctx, a.cfg.Home, p.set)
	p.end()
	if errors.Is(broken, context.Canceled) {
		return broken
	}
	if err := r.addModel(m, nCtx, machineMemory(), recipe); err != nil {
		return err
	}
	r.Run.Recipe = path
	if broken != nil {
		r.Run.InUse, r.Run.RecipeError = quant.KVF16.String(), broken.Error()
	}
	return nil
}

// openFile opens a GGUF file without asking whether it holds a model.
func (a *app) openFile(name string) (*gguf.Model, error) {
	if name == "" || name == demoName {
		return gguf.OpenBytes(demoName, a.demo)
	}
	f, err := gguf.Open(name)
	return f, modelFileError(err)
}

// openNamed opens a model by its path; "" and demo are the built-in one.
func (a *app) openNamed(name string, opt engine.Options) (*engine.Model, error) {
	if name == "" || name == demoName {
		return engine.OpenBytes(demoName, a.demo, opt)
	}
	m, err := engine.Open(name, opt)
	return m, modelFileError(err)
}

// modelFileError makes a model file that cannot be opened bad data, like one that is there and broken.
func modelFileError(err error) error {
	if system := syscall.Errno(0); errors.As(err, &system) {
		return &dataError{err}
	}
	return err
}

// unusable reports whether err says that a sound file is no model that this program runs.
func unusable(err error) bool {
	return errors.Is(err, gguf.ErrUnsupported) || errors.Is(err, gguf.ErrModel) || errors.Is(err, gguf.ErrAbsent)
}

// reasonOf returns the fault of the file, without the path that the report names anyway.
func reasonOf(err error) string {
	var broken *gguf.Error
	if errors.As(err, &broken) {
		return broken.Error()
	}
	return err.Error()
}

// describe collects what the file says of itself.
func describe(f *gguf.Model) *inspection {
	r := &inspection{Model: f.Name, FileBytes: f.Size, Version: f.Version, Warnings: f.Warnings}
	r.Architecture, _ = f.Architecture()
	r.Name, _ = f.String("general.name")
	for key, v := range f.All() {
		r.Metadata = append(r.Metadata, metadatum{Key: key, Type: typeText(v), Value: jsonValue(v), text: strings.TrimPrefix(v.String(), typeText(v)+" ")})
	}
	groups := map[tensorGroup]int{} // without its counts -> index
	types := map[string]int{}
	for i := range f.Tensors() {
		t := &f.Tensors()[i]
		r.Parameters += t.Values()
		r.TensorBytes += int64(t.Bytes)
		typ := gguf.TypeName(t.Type)
		k := tensorGroup{Name: pattern(t.Name), Type: typ, Shape: shapeText(t.Dims)}
		if at, ok := groups[k]; ok {
			r.Tensors[at].Count++
			r.Tensors[at].Bytes += int64(t.Bytes)
		} else {
			groups[k] = len(r.Tensors)
			k.Count, k.Bytes = 1, int64(t.Bytes)
			r.Tensors = append(r.Tensors, k)
		}
		at, ok := types[typ]
		if !ok {
			at = len(r.Types)
			types[typ] = at
			r.Types = append(r.Types, typeSum{Type: typ})
		}
		r.Types[at].Count++
		r.Types[at].Bytes += int64(t.Bytes)
	}
	return r
}

// pattern returns a tensor's name with the number of its block left out: blk.*.attn_q.weight.
func pattern(name string) string {
	parts := strings.SplitN(name, ".", 3)
	if len(parts) == 3 && parts[0] == "blk" && parts[1] != "" && strings.Trim(parts[1], "0123456789") == "" {
		parts[1] = "*"
	}
	return strings.Join(parts, ".")
}

// shapeText returns dimensions, the innermost first, as the format has them.
func shapeText(dims []uint64) string {
	parts := make([]string, len(dims))
	for i, d := range dims {
		parts[i] = fmt.Sprint(d)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func typeText(v gguf.Value) string {
	if v.Type() == gguf.Array {
		return fmt.Sprintf("%s[%d]", v.Elem(), v.Len())
	}
	return v.Type().String()
}
