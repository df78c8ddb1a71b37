// Command mkmodel writes a GGUF file of a real model's shape with random weights, to time programs on.
//
//	go run ./bench/mkmodel qwen2.5-0.5b:q4_0 model.gguf
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"kvasir/gguf/synth"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mkmodel:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		var names []string
		for _, s := range synth.Shapes() {
			names = append(names, s.Name)
		}
		return fmt.Errorf("usage: mkmodel SHAPE:TYPE OUT.gguf; shapes are %s; types are q4_k_m or a tensor type", strings.Join(names, ", "))
	}
	name, typ, ok := strings.Cut(args[0], ":")
	if !ok {
		return fmt.Errorf("%q, expected SHAPE:TYPE", args[0])
	}
	shape, err := synth.Named(name)
	if err != nil {
		return err
	}
	mix, err := synth.ParseMix(typ)
	if err != nil {
		return err
	}
	f, err := os.Create(args[1])
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	_, err = synth.Write(w, shape, mix)
	return errors.Join(err, w.Flush(), f.Close())
}
