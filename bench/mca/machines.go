package main

import "slices"

// machine is a scheduling model of LLVM and the board it stands for.
type machine struct {
	arch  string // Go's name
	cpu   string // LLVM's name
	model string // what LLVM 19 schedules it as
	board string
	table string // the kernel variant

	decode []loop
	panels []loop

	clock     float64 // GHz
	bandwidth float64 // GB/s of memory, all cores
	width     int     // instructions that the core decodes in a cycle, a floor that some models lack
	steps     float64 // that the core takes for one of the model; 0 is 1
}

const nCores = 4

// The boards' memory figures are what a plain read reaches. The Cortex-A76 is a Neoverse N1 without its mesh: LLVM
// schedules it as a Cortex-A57, which has two of the A76's three decoders' worth of work, so both are shown.
var machines = []machine{
	{"arm64", "cortex-a72", "Cortex-A57", "Pi 4", "neon", slices.Concat(decodeNEON, attentionNEON), panelsNEON, 1.8, 5, 3, 1},
	{"arm64", "neoverse-n1", "Neoverse N1", "Pi 5", "neon-dotprod", slices.Concat(withDot(decodeNEON), attentionDot), panelsDot, 2.4, 10, 4, 1},
	{"arm64", "cortex-a76", "Cortex-A57", "Pi 5", "neon-dotprod", slices.Concat(withDot(decodeNEON), attentionDot), panelsDot, 2.4, 10, 4, 1},
	{"arm64", "neoverse-n2", "Neoverse N2", "i8mm", "neon-i8mm", nil, panelsMM, 2.4, 10, 5, 1},

	{"amd64", "icelake-server", "Ice Lake", "N100", "avx2", slices.Concat(rowsAVX2, attention256("avx2", "avx2MixInt8x1")), panelsAVX2, 3.4, 25, 6, 2},
	{"amd64", "icelake-server", "Ice Lake", "N100", "avx-vnni", slices.Concat(rowsVNNI, attention256("avxvnni", "avx2MixInt8x1")), panelsVNNI, 3.4, 25, 6, 2},
}

// file is the name of the machine's files without their ending.
func (m machine) file() string { return m.arch + "." + m.table + "." + m.cpu }

func (m machine) loops() []loop { return slices.Concat(m.decode, m.panels) }
