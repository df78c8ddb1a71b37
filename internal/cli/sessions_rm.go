package cli

import (
	"errors"

	"github.com/urfave/cli/v2"
)

func (a *app) sessionsRemove(c *cli.Context) error {
	if !c.Args().Present() {
		return usagef("sessions rm takes the NAMEs of sessions")
	}
	s, err := a.sessions()
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range c.Args().Slice() {
		if err := s.Remove(name); err != nil {
			errs = append(errs, inUse(name, err))
		}
	}
	return errors.Join(errs...)
}
