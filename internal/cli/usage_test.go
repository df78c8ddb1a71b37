package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"kvasir/platform"
)

// Every mistake has its exit code and a message that names what was found.
func TestExitCodesAndMessages(t *testing.T) {
	text, ids := file(t, "text", "the cat sat"), file(t, "ids.json", "[1,2]")
	broken := file(t, "broken.gguf", "GGUF\x03\x00\x00\x00")
	absent := filepath.Join(t.TempDir(), "absent")
	out := filepath.Join(t.TempDir(), "out")
	loop := filepath.Join(t.TempDir(), "loop")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		err  string
	}{
		{"inspect --nosuch", exitUsage, "nosuch"},
		{"inspect a b", exitUsage, "2 given"},
		{"inspect -m a b", exitUsage, "2 given"},
		{"inspect demo -o yaml", exitUsage, `-o "yaml", expected table or json`},
		{"inspect demo -c -5", exitUsage, "-c -5"},
		{"inspect " + absent, exitBadData, absent},
		{"inspect " + broken, exitBadData, "truncated"},
		{"inspect " + t.TempDir(), exitBadData, "directory"},
		{"inspect " + loop, exitBadData, loop},
		{"run hi -m " + loop, exitBadData, loop},

		{"run --session= hi", exitUsage, "--session is empty"},
		{"chat --session=", exitUsage, "--session is empty"},
		{"run --logit-bias 5=1x hi", exitUsage, `"5=1x"`},
		{"run --logit-bias 5 hi", exitUsage, `"5"`},
		{"run --logit-bias -5=1 hi", exitUsage, `"-5=1"`},
		{"run --logit-bias 5=nan hi", exitUsage, `"5=nan"`},
		{"run -n -2 hi", exitUsage, "-n -2"},
		{"run -c 100000000 hi", exitUsage, "-c 100000000, expected 0 to 2097152"},
		{"help nosuch", exitUsage, `"nosuch"`},
		{"help sessions nosuch", exitUsage, `"sessions nosuch"`},
		{"sessions ls word", exitUsage, `"word"`},
		{"eval logits --tokens " + ids + " --out " + loop, exitUsage, "link to nothing"},

		{"eval nosuch", exitUsage, `"nosuch"`},
		{"eval logits", exitUsage, "--tokens is missing"},
		{"eval logits --tokens " + ids, exitUsage, "--out is missing"},
		{"eval logits --tokens " + absent + " --out " + out, exitBadData, absent},
		{"eval logits --tokens " + text + " --out " + out, exitBadData, "expected a JSON array"},
		{"eval logits --tokens " + t.TempDir() + " --out " + out, exitBadData, "directory"},
		{"eval logits --tokens " + ids + " --out " + out + " --kv q4", exitUsage, `"q4"`},
		{"eval logits --tokens " + ids + " --out " + out + " --batch 0", exitUsage, "--batch 0, expected 1 to 512"},
		{"eval logits --tokens " + ids + " --out " + out + " -t -1", exitUsage, "-t -1"},
		{"eval logits --tokens " + ids + " --out " + out + " word", exitUsage, `"word"`},
		{"eval logits --tokens " + ids + " --out " + out + " -m " + absent, exitBadData, absent},
		{"eval logits --tokens " + ids + " --out " + absent + "/x/y", exitFailed, "no such file"},
		{"eval logits --tokens " + ids + " --out " + t.TempDir(), exitUsage, "directory"},

		{"eval tokenize", exitUsage, "--file is missing"},
		{"eval tokenize --file " + absent, exitBadData, absent},
		{"eval tokenize --file " + text + " -m " + broken, exitBadData, "truncated"},
		{"eval template --template " + text, exitUsage, "--input is missing"},
		{"eval template --input " + text, exitUsage, "--template is missing"},
		{"eval template --template " + absent + " --input " + text, exitBadData, absent},

		{"eval ppl", exitUsage, "--file is missing"},
		{"eval ppl --file " + text, exitBadData, "expected at least one chunk of 512"},
		{"eval ppl --file " + text + " -c 3", exitUsage, "-c 3"},
		{"eval ppl --file " + text + " --chunks -1", exitUsage, "--chunks -1"},
		{"eval ppl --file " + text + " --against q8", exitUsage, `"q8"`},

		{"eval kv", exitUsage, "--file is missing"},
		{"eval kv --file " + absent, exitBadData, absent},
		{"eval kv --file " + text, exitBadData, "expected at least 64"},
		{"eval kv --file " + text + " -c 63", exitUsage, "-c 63, expected 64"},
		{"eval kv --file " + text + " --batch 0", exitUsage, "--batch 0"},
		{"eval kv --file " + text + " -o xml", exitUsage, `"xml"`},
		{"eval kv --file " + text + " word", exitUsage, `"word"`},
		{"run --kv q4 x", exitUsage, `"q4"`},

		{"bench -r 0", exitUsage, "-r 0"},
		{"bench -p 0 -n 0", exitUsage, "nothing to measure"},
		{"bench -p x", exitUsage, "x"},
		{"bench word", exitUsage, `"word"`},
		{"bench --synthetic tiny", exitUsage, "expected SHAPE:TYPE"},
		{"bench --synthetic gpt5:q4_0", exitUsage, "gpt5"},
		{"bench --synthetic tiny:q99", exitUsage, "q99"},
		{"bench --synthetic tiny:q4_0 -m x", exitUsage, "exclude each other"},
		{"bench -m " + absent, exitBadData, absent},

		{"doctor word", exitUsage, `"word"`},
		{"doctor -o xml", exitUsage, `"xml"`},
		{"version word", exitUsage, `"word"`},
		{"version -o xml", exitUsage, `"xml"`},
	} {
		r := kvasir(t, "", strings.Fields(c.args)...)
		if r.code != c.code || !strings.Contains(r.err, c.err) || !strings.HasPrefix(r.err, "kvasir: ") || strings.Count(r.err, "\n") != 1 || r.out != "" {
			t.Errorf("%s: exit code %d, want %d; stderr %swant one line with %q; stdout %.200q", c.args, r.code, c.code, r.err, c.err, r.out)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a command that failed left its output file")
	}
}

