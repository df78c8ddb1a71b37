package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"kvasir/engine"
	"kvasir/kvcache"
	"kvasir/platform/vfs"
)

// archiveSuffix ends the names of archives that the program chooses.
const archiveSuffix = ".kva"

func (a *app) sessionsExportCommand() *cli.Command {
	return &cli.Command{
		Name: "export", Usage: "write one to a file, to go on with it elsewhere",
		ArgsUsage: "NAME [FILE | -]",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "no-kv", Usage: "the conversation alone, without what was computed of it"},
			&cli.BoolFlag{Name: "f", Usage: "replace the file if there is one"},
		},
		Action: a.sessionsExport,
	}
}

func (a *app) sessionsImportCommand() *cli.Command {
	return &cli.Command{
		Name: "import", Usage: "make one of such a file",
		ArgsUsage: "FILE | -",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "as", Usage: "`NAME` of the session (default: the one it had)"},
			&cli.BoolFlag{Name: "no-kv", Usage: "leave out what was computed of it"},
		},
		Action: a.sessionsImport,
	}
}

func (a *app) sessionsExport(c *cli.Context) error {
	if n := c.Args().Len(); n < 1 || n > 2 {
		return usagef("sessions export takes a NAME and a FILE")
	}
	name, path := c.Args().First(), c.Args().Get(1)
	if path == "" && c.Args().Len() > 1 {
		return usagef("the FILE is empty, expected a path or -")
	}
	if path == "" {
		path = archiveName(name)
	}
	if path == "-" && isTerminal(a.out) {
		return usagef("an archive is no text: give a FILE, or send standard output elsewhere")
	}
	s, err := a.sessions()
	if err != nil {
		return err
	}
	ctx, stop := interruptible(c)
	defer stop()
	var info *kvcache.Archive
	err = a.writeFile(path, fileOptions{mode: 0o600, keep: !c.Bool("f"), sync: true}, func(w io.Writer) (err error) {
		info, err = s.Export(writerUntil{ctx, w}, name, c.Bool("no-kv"))
		return err
	})
	if err != nil {
		return err
	}
	where := ""
	if path != "-" {
		where = fmt.Sprintf(" in %.256q", path)
	}
	fmt.Fprintf(a.err, "session %q: %d tokens (%d with their rows), %s%s\n", name, info.Tokens, info.KVTokens, bytesText(info.Bytes), where)
	return nil
}

// archiveName returns a file name for a session's archive that needs no quoting and stays in the directory.
func archiveName(session string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '-'
	}, session)
	return "session-" + name + archiveSuffix
}

func (a *app) sessionsImport(c *cli.Context) (err error) {
	if c.Args().Len() != 1 {
		return usagef("sessions import takes one FILE")
	}
	if c.IsSet("as") && c.String("as") == "" {
		return usagef("--as is empty, expected a NAME")
	}
	s, err := a.sessions()
	if err != nil {
		return err
	}
	ctx, stop := interruptible(c)
	defer stop()
	r, err := a.openArchive(ctx, c.Args().First())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	opt := kvcache.ImportOptions{Name: c.String("as")}
	if !c.Bool("no-kv") {
		store, err := a.openStore(c)
		if err != nil {
			return err
		}
		defer func() { _ = store.Close() }() // what could not be stored is told below
		opt.Store = store
	}
	in, err := s.Import(r, opt)
	if errors.Is(err, vfs.ErrLocked) {
		err = engine.ErrInUse
	}
	if errors.Is(err, kvcache.ErrExists) {
		err = fmt.Errorf("%w (--as gives another name)", err)
	}
	if err != nil {
		return fmt.Errorf("%.256q: %w", c.Args().First(), err)
	}
	if errors.Is(in.Reason, vfs.ErrLocked) {
		in.Reason = fmt.Errorf("the kv cache is %w", engine.ErrInUse)
	}
	a.tellStored(fmt.Sprintf("session %q", in.Session), in, !c.Bool("no-kv"))
	return nil
}

// tellStored says what came of the rows of an archive.
func (a *app) tellStored(what string, in *kvcache.Imported, wanted bool) {
	fmt.Fprintf(a.err, "%s: %d tokens, %d with their rows\n", what, in.Tokens, in.Stored)
	if wanted && in.Stored < in.KVTokens {
		fmt.Fprintf(a.err, "kvasir: rows of %d tokens of %d were not stored and will be computed when they are needed: %v\n",
			in.KVTokens-in.Stored, in.KVTokens, in.Reason)
	}
}

// openArchive opens an archive, "-" for standard input. A regular file is read through and checked first: one that is damaged changes
// nothing at all.
func (a *app) openArchive(ctx context.Context, path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(readerUntil{ctx, a.in}), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, &dataError{quotePath(err)}
	}
	fi, err := f.Stat()
	if err == nil && fi.IsDir() {
		err = dataErrorf("%.128q is a directory, expected an archive", path)
	}
	if err == nil && fi.Mode().IsRegular() {
		p := a.progress("checking archive")
		r := &countingReader{r: readerUntil{ctx, f}, count: func(done int64) { p.set(done, fi.Size()) }}
		_, err = kvcache.CheckArchive(r)
		p.end()
		if err == nil {
			_, err = f.Seek(0, io.SeekStart)
		}
		if err != nil {
			err = fmt.Errorf("%.256q: %w", path, err)
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{readerUntil{ctx, f}, f}, nil
}

// readerUntil and writerUntil fail once a context has ended, so that a command that is interrupted cleans up.
type readerUntil struct {
	ctx context.Context
	r   io.Reader
}

func (r readerUntil) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

type writerUntil struct {
	ctx context.Context
	w   io.Writer
}

func (w writerUntil) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.w.Write(p)
}

// countingReader tells how far it has come.
type countingReader struct {
	r     io.Reader
	n     int64
	count func(n int64)
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.n += int64(n)
	r.count(r.n)
	return n, err
}
