package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"kvasir/platform"
)

// dataError is a file given to a command that is missing or does not hold what it should: exit code 3.
type dataError struct{ err error }

func (e *dataError) Error() string { return e.err.Error() }
func (e *dataError) Unwrap() error { return e.err }

func dataErrorf(format string, args ...any) error { return &dataError{fmt.Errorf(format, args...)} }

func outputFlag() cli.Flag {
	return &cli.StringFlag{Name: "o", Value: "table", Usage: "output `FORM`: table or json"}
}

// wantsJSON reads -o.
func wantsJSON(c *cli.Context) (bool, error) {
	switch v := c.String("o"); v {
	case "table":
		return false, nil
	case "json":
		return true, nil
	default:
		return false, usagef("-o %.128q, expected table or json", v)
	}
}

// noArguments refuses what stands behind the flags of a command that takes none.
func noArguments(c *cli.Context) error {
	if c.Args().Present() {
		return usagef("unexpected argument %.128q", c.Args().First())
	}
	return nil
}

// printJSON writes x as one line, or indented.
func (a *app) printJSON(x any, indent bool) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	if indent {
		e.SetIndent("", "  ")
	}
	return e.Encode(x)
}

// table aligns columns that are separated by tabs. The first error of the underlying writer is what flush returns.
type table struct{ w *tabwriter.Writer }

func newTable(out io.Writer) *table { return &table{tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)} }

func (t *table) row(cells ...any) {
	for i, c := range cells {
		if i > 0 {
			fmt.Fprint(t.w, "\t")
		}
		fmt.Fprint(t.w, c)
	}
	fmt.Fprintln(t.w)
}

func (t *table) flush() error { return t.w.Flush() }

// bytesText returns a size for people: "512 B", "1.5 MiB".
func bytesText(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	x, unit := float64(n), 0
	for x >= 1024 && unit < len("KMGTPE") {
		x /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", x, "KMGTPE"[unit-1])
}

// countText returns a number with its thousands marked: "1,234,567".
func countText(n uint64) string {
	s := fmt.Sprint(n)
	var b strings.Builder
	for i, d := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// readInput reads a file that a command was given, "-" for standard input, of at most limit bytes.
func (a *app) readInput(path string, limit int64) ([]byte, error) {
	var r io.Reader = a.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, &dataError{quotePath(err)}
		}
		defer f.Close()
		if fi, err := f.Stat(); err == nil && fi.IsDir() {
			return nil, dataErrorf("%.128q is a directory, expected a file", path)
		}
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %.128q: %w", path, quotePath(err))
	}
	if int64(len(b)) > limit {
		return nil, dataErrorf("%.128q: more than the %d bytes allowed", path, limit)
	}
	return b, nil
}

// quotePath returns a file error with its path quoted.
func quotePath(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return fmt.Errorf("%s %.256q: %w", pe.Op, pe.Path, pe.Err)
	}
	return err
}

// fileOptions say how writeFile makes a file.
type fileOptions struct {
	mode fs.FileMode // of a new one
	keep bool        // refuse to replace one that is there
	sync bool        // the disk has it when writeFile returns
}

// writeOutput is writeFile for results that can be had again.
func (a *app) writeOutput(path string, write func(io.Writer) error) error {
	return a.writeFile(path, fileOptions{mode: 0o644}, write)
}

// writeFile gives write a buffered writer to the file at path, which appears under its name only when it is complete.
// "-" is standard output; devices and pipes are written directly.
func (a *app) writeFile(path string, opt fileOptions, write func(io.Writer) error) (err error) {
	buffered := func(w io.Writer) error {
		b := bufio.NewWriterSize(w, 1<<16)
		if err := write(b); err != nil {
			return err
		}
		return b.Flush()
	}
	if path == "-" {
		return buffered(a.out)
	}
	mode := opt.mode
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // a link stays one
	}
	if fi, err := os.Lstat(path); err == nil && fi.Mode()&fs.ModeSymlink != 0 {
		return usagef("%.128q is a link to nothing, expected a file to write", path)
	}
	if fi, err := os.Stat(path); err == nil {
		if fi.IsDir() {
			return usagef("%.128q is a directory, expected a file to write", path)
		}
		if !fi.Mode().IsRegular() {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return quotePath(err)
			}
			return errors.Join(buffered(f), f.Close())
		}
		if opt.keep {
			return fmt.Errorf("%.256q exists (-f replaces it)", path)
		}
		mode = fi.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return quotePath(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	err = buffered(f)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil && opt.sync {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err == nil && opt.sync {
		err = platform.SyncDir(filepath.Dir(path))
	}
	return err
}
