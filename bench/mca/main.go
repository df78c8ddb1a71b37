// Command mca cuts the hot loops of the arm64 kernels out of a disassembly for llvm-mca, and makes a table of what that
// says. bench/mca.sh (make mca) runs it.
//
//	mca check DISASSEMBLY         every loop is where the table says and reads the bytes it says
//	mca regions DISASSEMBLY DIR   writes DIR/CPU.s per CPU
//	mca table DIR                 reads DIR/CPU.txt, prints the tables
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
		return each(args[1], func(m machine) (io.WriteCloser, error) { return os.Create(filepath.Join(args[2], m.cpu+".s")) })
	case len(args) == 2 && args[0] == "table":
		return writeTables(out, args[1])
	}
	return errors.New("usage: mca check DISASSEMBLY | regions DISASSEMBLY DIR | table DIR")
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Close() error                { return nil }

// each writes every machine's regions to what open returns.
func each(disassembly string, open func(machine) (io.WriteCloser, error)) error {
	f, err := os.Open(disassembly)
	if err != nil {
		return err
	}
	defer f.Close()
	fs, err := readDisassembly(f)
	if err != nil {
		return fmt.Errorf("%s: %w", disassembly, err)
	}
	for _, m := range machines {
		w, err := open(m)
		if err != nil {
			return err
		}
		if err := errors.Join(writeRegions(w, m, fs), w.Close()); err != nil {
			return fmt.Errorf("%s: %s: %w", disassembly, m.cpu, err)
		}
	}
	return nil
}
