package cli

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"kvasir/kvcache"
	"kvasir/platform/vfs"
)

func (a *app) sessionsRemoveCommand() *cli.Command {
	return &cli.Command{
		Name: "rm", Usage: "remove one or more, with the KV rows that nobody else uses", ArgsUsage: "NAME...",
		Flags:  []cli.Flag{&cli.BoolFlag{Name: "keep-kv", Usage: "leave the rows in the cache, until they are evicted"}},
		Action: a.sessionsRemove,
	}
}

func (a *app) sessionsRemove(c *cli.Context) (err error) {
	if !c.Args().Present() {
		return usagef("sessions rm takes the NAMEs of sessions")
	}
	s, err := a.sessions()
	if err != nil {
		return err
	}
	remove := s.Remove
	store, err := a.storeToClean(c)
	if err != nil {
		return err
	}
	if store != nil {
		defer func() { err = errors.Join(err, store.Close()) }()
		remove = func(name string) error { return a.removeRows(s, store, name) }
		if c.Bool("keep-kv") {
			remove = func(name string) error {
				_, err := s.RemoveUnpinned(name, store)
				return err
			}
		}
	}
	var errs []error
	for _, name := range c.Args().Slice() {
		if err := remove(name); err != nil {
			errs = append(errs, inUse(name, err))
		}
	}
	return errors.Join(errs...)
}

// storeToClean opens the KV store, or returns nil where there is none.
func (a *app) storeToClean(c *cli.Context) (*kvcache.Store, error) {
	home, err := a.home()
	if err != nil {
		return nil, err
	}
	if stored, err := kvcache.StoredNamespaces(vfs.OS(), home); err != nil || len(stored) == 0 {
		return nil, err
	}
	return a.openStore(c)
}

func (a *app) removeRows(s *kvcache.Sessions, store *kvcache.Store, name string) error {
	done, err := s.RemoveRows(name, store)
	if why := done.Why; err == nil && why != nil {
		if errors.Is(why, vfs.ErrLocked) {
			why = errors.New("another process uses the cache")
		}
		fmt.Fprintf(a.err, "kvasir: session %q is removed; its KV rows stay until they are evicted: %v\n", name, why)
	}
	return err
}
