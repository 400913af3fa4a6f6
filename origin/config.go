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
	// StopTimeout bounds the release of all placements at the end of Run.
	StopTimeout time.Duration
}

// DefaultConfig gives the defaults.
func DefaultConfig() Config {
	return Config{
		Ingest: ingest.DefaultConfig(), Session: session.DefaultConfig(), StopTimeout: 10*time.Second + media.HandOverWait,
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
