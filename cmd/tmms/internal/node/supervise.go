package node

import (
	"context"
	"errors"
	"fmt"
)

// Part is something that runs until its context ends.
type Part struct {
	Name string
	Run  func(ctx context.Context) error
}

// Supervise runs all parts at once. The first that fails, or that ends before
// it is told to, ends the others. It returns when all have ended, with the
// errors of all but those that only say that the context ended; nil if ctx
// ended and every part went in peace.
func Supervise(ctx context.Context, parts ...Part) error {
	above := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// A part may end with one that is supervised elsewhere, before the end of
	// the context above has come down to its own.
	told := func() bool { return ctx.Err() != nil || above.Err() != nil }
	ended := make(chan error)
	for _, p := range parts {
		go func() {
			err := p.Run(ctx)
			switch {
			case errors.Is(err, context.Canceled) && told():
				err = nil
			case err != nil:
				err = fmt.Errorf("%s: %w", p.Name, err)
			case !told():
				err = fmt.Errorf("%s: %w", p.Name, errEnded)
			}
			ended <- err
		}()
	}
	var faults []error
	for range parts {
		if err := <-ended; err != nil {
			faults = append(faults, err)
		}
		cancel()
	}
	return errors.Join(faults...)
}

// errEnded is the fault of a part that stopped by itself.
var errEnded = errors.New("ended without a reason")
