package cli

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/urfave/cli/v2"

	"kvasir/engine"
	"kvasir/internal/buildinfo"
	"kvasir/internal/config"
	"kvasir/platform"
	"kvasir/platform/cpu"
)

func (a *app) doctorCommand() *cli.Command {
	return &cli.Command{
		Name: "doctor", Usage: "show what the program finds on this machine, and what is wrong with it",
		UsageText: "kvasir doctor [-o table|json]",
		Description: "The exit code is 1 if something keeps the program from running or from keeping conversations, else 0.\n" +
			"Nothing is changed: a file is made in the state directory and removed again.",
		Flags:  []cli.Flag{outputFlag()},
		Action: a.doctor,
	}
}

// errUnwell is what doctor returns when something is wrong.
var errUnwell = errors.New("something is wrong (see the findings)")

// finding is something worth telling. What is wrong keeps the program from doing its work; a note does not.
type finding struct {
	Wrong  bool   `json:"wrong"`
	What   string `json:"what"`
	Advice string `json:"advice"`
}

// diagnosis is the report of doctor; its JSON form is part of the command line's interface.
type diagnosis struct {
	Build       buildinfo.Info    `json:"build"`
	System      string            `json:"system"` // kernel and release, "" if unknown
	Features    []cpu.Feature     `json:"cpu_features"`
	Kernels     []string          `json:"kernels"`      // that run here, best first
	InUse       string            `json:"kernels_used"` // "" if the one asked for does not exist
	Topology    string            `json:"topology"`
	Threads     int               `json:"threads"`
	Why         string            `json:"threads_because"`
	Memory      memoryText        `json:"memory"`
	Limits      map[string]string `json:"limits"`
	limits      []platform.Limit
	State       stateReport       `json:"state"`
	Recipes     []recipeReport    `json:"recipes"`
	Cache       *cacheReport      `json:"cache"`
	Environment []config.Variable `json:"environment"`
	Findings    []finding         `json:"findings"`
}

func (d *diagnosis) wrong(what, advice string) {
	d.Findings = append(d.Findings, finding{true, what, advice})
}
func (d *diagnosis) note(what, advice string) {
	d.Findings = append(d.Findings, finding{false, what, advice})
}

func (a *app) doctor(c *cli.Context) error {
	asJSON, err := wantsJSON(c)
	if err != nil {
		return err
	}
	if err := noArguments(c); err != nil {
		return err
	}
	d := &diagnosis{Build: buildinfo.Get(), System: platform.System(), Features: cpu.Features(), Kernels: engine.Kernels(),
		Memory: machineMemory(), limits: platform.Limits(), Limits: map[string]string{}, Environment: config.InForce(),
		Findings: []finding{}}
	topology := cpu.Detect()
	d.Topology, d.Threads, d.Why = topology.String(), topology.Threads(), topology.Reason()
	for _, l := range d.limits {
		d.Limits[l.Name] = l.String()
	}
	d.checkKernels(a.cfg.Kernels)
	d.checkMemory()
	d.checkLimits()
	d.State = d.checkState(a.cfg.Home)
	bounds, problem := a.storeOptions(c)
	d.Cache = d.checkCache(d.State.Home, bounds, problem)
	d.checkRecipes(a.cfg.Home)
	d.checkModel(a)
	if asJSON {
		err = a.printJSON(d, true)
	} else {
		err = d.print(a.out)
	}
	if err != nil {
		return err
	}
	for _, f := range d.Findings {
		if f.Wrong {
			return errUnwell
		}
	}
	return nil
}

func (d *diagnosis) checkKernels(forced string) {
	d.InUse = d.Kernels[0]
	if forced != "" {
		d.InUse = ""
		for _, k := range d.Kernels {
			if k == forced {
				d.InUse = k
			}
		}
		if d.InUse == "" {
			d.wrong(fmt.Sprintf("KVASIR_KERNELS=%.64q names no kernels that run here", forced),
				"unset it, or use one of "+strings.Join(d.Kernels, ", "))
			return
		}
	}
	if d.InUse == "portable" || d.InUse == "reference" {
		switch {
		case forced != "" && d.InUse != d.Kernels[0]:
			d.note("KVASIR_KERNELS forces the "+d.InUse+" kernels, which are slow", "unset it unless you compare kernels")
		case runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64":
			d.note("this processor has none of the instructions that the fast kernels need", "expect a fraction of the speed; a virtual machine may hide them")
		default:
			d.note("there are no fast kernels for "+runtime.GOARCH, "expect a fraction of the speed")
		}
	}
}

