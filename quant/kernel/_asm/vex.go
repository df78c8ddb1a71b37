package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// The dot products of AVX-VNNI are those of AVX-512 VNNI in the older encoding of vectors, VEX, which neither avo nor the
// Go assembler has. Kernels for it are generated with the newer one, EVEX, and their dot products written anew as bytes.
var (
	dotProduct = regexp.MustCompile(`^\t(VPDPBUSD|VPDPWSSD) +Y(\d+), Y(\d+), Y(\d+)$`)
	requires   = regexp.MustCompile(`^// Requires: .*AVX512`)
)

// vexOpcodes are the instructions' bytes in the opcode map 0F38.
var vexOpcodes = map[string]int{"VPDPBUSD": 0x50, "VPDPWSSD": 0x52}

// vexDot encodes an instruction whose operands stand in Go's order (Intel SDM 2, 2.3: VEX.256.66.0F38.W0 op /r). The last
// one is the destination, in ModRM.reg; the one before it is VEX.vvvv, and the first one is ModRM.rm.
func vexDot(op string, rm, vvvv, reg int) [5]byte {
	return [5]byte{
		0xc4,
		byte(1-reg/8)<<7 | 1<<6 | byte(1-rm/8)<<5 | 2, // inverted R, X and B, map 0F38
		byte(15-vvvv)<<3 | 1<<2 | 1,                   // W0, inverted vvvv, 256 bits, prefix 66
		byte(vexOpcodes[op]),
		0xc0 | byte(reg%8)<<3 | byte(rm%8), // registers only
	}
}

// writeVEX replaces the dot products of the generated file.
func writeVEX() error {
	name := flag.Lookup("out").Value.String()
	asm, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	for line := range strings.Lines(string(asm)) {
		line = strings.TrimSuffix(line, "\n")
		if f := dotProduct.FindStringSubmatch(line); f != nil {
			var regs [3]int
			for i := range regs {
				if regs[i], _ = strconv.Atoi(f[2+i]); regs[i] > 15 {
					return fmt.Errorf("%s: %q: VEX has 16 registers", name, line)
				}
			}
			line = "\t"
			for _, b := range vexDot(f[1], regs[0], regs[1], regs[2]) {
				line += fmt.Sprintf("BYTE $0x%02x; ", b)
			}
			line += fmt.Sprintf("// %s Y%d, Y%d, Y%d", f[1], regs[0], regs[1], regs[2])
		} else if requires.MatchString(line) {
			line = strings.Replace(line, "AVX512VL, AVX512VNNI", "AVXVNNI", 1)
			if strings.Contains(line, "AVX512") {
				return fmt.Errorf("%s: a function %q", name, line)
			}
		} else if strings.Contains(line, "VPDP") {
			return fmt.Errorf("%s: %q is not a dot product of registers", name, line)
		}
		fmt.Fprintln(&out, line)
	}
	return os.WriteFile(name, out.Bytes(), 0o644)
}
