package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kvasir/platform"
)

// diagnose runs doctor with a home directory and more of the environment.
func diagnose(t *testing.T, home string, env ...string) (diagnosis, result) {
	t.Helper()
	t.Setenv("KVASIR_HOME", home)
	t.Setenv("KVASIR_MODEL", "")
	t.Setenv("KVASIR_KERNELS", "")
	for i := 0; i < len(env); i += 2 {
		t.Setenv(env[i], env[i+1])
	}
	r := plain("", "doctor", "-o", "json")
	code := r.code
	r.code = 0
	d := decode[diagnosis](t, r)
	r.code = code
	return d, r
}

func (d diagnosis) find(part string) *finding {
	for i := range d.Findings {
		if strings.Contains(d.Findings[i].What, part) {
			return &d.Findings[i]
		}
	}
	return nil
}

func TestDoctorOfASoundMachine(t *testing.T) {
	dir := t.TempDir()
	home := filepath.Join(dir, "a", "home")
	d, r := diagnose(t, home)
	if r.code != exitOK {
		t.Fatalf("exit code %d, findings %+v", r.code, d.Findings)
	}
	if len(d.Kernels) < 2 || d.InUse != d.Kernels[0] || d.Threads < 1 || d.Why == "" || d.Build.Version == "" || d.State.Home != home ||
		d.State.Exists || !d.State.Writable || d.State.Lock != "never taken" || d.State.FreeBytes <= 0 {
		t.Errorf("%+v", d)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("doctor left %v (%v)", entries, err)
	}
	if err := os.MkdirAll(filepath.Join(home, "kv", "v1"), 0o700); err != nil {
		t.Fatal(err)
	}
	lock, err := os.Create(filepath.Join(home, "kv", "v1", "LOCK"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	d, r = diagnose(t, home)
	if r.code != exitOK || !d.State.Exists || d.State.Lock != "free" {
		t.Errorf("exit code %d, %+v, %+v", r.code, d.State, d.Findings)
	}
	if err := platform.LockExclusive(lock); err != nil {
		t.Fatal(err)
	}
	d, r = diagnose(t, home)
	if table, _ := os.ReadFile("/proc/locks"); strings.Contains(string(table), "FLOCK") {
		if r.code != exitOK || !strings.HasPrefix(d.State.Lock, "held by") || d.find("held by") == nil {
			t.Errorf("exit code %d, %+v, %+v", r.code, d.State, d.Findings)
		}
	}
	text := plain("", "doctor")
	for _, want := range []string{"kernels  ", "threads  ", "RLIMIT_NOFILE", "KVASIR_HOME", fmt.Sprintf("%q, exists", home)} {
		if text.code != exitOK || !strings.Contains(text.out, want) {
			t.Errorf("exit code %d, no %q in\n%s", text.code, want, text.out)
		}
	}
}

func TestDoctorFindsWhatIsWrong(t *testing.T) {
	plainFile := file(t, "file", "")
	broken := file(t, "broken.gguf", "GGUF\x03\x00\x00\x00")
	for _, c := range []struct {
		name, home string
		env        []string
		what       string
		wrong      bool
	}{
		{"home is a file", plainFile, nil, "is no directory", true},
		{"home below a file", filepath.Join(plainFile, "x", "y"), nil, "not a directory", true},
		{"no home", "", []string{"STATE_DIRECTORY", "", "XDG_STATE_HOME", "", "HOME", ""}, "no state directory", true},
		{"kernels that do not exist", t.TempDir(), []string{"KVASIR_KERNELS", "mmx"}, `KVASIR_KERNELS="mmx"`, true},
		{"slow kernels asked for", t.TempDir(), []string{"KVASIR_KERNELS", "reference"}, "reference", false},
		{"model that is not there", t.TempDir(), []string{"KVASIR_MODEL", "/nonexistent.gguf"}, "KVASIR_MODEL cannot be used", true},
		{"model that is broken", t.TempDir(), []string{"KVASIR_MODEL", broken}, "truncated", true},
		{"home others may read", publicDir(t), nil, "mode 0755", false},
	} {
		d, r := diagnose(t, c.home, c.env...)
		f := d.find(c.what)
		if f == nil || f.Wrong != c.wrong || f.Advice == "" {
			t.Errorf("%s: %+v, want %q (wrong: %v)", c.name, d.Findings, c.what, c.wrong)
		}
		if want := map[bool]int{true: exitFailed, false: exitOK}[c.wrong]; r.code != want {
			t.Errorf("%s: exit code %d, want %d", c.name, r.code, want)
		}
	}
	t.Setenv("KVASIR_HOME", plainFile)
	if r := plain("", "doctor"); r.code != exitFailed || !strings.Contains(r.out, "WRONG: the state directory") || !strings.Contains(r.err, "something is wrong") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
}

func publicDir(t *testing.T) string {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestDoctorWithoutWriteAccess(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if d, r := diagnose(t, dir); r.code != exitFailed || d.find("cannot be written") == nil {
		t.Errorf("exit code %d, %+v", r.code, d.Findings)
	}
}

func TestDoctorJudgesLimits(t *testing.T) {
	d := &diagnosis{limits: []platform.Limit{{Name: "RLIMIT_NOFILE", Soft: 64, Hard: 64}, {Name: "RLIMIT_AS", Soft: 1 << 30, Hard: 1 << 30},
		{Name: "RLIMIT_FSIZE", Soft: 1 << 20, Hard: platform.NoLimit}}, Memory: memoryText{Usable: 1 << 20, Known: true}}
	d.checkLimits()
	d.checkMemory()
	if len(d.Findings) != 4 {
		t.Errorf("%+v", d.Findings)
	}
	d = &diagnosis{limits: []platform.Limit{{Name: "RLIMIT_NOFILE", Soft: 1024, Hard: 4096}, {Name: "RLIMIT_AS", Soft: platform.NoLimit, Hard: platform.NoLimit},
		{Name: "RLIMIT_FSIZE", Soft: platform.NoLimit}}, Memory: memoryText{Usable: 1 << 30, Known: true}}
	d.checkLimits()
	d.checkMemory()
	if len(d.Findings) != 0 {
		t.Errorf("%+v", d.Findings)
	}
}
