package cli

import (
	"errors"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"kvasir/kvcache"
	"kvasir/platform/vfs"
)

func (a *app) sessionsPinCommand() *cli.Command {
	return &cli.Command{
		Name: "pin", Usage: "keep the KV rows of one or more from being evicted", ArgsUsage: "NAME...",
		Action: func(c *cli.Context) error { return a.eachPinned(c, "sessions pin", a.pinSession) },
	}
}

func (a *app) sessionsUnpinCommand() *cli.Command {
	return &cli.Command{
		Name: "unpin", Usage: "let the KV rows of one or more be evicted again", ArgsUsage: "NAME...",
		Action: func(c *cli.Context) error {
			return a.eachPinned(c, "sessions unpin", func(store *kvcache.Store, name string) error {
				err := unpin(store, kvcache.SessionPin(name))
				if errors.Is(err, kvcache.ErrNoPin) {
					err = fmt.Errorf("session %q is not pinned", name)
				}
				return err
			})
		},
	}
}

func (a *app) cacheUnpinCommand() *cli.Command {
	return &cli.Command{
		Name: "unpin", Usage: "remove pins by the labels that 'cache stats' shows", ArgsUsage: "LABEL...",
		Action: func(c *cli.Context) error { return a.eachPinned(c, "cache unpin", unpin) },
	}
}

// eachPinned opens the store and does something for each argument.
func (a *app) eachPinned(c *cli.Context, verb string, do func(*kvcache.Store, string) error) (err error) {
	if !c.Args().Present() {
		return usagef("%s takes at least one argument", verb)
	}
	store, err := a.storeToClean(c)
	if err != nil {
		return err
	}
	if store == nil {
		return errors.New("nothing is stored yet")
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if st := store.Status(); st.Mode != kvcache.OnDisk {
		if errors.Is(st.Reason, vfs.ErrLocked) {
			home, _ := a.home()
			lock, _, _ := storeLock(home)
			return fmt.Errorf("pins cannot be changed: the store is %s", lock)
		}
		return st.Reason
	}
	var errs []error
	for _, name := range c.Args().Slice() {
		if err := do(store, name); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// pinSession pins what is stored of a session, in every KV format in which it is.
func (a *app) pinSession(store *kvcache.Store, name string) error {
	s, err := a.sessions()
	if err != nil {
		return err
	}
	past, err := s.Read(name)
	if err != nil {
		return err
	}
	stored, err := store.Stored()
	if err != nil {
		return err
	}
	pinned, ids := 0, past.IDs()
	for _, st := range stored {
		if st.Err != nil || st.Fingerprint != past.Model.Fingerprint {
			continue
		}
		ns, err := store.Namespace(st.Fingerprint, st.Inputs, st.Geometry)
		if err != nil {
			return err
		}
		n, err := ns.Pin(kvcache.SessionPin(name), ids)
		if err != nil && !errors.Is(err, kvcache.ErrNotStored) {
			return err
		}
		pinned = max(pinned, n)
	}
	if pinned == 0 {
		return fmt.Errorf("session %q: no KV rows are stored of it", name)
	}
	fmt.Fprintf(a.err, "session %q: %d of %d tokens are pinned\n", name, pinned, len(ids))
	return nil
}

// unpin removes a pin wherever it is.
func unpin(store *kvcache.Store, label string) error {
	stored, err := store.Stored()
	if err != nil {
		return err
	}
	removed := 0
	for _, st := range stored {
		if st.Err != nil {
			continue
		}
		ns, err := store.Namespace(st.Fingerprint, st.Inputs, st.Geometry)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(ns.Pins(), func(p kvcache.Pin) bool { return p.Label == label }) {
			continue
		}
		if err := ns.Unpin(label); err != nil {
			return err
		}
		removed++
	}
	if removed == 0 {
		return fmt.Errorf("%w: %q", kvcache.ErrNoPin, label)
	}
	return nil
}
