// Command mca cuts the hot loops of the kernels out of a disassembly for llvm-mca, and makes a table of what that
// says. bench/mca.sh (make mca) runs it.
//
//	mca check DISASSEMBLY         every loop is where the table says and reads the bytes it says
//	mca regions DISASSEMBLY DIR   writes DIR/ARCH.VARIANT.CPU.s for each machine of the disassembly's architecture
//	mca table DIR                 reads DIR/ARCH.VARIANT.CPU.txt, prints the tables
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mca:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	switch {
	case len(args) == 2 && args[0] == "check":
		return each(args[1], func(machine) (io.WriteCloser, error) { return discard{}, nil })
	case len(args) == 3 && args[0] == "regions":
		return each(args[1], func(m machine) (io.WriteCloser, error) { return os.Create(filepath.Join(args[2], m.file()+".s")) })
	case len(args) == 2 && args[0] == "table":
		return writeTables(out, args[1])
	}
	return errors.New("usage: mca check DISASSEMBLY | regions DISASSEMBLY DIR | table DIR")
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Close() error                { return nil }

// each writes every machine's regions to what open returns.
func each(path string, open func(machine) (io.WriteCloser, error)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	d, err := readDisassembly(f)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, m := range machines {
		if m.arch != d.arch {
			continue
		}
		w, err := open(m)
		if err != nil {
			return err
		}
		if err := errors.Join(writeRegions(w, m, d.functions), w.Close()); err != nil {
			return fmt.Errorf("%s: %s: %w", path, m.file(), err)
		}
	}
	return nil
}
