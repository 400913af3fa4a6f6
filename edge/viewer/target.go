package viewer

import (
	"time"

	"tmms/cluster/state"
	"tmms/media"
)

// Apps gives the present config of domains and apps.
type Apps interface {
	Config() *state.Config
}

// Target is what a viewer asks for: a stream of an app that exists. Whether the
// app allows the viewer's protocol is for the protocol to check.
type Target struct {
	Key media.StreamKey
	App *state.App
}

// Find resolves a request for a stream. host is the Host header or tcUrl's
// host, override the ?domain= or ?vhost= of the request. The error wraps
// state.ErrUnknownDomain, state.ErrUnknownApp or media.ErrName.
func Find(apps Apps, host, override, app, stream string) (Target, error) {
	domain, err := apps.Config().Resolve(host, override)
	if err != nil {
		return Target{}, err
	}
	a, err := domain.App(app)
	if err != nil {
		return Target{}, err
	}
	if err = media.CheckName("stream", stream); err != nil {
		return Target{}, err
	}
	return Target{Key: media.StreamKey{Domain: domain.Name, App: a.Name, Stream: stream}, App: a}, nil
}

// Pace is how often the target's viewers are sent to, and up to which interval
// that may stretch under load. override, unless it is 0, is a node's own interval.
func (t Target) Pace(override time.Duration) (flush, limit time.Duration) {
	if override > 0 {
		return override, max(override, t.App.FlushLimit)
	}
	return t.App.Flush, t.App.FlushLimit
}

// At tells whether a viewer who asks for a stream of a domain at another address,
// HOST:PORT, without naming the domain, means the same one.
func At(apps Apps, address, domain string) bool {
	d, err := apps.Config().Resolve(address, "")
	return err == nil && d.Name == domain
}
