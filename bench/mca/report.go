package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

// writeRegions writes a machine's loops as the regions that llvm-mca analyses.
func writeRegions(w io.Writer, m machine, fs functions) error {
	for i, l := range m.loops() {
		body, err := l.body(fs)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "# LLVM-MCA-BEGIN %d\nL%d:\n", i, i)
		for _, in := range body {
			text := in.text
			if in.target != 0 {
				text += fmt.Sprintf("L%d", i)
			}
			fmt.Fprintln(w, text)
		}
		fmt.Fprintf(w, "# LLVM-MCA-END %d\n", i)
	}
	return nil
}

// result is what llvm-mca says of a region, for one iteration.
type result struct{ insns, cycles float64 }

var (
	regionLine = regexp.MustCompile(`^\[\d+\] Code Region - (\d+)$`)
	figureLine = regexp.MustCompile(`^(Iterations|Instructions|Total Cycles):\s+(\d+)$`)
)

// readResults reads llvm-mca's summaries.
func readResults(r io.Reader) (map[int]result, error) {
	rs := map[int]result{}
	region, iterations := -1, 1.0
	s := bufio.NewScanner(r)
	for s.Scan() {
		if f := regionLine.FindStringSubmatch(s.Text()); f != nil {
			region, _ = strconv.Atoi(f[1])
			continue
		}
		f := figureLine.FindStringSubmatch(s.Text())
		if f == nil || region < 0 {
			continue
		}
		v, err := strconv.ParseFloat(f[2], 64)
		if err != nil || v == 0 {
			return nil, fmt.Errorf("region %d: %q", region, s.Text())
		}
		one := rs[region]
		switch f[1] {
		case "Iterations":
			iterations = v
		case "Instructions":
			one.insns = v / iterations
		case "Total Cycles":
			one.cycles = v / iterations
		}
		rs[region] = one
	}
	return rs, s.Err()
}

// writeTables writes the tables of all machines from DIR.
func writeTables(w io.Writer, dir string) error {
	for _, m := range machines {
		f, err := os.Open(filepath.Join(dir, m.file()+".txt"))
		if err != nil {
			return err
		}
		rs, err := readResults(f)
		f.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name(), err)
		}
		if n := len(m.loops()); len(rs) != n {
			return fmt.Errorf("%s: %d regions, want %d", f.Name(), len(rs), n)
		}
		m.write(w, rs)
	}
	return nil
}

func (m machine) write(w io.Writer, rs map[int]result) {
	halved := ""
	if m.steps > 1 {
		halved = fmt.Sprintf(", at 1/%.0f of its rate", m.steps)
	}
	fmt.Fprintf(w, "\n## %s: %s (model: %s%s), %.1f GHz\n", m.table, m.cpu, m.model, halved, m.clock)
	if len(m.decode) > 0 {
		fmt.Fprintf(w, "\nOne token. %d cores, %s: %.0f GB/s of memory, which is %.2f cycles per byte and core.\n\n",
			nCores, m.board, m.bandwidth, m.budget())
		fmt.Fprintln(w, "| loop | function | bytes | instructions | cycles | cycles/byte | GB/s | bound by memory |")
		fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|")
	}
	for i, l := range m.decode {
		r, passes := rs[i], float64(max(1, l.passes))
		cycles := m.floor(r) * passes
		perByte := cycles / float64(l.bytes)
		verdict := fmt.Sprintf("yes, %.1f times over", m.budget()/perByte)
		if perByte > m.budget() {
			verdict = fmt.Sprintf("**no, %.2f times too slow**", perByte/m.budget())
		}
		fmt.Fprintf(w, "| %s | %s | %d | %.0f | %.1f | %.2f | %.1f | %s |\n",
			l.name, l.symbol, l.bytes, r.insns*passes, cycles, perByte, m.clock*nCores/perByte, verdict)
	}
	fmt.Fprintf(w, "\nMany columns: the inner loops over decoded panels.\n\n")
	fmt.Fprintln(w, "| loop | function | products | instructions | cycles | products/cycle |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|")
	for i, l := range m.panels {
		r := rs[len(m.decode)+i]
		cycles := m.floor(r)
		fmt.Fprintf(w, "| %s | %s | %d | %.0f | %.1f | %.1f |\n", l.name, l.symbol, l.macs, r.insns, cycles, float64(l.macs)/cycles)
	}
}

// floor is the cycles of an iteration, no fewer than the decoders need, and more where the core is narrower than the model.
func (m machine) floor(r result) float64 {
	return max(r.cycles, r.insns/float64(m.width)) * max(1, m.steps)
}

// budget is the cycles per byte at which the cores keep up with memory.
func (m machine) budget() float64 { return nCores * m.clock / m.bandwidth }
