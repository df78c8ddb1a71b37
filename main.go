// Command kvasir runs language models on small machines and remembers its conversations: the KV cache of every session
// lives in memory-mapped files and survives restarts, kill -9 and power cuts.
package main

import (
	_ "embed"
	"os"

	"kvasir/internal/cli"
)

//go:embed testdata/demo.gguf
var demo []byte

func main() { os.Exit(cli.Main(os.Args, os.Stdin, os.Stdout, os.Stderr, demo)) }
