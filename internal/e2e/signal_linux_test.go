package e2e

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"
)

// A signal ends a command that waits, for input or for a reader of its output: at once, or when it is sent again and nothing moves.
func TestSignalsEndWhatWaits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		args    []string
		say     string // before the signals
		full    bool   // nobody reads stdout
		signals int    // at most, until the end
	}{
		{"run, stdin open", []string{"run"}, "", false, 1},
		{"run, stdout full", []string{"run", "hi"}, "", true, 2},
		{"run of a session, stdout full", []string{"run", "--session", "x", "hi"}, "", true, 2},
		{"chat, stdin open", []string{"chat"}, "", false, 1},
		{"chat, stdout full", []string{"chat"}, "hello\n", true, 3},
	} {
		for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
			t.Run(c.name+", "+sig.String(), func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(context.Background(), limit)
				defer cancel()
				cmd := kvasir.command(ctx, []string{"KVASIR_HOME=" + t.TempDir()}, c.args...)
				stdin, err := cmd.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				r, w, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				if c.full {
					fillPipe(t, w)
				}
				cmd.Stdout = w
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				w.Close()
				if _, err := stdin.Write([]byte(c.say)); err != nil {
					t.Fatal(err)
				}
				ended := make(chan struct{})
				go func() {
					_ = cmd.Wait()
					close(ended)
				}()
				time.Sleep(time.Second) // it waits by now; a signal before that ends it sooner
				for range c.signals {
					if err := cmd.Process.Signal(sig); err != nil {
						break // it has ended
					}
					select {
					case <-ended:
						return
					case <-time.After(2 * time.Second):
					}
				}
				select {
				case <-ended:
				case <-time.After(5 * time.Second):
					t.Errorf("alive after %d signals", c.signals)
					cancel()
					<-ended
				}
			})
		}
	}
}

// fillPipe writes to a pipe until it takes no more.
func fillPipe(t *testing.T, w *os.File) {
	t.Helper()
	if err := w.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for b := make([]byte, 4096); ; {
		if _, err := w.Write(b); err != nil {
			break
		}
	}
	if err := w.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
}
