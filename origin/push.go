package origin

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tmms/cluster/relay"
	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/relaywire"
	"tmms/media/rtmp"
	"tmms/origin/ingest"
	"tmms/origin/session"
)

// AcceptPush takes a publisher that is connected to another node as one of a
// stream of this node; it is for relay.Server.OnPush. The other node has
// checked the publish key against the same config, so only its digest is
// compared with that of a publisher that is there already. An error is a
// [relay.PushRefusedError].
func (o *Origin) AcceptPush(ctx context.Context, r relay.PushRequest) (relay.PushSink, error) {
	app, err := findApp(o.apps, r.Key)
	if err != nil {
		return nil, refusal(err)
	}
	p := &pushed{set: o.pushes, closer: r.Close}
	if err = o.pushes.add(p); err != nil {
		return nil, refusal(err)
	}
	p.Publisher, err = o.sessions.Attach(ctx, r.Key, app, session.PublisherInfo{
		Remote: fmt.Sprintf("%s via %s", r.Remote, r.Node), Digest: r.Token, Close: p.close, Turn: turning(r.Turn),
	})
	if err != nil {
		o.pushes.remove(p)
		return nil, refusal(err)
	}
	return p, nil
}

// findApp finds the app of a stream, by the canonical name of its domain.
func findApp(apps ingest.Apps, key media.StreamKey) (*state.App, error) {
	d, err := apps.Config().Resolve("", key.Domain)
	if err != nil {
		return nil, err
	}
	if d.Name != key.Domain {
		return nil, fmt.Errorf("%w: %q is an alias of %s", state.ErrUnknownDomain, key.Domain, d.Name)
	}
	return d.App(key.App)
}

// pushed is a publisher that another node forwards.
type pushed struct {
	*session.Publisher

	set    *pushes
	closer func(reason error)
}

// turning passes on where a forwarded publisher is to hold; nil: it can't be asked.
func turning(ask func(relaywire.PushTurn)) func(session.Turn) {
	if ask == nil {
		return nil
	}
	return func(t session.Turn) { ask(relaywire.PushTurn(t)) }
}

// close ends the push from this side.
func (p *pushed) close(reason error) { p.closer(closing(reason)) }

// Write implements relay.PushSink.
func (p *pushed) Write(m rtmp.Message, now time.Time) error {
	if err := p.Publisher.Write(m, now); err != nil {
		return closing(err)
	}
	return nil
}

// Hold implements relay.PushSink.
func (p *pushed) Hold() error {
	if err := p.Publisher.Hold(); err != nil {
		return closing(err)
	}
	return nil
}

// Detach implements relay.PushSink. It is called once.
func (p *pushed) Detach(reason error) {
	p.Publisher.Detach(reason)
	p.set.remove(p)
}

// refusal says to another node why its publisher is not taken.
func refusal(err error) error {
	refuse := relaywire.PushRefuse{Reason: pushReason(err), Text: err.Error()}
	if owned, ok := errors.AsType[*state.OwnedError](err); ok {
		refuse.Owner = owned.Placement.Owner
	}
	return &relay.PushRefusedError{PushRefuse: refuse}
}

// closing says to another node why its publisher is ended.
func closing(err error) error {
	return &relay.PushClosedError{PushClose: relaywire.PushClose{Reason: pushReason(err), Text: err.Error()}}
}

func pushReason(err error) relaywire.PushReason {
	for _, known := range []struct {
		err    error
		reason relaywire.PushReason
	}{
		{session.ErrBusy, relaywire.PushBusy},
		{session.ErrReplaced, relaywire.PushReplaced},
		{session.ErrSuperseded, relaywire.PushNotOwner},
		{state.ErrOwned, relaywire.PushNotOwner},
		{state.ErrUnknownDomain, relaywire.PushNoApp},
		{state.ErrUnknownApp, relaywire.PushNoApp},
		{session.ErrTooManyStreams, relaywire.PushFull},
		{relay.ErrTooManyStreams, relaywire.PushFull},
		{ingest.ErrDraining, relaywire.PushDraining},
		{ingest.ErrClosed, relaywire.PushEnded},
		{session.ErrClosed, relaywire.PushEnded},
	} {
		if errors.Is(err, known.err) {
			return known.reason
		}
	}
	return relaywire.PushFailed
}

// pushes are the publishers that other nodes forward to this one. It is safe
// for concurrent use.
type pushes struct {
	mu     sync.Mutex
	open   map[*pushed]struct{} // guarded by mu
	closed error                // guarded by mu; why there will be no more

	wg sync.WaitGroup // one each; Add under mu while not closed
}

func newPushes() *pushes { return &pushes{open: map[*pushed]struct{}{}} }

func (s *pushes) add(p *pushed) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed == nil {
		s.open[p] = struct{}{}
		s.wg.Add(1)
	}
	return s.closed
}

func (s *pushes) remove(p *pushed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, p)
	s.wg.Done()
}

// close refuses new pushes and ends all there are. It returns when they have
// ended and the other nodes know why.
func (s *pushes) close(reason error) {
	s.mu.Lock()
	if s.closed == nil {
		s.closed = reason
	}
	for p := range s.open {
		p.close(reason)
	}
	s.mu.Unlock()
	s.wg.Wait()
}
