package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// checked is what 'cache check -o json' prints.
type checked struct {
	Home     string `json:"home"`
	Files    int    `json:"files"`
	Bytes    int64  `json:"bytes"`
	Blocks   int    `json:"blocks"`
	States   int    `json:"states"`
	Sessions int    `json:"sessions"`
	Clean    bool   `json:"clean"`
	Findings []struct {
		File, Lost, Why string
		Damage          bool
	} `json:"findings"`
}

// damaged returns the files in which something is not used: it is damaged, or of another version.
func (c checked) damaged() []string {
	set := map[string]bool{}
	for _, f := range c.Findings {
		if f.Lost != "" && !strings.HasSuffix(f.Lost, "the other one serves") {
			set[f.File] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// reader is what testdata/kvcheck.py prints of a home.
type reader struct {
	Namespaces map[string]struct {
		Unused                                            string
		Segments, Slots, Full, Packed, Tokens, Windowless int
		Ignored                                           []struct{ Segment, Why string }
		Dropped                                           []struct {
			Segment string
			Slot    int
			Why     string
		}
	}
	Journals map[string]struct {
		Unused  string
		Damaged bool
	}
}

func (r reader) damaged() []string {
	set := map[string]bool{}
	for dir, n := range r.Namespaces {
		dir = filepath.Join("kv", "v1", dir)
		if n.Unused != "" {
			set[filepath.Join(dir, "META")] = true
		}
		for _, s := range n.Ignored {
			set[filepath.Join(dir, s.Segment)] = true
		}
		for _, s := range n.Dropped {
			switch s.Why {
			case "prefix of a sibling", "duplicate": // no damage
			case "no parent", "ancestor lost": // of damage elsewhere
			default:
				set[filepath.Join(dir, s.Segment)] = true
			}
		}
	}
	for file, j := range r.Journals {
		if j.Unused != "" && j.Unused != "no session" || j.Damaged {
			set[filepath.Join("sessions", file)] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// What 'cache check' says of homes that the program made, untouched and damaged, is what the reader says that was written from
// kvcache/FORMAT.md alone.
func TestCacheCheckAgreesWithAnIndependentReader(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no Python 3 for testdata/kvcheck.py: ", err)
	}
	good := t.TempDir()
	for _, args := range [][]string{
		{"run", "-m", model(t, "llama"), "-n", "150", "--session", "A", prompt},
		{"run", "-m", model(t, "llama"), "-n", "70", "--session", "B", "another story"},
		{"run", "-m", model(t, "gemma3"), "-n", "300", "--session", "C", prompt},
	} {
		kvasir.in(t, good, append(args, "--raw", "--temp", "0", "--logit-bias", noEnd)...).must(t, 0)
	}
	kvasir.in(t, good, "sessions", "fork", "A", "D").must(t, 0)
	kvasir.in(t, good, "run", "-m", model(t, "llama"), "--session", "D", "-n", "40", "--raw", "--temp", "0", "--logit-bias", noEnd, "--continue").must(t, 0)

	rnd := seedOf(t, "KVASIR_HOSTILE_SEED")
	homes, what := []string{good}, []string{"untouched"}
	var names []string
	for path := range files(t, good) {
		name, err := filepath.Rel(good, path)
		if err != nil {
			t.Fatal(err)
		}
		windowed := path == segments(t, good)[0] && strings.Contains(string(files(t, filepath.Dir(path))[filepath.Join(filepath.Dir(path), "META")]), "gemma")
		if base := filepath.Base(name); (base == "META" || strings.HasSuffix(base, ".kvj") || strings.HasSuffix(base, ".seg")) && !windowed {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for i := range 3 * len(names) {
		name, home := names[i%len(names)], copyOf(t, good)
		b, err := os.ReadFile(filepath.Join(home, name))
		if err != nil {
			t.Fatal(err)
		}
		kind, b := damageBytes(rnd, b, filepath.Join(good, names[rnd.IntN(len(names))]))
		if err := os.WriteFile(filepath.Join(home, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
		homes, what = append(homes, home), append(what, fmt.Sprintf("%s: %s", name, kind))
	}
	var stderr bytes.Buffer
	c := exec.Command(python, append([]string{filepath.Join(root, "testdata", "kvcheck.py")}, homes...)...)
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("kvcheck.py: %v\n%s", err, stderr.String())
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(homes) {
		t.Fatalf("%d verdicts on %d homes", len(lines), len(homes))
	}
	damaged := 0
	for i, home := range homes {
		var r reader
		if err := json.Unmarshal([]byte(lines[i]), &r); err != nil {
			t.Fatal(err)
		}
		result := kvasir.in(t, home, "cache", "check", "-o", "json")
		own := decode[checked](t, result.out)
		if got, want := own.damaged(), r.damaged(); !slices.Equal(got, want) {
			t.Errorf("%s: cache check finds damage in %q, kvcheck.py in %q\n%v\n%s", what[i], got, want, result, lines[i])
		}
		if own.Clean != (result.code == 0) || !own.Clean && result.code != 3 {
			t.Errorf("%s: clean %v, exit code %d", what[i], own.Clean, result.code)
		}
		damaged += len(own.damaged())
		if i == 0 {
			blocks := 0
			for _, n := range r.Namespaces {
				blocks += n.Full + n.Packed
			}
			if blocks != own.Blocks || blocks < 8 || own.Sessions != len(r.Journals) || len(r.Journals) != 4 || !own.Clean || len(r.Namespaces) != 2 {
				t.Errorf("untouched: cache check counts %+v, kvcheck.py %s", own, lines[i])
			}
		}
	}
	if damaged < 3 {
		t.Errorf("%d files of %d homes are damaged: too few to say anything", damaged, len(homes))
	}
	t.Logf("%d homes, %d damaged files", len(homes), damaged)
}
