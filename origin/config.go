package origin

import (
	"errors"
	"fmt"
	"time"

	"tmms/media"
	"tmms/origin/ingest"
	"tmms/origin/session"
)

// Config is what a node's origin side may do.
type Config struct {
	Ingest  ingest.Config
	Session session.Config
	// StopTimeout bounds the handing over and release of all placements at the end of Run:
	// with what a node has to end besides it has to fit into the 15 s that service
	// managers give it.
	StopTimeout time.Duration
}

// DefaultConfig gives the defaults.
func DefaultConfig() Config {
	return Config{
		Ingest: ingest.DefaultConfig(), Session: session.DefaultConfig(), StopTimeout: 6*time.Second + media.HandOverWait,
	}
}

// Validate gives every fault of c.
func (c Config) Validate() error {
	var err error
	if c.StopTimeout <= 0 {
		err = fmt.Errorf("origin: StopTimeout is %v, it must be positive", c.StopTimeout)
	}
	return errors.Join(err, c.Ingest.Validate(), c.Session.Validate())
}
