//go:build !(linux && amd64)

package faults

import (
	"errors"
	"time"
)

// skewedClock is the wall clock of one process, which can be moved on amd64 only.
type skewedClock struct{}

var errClock = errors.New("faults: the clock of a process can be moved on amd64 only") //nolint:gochecknoglobals // a sentinel

func skewClock(int) (*skewedClock, error) { return nil, errClock }

// Move is not to be had here.
func (c *skewedClock) Move(time.Duration) error { return errClock }