// leastMemory is below what the built-in model with a small context needs beside the program.
const leastMemory = 64 << 20

func (d *diagnosis) checkMemory() {
	if m := d.Memory; m.Known && m.Usable < leastMemory {
		d.note(fmt.Sprintf("only %s of memory can be used", bytesText(m.Usable)), "end other programs, or raise the control group's limit")
	}
}

// leastFiles is what a server with a few clients and a store of some gigabytes keeps open.
const leastFiles = 256

func (d *diagnosis) checkLimits() {
	for _, l := range d.limits {
		switch {
		case l.Name == "RLIMIT_NOFILE" && l.Soft < leastFiles:
			d.note(fmt.Sprintf("only %s files may be open", l), fmt.Sprintf("raise the limit to %d or more (ulimit -n, LimitNOFILE=)", leastFiles))
		case l.Name == "RLIMIT_AS" && l.Soft != platform.NoLimit:
			d.note(fmt.Sprintf("address space is limited to %s bytes", l), "models are mapped whole: the limit must be above the model's size (ulimit -v)")
		case l.Name == "RLIMIT_FSIZE" && l.Soft != platform.NoLimit && l.Soft < 128<<20:
			d.note(fmt.Sprintf("files are limited to %s bytes", l), "the store's files have up to 128 MiB (ulimit -f)")
		}
	}
}

// checkModel opens the model that the environment names, if any: a default that cannot be opened fails every command.
func (d *diagnosis) checkModel(a *app) {
	if a.cfg.Model == "" {
		return
	}
	m, err := a.openNamed(a.cfg.Model, engine.Options{Threads: 1})
	if err == nil {
		err = m.Close()
	}
	if err != nil {
		d.wrong("KVASIR_MODEL cannot be used: "+err.Error(), "set it to a GGUF file that kvasir inspect can run, or unset it")
	}
}

func (d *diagnosis) print(out io.Writer) error {
	t := newTable(out)
	t.row("version", fmt.Sprintf("%s, %s", d.Build, d.Build.Go))
	t.row("system", fmt.Sprintf("%s/%s, %s", d.Build.OS, d.Build.Arch, d.System))
	t.row("processor", d.Topology)
	features := make([]string, len(d.Features))
	for i, f := range d.Features {
		features[i] = string(f)
	}
	t.row("features", strings.Join(features, " "))
	t.row("kernels", fmt.Sprintf("%s (of %s)", d.InUse, strings.Join(d.Kernels, ", ")))
	t.row("threads", fmt.Sprintf("%d: %s", d.Threads, d.Why))
	if m := d.Memory; m.Known {
		t.row("memory", fmt.Sprintf("%s, %s available, %s usable", bytesText(m.Total), bytesText(m.Available), bytesText(m.Usable)))
		if m.Limit > 0 {
			t.row("memory limit", fmt.Sprintf("%s by the control group, %s left", bytesText(m.Limit), bytesText(m.LimitLeft)))
		}
	} else {
		t.row("memory", "unknown")
	}
	for _, l := range d.limits {
		t.row(l.Name, l.String())
	}
	d.State.rows(t)
	d.Cache.rows(t)
	for _, r := range d.Recipes {
		t.row("recipe", fmt.Sprintf("%s for %.128q, %s", r.KV, r.Model, r.File))
	}
	for _, v := range d.Environment {
		t.row(v.Name, fmt.Sprintf("%.256q", v.Value))
	}
	if err := t.flush(); err != nil {
		return err
	}
	if len(d.Findings) == 0 {
		_, err := fmt.Fprintln(out, "\nnothing is wrong")
		return err
	}
	fmt.Fprintln(out)
	for _, f := range d.Findings {
		kind := "note"
		if f.Wrong {
			kind = "WRONG"
		}
		if _, err := fmt.Fprintf(out, "%s: %s\n      %s\n", kind, f.What, f.Advice); err != nil {
			return err
		}
	}
	return nil
}
