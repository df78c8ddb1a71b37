// Command report turns the lines of bench/compare.sh into a table: the median of every program's runs, and their ratio.
//
//	go run ./bench/report bench/results/FILE.jsonl
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
)

// line is one measurement: kvasir's form, or the peer's.
type line struct {
	Shape, Program, Test, KV string
	Threads                  int
	Kernels                  string
	TokS                     float64 `json:"tok_s"`
	Prompt                   float64 `json:"prompt_tok_s"`
	Gen                      float64 `json:"gen_tok_s"`
	Runs                     []float64
}

// speeds returns the single runs of the line.
func (l line) speeds() []float64 {
	if len(l.Runs) > 0 {
		return l.Runs
	}
	return []float64{max(l.TokS, l.Prompt, l.Gen)}
}

type key struct {
	shape, test string
	threads     int
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: report FILE.jsonl")
	}
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	var order []key
	ours, peers := map[key][]float64{}, map[key]map[string][]float64{}
	for s := bufio.NewScanner(f); s.Scan(); {
		var l line
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			return fmt.Errorf("%q: %w", s.Text(), err)
		}
		k := key{l.Shape, l.Test, l.Threads}
		if peers[k] == nil {
			order, peers[k] = append(order, k), map[string][]float64{}
		}
		if l.Program == "kvasir" {
			ours[k] = append(ours[k], l.speeds()...)
		} else {
			peers[k][l.KV] = append(peers[k][l.KV], l.speeds()...)
		}
	}
	fmt.Println("| model | test | threads | kvasir | llama.cpp | ratio | runs |\n|---|---|---|---|---|---|---|")
	for _, k := range order {
		best, kv := 0.0, ""
		for f, xs := range peers[k] {
			if m := median(xs); m > best {
				best, kv = m, f
			}
		}
		m := median(ours[k])
		fmt.Printf("| %s | %s | %d | %.1f | %.1f (%s) | %.2f | %d |\n", k.shape, k.test, k.threads, m, best, kv, m/best, len(ours[k]))
	}
	return nil
}

func median(xs []float64) float64 {
	if len(xs) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(xs))
	return s[len(s)/2]
}