// Work whose cache cannot fit is refused, with the exit code for it, before anything is allocated.
func TestTooLargeForMemory(t *testing.T) {
	usable, known := platform.ReadMemory().Usable()
	if !known {
		t.Skip("this system does not say how much memory there is")
	}
	if err := checkMemory("the test", usable/2); err != nil {
		t.Error(err)
	}
	err := checkMemory("the test", 1<<60)
	if exitCode(err) != exitNoSpace || !strings.Contains(err.Error(), "the test takes 1.0 EiB of memory") {
		t.Errorf("exit code %d, %v", exitCode(err), err)
	}
}

func TestVersion(t *testing.T) {
	r := kvasir(t, "", "version")
	if r.code != 0 || !strings.HasPrefix(r.out, "kvasir ") || !strings.Contains(r.out, runtime.Version()+" "+runtime.GOOS+"/"+runtime.GOARCH+"\nkernels ") {
		t.Errorf("exit code %d, %q, %s", r.code, r.out, r.err)
	}
	var v struct {
		Version, Go, OS, Arch string
		Kernels               []string
	}
	if err := json.Unmarshal([]byte(kvasir(t, "", "version", "-o", "json").out), &v); err != nil || v.Version == "" || v.Go != runtime.Version() ||
		v.OS != runtime.GOOS || v.Arch != runtime.GOARCH || len(v.Kernels) < 2 {
		t.Errorf("%+v, %v", v, err)
	}
}

// Help of every command goes to stdout and is no error.
func TestHelp(t *testing.T) {
	for _, args := range []string{"help", "--help", "inspect --help", "eval --help", "eval", "eval ppl -h", "eval kv -h", "bench -h", "doctor --help", "eval help"} {
		if r := kvasir(t, "", strings.Fields(args)...); r.code != 0 || !strings.Contains(r.out, "kvasir") || r.err != "" {
			t.Errorf("%s: exit code %d, stdout %.200q, stderr %s", args, r.code, r.out, r.err)
		}
	}
}
