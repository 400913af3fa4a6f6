package ingest

import (
	"context"
	"errors"
	"fmt"

	"tmms/cluster/relay"
	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/rtmp"
	"tmms/origin/session"
)

// Why a request to publish is refused.
var (
	// ErrNoKey refuses a request without a key to an app that asks for one.
	ErrNoKey = errors.New("the app needs a publish key (?key=)")
	// ErrBadKey refuses a key that the app does not have.
	ErrBadKey = errors.New("the publish key is wrong")
)

// route finds the stream and the app that a request means. The domain is that
// of tcUrl unless ?domain= or ?vhost= names another.
func route(c *state.Config, req *rtmp.Request) (media.StreamKey, *state.App, error) {
	override := req.Param("domain")
	if override == "" {
		override = req.Param("vhost")
	}
	domain, err := c.Resolve(req.Host, override)
	if err != nil {
		return media.StreamKey{}, nil, err
	}
	app, err := domain.App(req.App)
	if err != nil {
		return media.StreamKey{}, nil, err
	}
	key := media.StreamKey{Domain: domain.Name, App: app.Name, Stream: req.Stream}
	return key, app, key.Validate()
}

// publishToken is what a request identifies itself with: its key, else its token.
func publishToken(req *rtmp.Request) string {
	if key := req.Param("key"); key != "" {
		return key
	}
	return req.Param("token")
}

// authorize checks the publish key. Checks are dear, so only Config.KeyChecks
// run at a time, and the others wait for as long as ctx lets them.
func (s *Server) authorize(ctx context.Context, app *state.App, token string) error {
	if app.Open() {
		return nil
	}
	if token == "" {
		return ErrNoKey
	}
	select {
	case s.keyChecks <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("ingest: wait for the check of the publish key: %w", ctx.Err())
	}
	defer func() { <-s.keyChecks }()
	if !app.CheckPublishKey(token) {
		return ErrBadKey
	}
	return nil
}

// reason is what the peer is told of a refusal: what it can mend, and nothing
// of the node's inside or of other publishers.
func reason(err error) string {
	for _, e := range []error{
		session.ErrBusy, session.ErrClosed, session.ErrTooManyStreams, relay.ErrTooManyStreams, ErrNoKey, ErrBadKey,
		state.ErrDraining,
	} {
		if errors.Is(err, e) {
			return e.Error()
		}
	}
	for _, e := range []error{state.ErrUnknownDomain, state.ErrUnknownApp, media.ErrName} {
		if errors.Is(err, e) {
			return err.Error()
		}
	}
	return "the node can't take the stream now, try again"
}

// playElsewhere tells a player where to go.
func (s *Server) playElsewhere() string { return elsewhere("rtmp", s.deps.PlayAt) }

func elsewhere(scheme string, at func() string) string {
	if at != nil {
		if addr := at(); addr != "" {
			return fmt.Sprintf("%s, play from %s://%s", errPlay, scheme, addr)
		}
	}
	return errPlay.Error()
}

// httpElsewhere is the answer to who speaks HTTP on the RTMP port.
func (s *Server) httpElsewhere() []byte {
	text := elsewhere("http", s.deps.WatchAt) + "\n"
	return fmt.Appendf(nil, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n"+
		"Access-Control-Allow-Origin: *\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
}
