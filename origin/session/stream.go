package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tmms/cluster/state"
	"tmms/media"
)

// phase is where a stream stands. A stream that the registry does not hold is idle.
type phase uint8

const (
	claiming phase = iota // the cluster decides who owns it
	live                  // a publisher is attached
	grace                 // the publisher is gone and may come back
	ended                 // the placement is being released
)

// String gives the phase's name, as the API shows it.
func (p phase) String() string {
	return [...]string{"claiming", "live", "grace", "ended"}[min(p, ended)]
}

// stream is one stream that this node owns, or is about to. It enters the
// registry to be claimed and leaves it when its placement is released.
type stream struct {
	// Set at construction.
	key   media.StreamKey
	reg   *Registry
	since time.Time

	standby follower
	handing chan struct{} // holds one: it is being handed over

	ready chan struct{} // closed when the claim is decided
	done  chan struct{} // closed when the stream has left the registry

	mu sync.Mutex
	// Guarded by mu.
	phase phase
	app   *state.App
	epoch uint64
	run   uint32      // of the last publisher, from 0
	runs  uint32      // publishers so far
	pub   *Publisher  // while live
	timer *time.Timer // while in the grace
	waits uint32      // graces so far
	given bool        // the cluster has given it to this node, and not by a claim
	seq   *sequencer  // from the claim to the end
	seen  bool        // its placement has been seen in this node's copy of the cluster
	again time.Time   // before which it is not taken back, see fence
}

func newStream(r *Registry, key media.StreamKey) *stream {
	return &stream{
		key: key, reg: r, since: r.deps.Now(), handing: make(chan struct{}, 1),
		ready: make(chan struct{}), done: make(chan struct{}),
	}
}

// claim makes this node the owner and attaches the first publisher. It is
// called once, by whoever made s; it does not hold the lock while the cluster
// decides, and is not cut short by a publisher that goes away, since then
// nobody would know whether the claim was granted.
func (s *stream) claim(ctx context.Context, app *state.App, pub PublisherInfo) (*Publisher, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.reg.cfg.ClaimTimeout)
	defer cancel()
	defer close(s.ready)
	own, err := s.take(ctx)
	if err != nil {
		s.setEnded()
		s.leave()
		return nil, fmt.Errorf("session: claim %s: %w", s.key, err)
	}
	if err = s.open(own, app); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.startRun(app, pub), nil
}

// open makes the media of a stream that this node owns now, and waits until the
// readers at other nodes have said how far they are, if there was an owner before.
// On error the placement is released.
func (s *stream) open(own ownedStream, app *state.App) error {
	seq, err := newSequencer(s.reg, s.key, own.Placement, app)
	if err == nil {
		if own.given {
			seq.inherit(app, s.reg.deps.Now())
		}
		if seq.resumed && s.reg.deps.Placements != nil {
			<-time.After(media.ResumeHold)
		}
	}
	s.mu.Lock()
	s.epoch, s.seq, s.given = own.Epoch, seq, own.given
	if err == nil {
		s.mu.Unlock()
		return nil
	}
	s.phase = ended
	s.mu.Unlock()
	s.release(context.Background())
	return err
}

// join attaches pub to a stream that exists. With wait not nil the caller has
// to look again once wait is closed.
func (s *stream) join(app *state.App, pub PublisherInfo) (p *Publisher, wait <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.phase {
	case claiming:
		return nil, s.ready, nil
	case ended:
		return nil, s.done, nil
	case grace:
		s.timer.Stop() // if it has fired already, expire finds another phase, or grace
		s.timer = nil
		return s.startRun(app, pub), nil, nil
	case live:
	}
	old := s.pub
	silent := s.reg.deps.Now().Sub(old.lastAlive())
	if !mayReplace(app.BusyPolicy, silent, old.token.equal(tokenOf(pub))) {
		return nil, nil, fmt.Errorf("session: %s: %w from %s, which sent a byte %v ago, and the policy is %s",
			s.key, ErrBusy, old.info.Remote, silent.Truncate(time.Millisecond), app.BusyPolicy)
	}
	p = s.startRun(app, pub)
	old.letGo()
	old.info.Close(ErrReplaced)
	return p, nil, nil
}

// startRun makes a publisher connection the stream's own. s.mu is held.
func (s *stream) startRun(app *state.App, pub PublisherInfo) *Publisher {
	now := s.reg.deps.Now()
	s.run = s.runs
	s.runs++
	s.app, s.phase = app, live
	s.pub = newPublisher(s, s.run, pub, now)
	s.seq.startRun(s.run, app, now)
	s.log().Info("stream published", slog.Uint64("run", uint64(s.run)), slog.String("remote", pub.Remote))
	return s.pub
}

// detach takes p off the stream, which goes to the grace. A stream without a
// packet, which no other owner had either, has nothing to come back to and ends at
// once.
func (s *stream) detach(p *Publisher, reason error) {
	s.mu.Lock()
	if s.pub != p {
		s.mu.Unlock()
		return
	}
	s.pub = nil
	p.letGo()
	if s.seq.packets == 0 && !s.given && !s.seq.resumed || s.app.Grace <= 0 {
		s.finish(reason)
		s.mu.Unlock()
		s.release(context.Background())
		return
	}
	s.wait(reason)
	s.mu.Unlock()
}

// wait begins the grace; the reason is why there is no publisher. s.mu is held.
func (s *stream) wait(reason error) {
	s.phase = grace
	s.seq.pause()
	s.waits++
	n := s.waits
	s.timer = time.AfterFunc(s.app.Grace, func() { s.expire(n, reason) })
	s.log().Info("stream in grace", slog.Uint64("run", uint64(s.run)), slog.Duration("grace", s.app.Grace),
		slog.Any("err", reason))
}

// log is for lines about s once its epoch is known.
func (s *stream) log() *slog.Logger {
	return s.reg.deps.Log.With(slog.String("stream", s.key.String()), slog.Uint64("epoch", s.epoch))
}

// expire ends a grace.
func (s *stream) expire(n uint32, reason error) {
	s.mu.Lock()
	if s.phase != grace || s.waits != n {
		s.mu.Unlock()
		return
	}
	s.finish(reason)
	s.mu.Unlock()
	s.release(context.Background())
}

// shutdown ends the stream wherever it stands and waits until it has left. One
// that was disowned goes on elsewhere.
func (s *stream) shutdown(ctx context.Context, disowned bool) {
	<-s.ready
	s.mu.Lock()
	if s.phase == ended {
		s.mu.Unlock()
		<-s.done
		return
	}
	p := s.takePublisher()
	if disowned {
		s.part(ErrClosed)
	} else {
		s.finish(ErrClosed)
	}
	s.mu.Unlock()
	if p != nil {
		p.info.Close(ErrClosed)
	}
	if disowned {
		s.leave()
		return
	}
	s.release(ctx)
}

// takePublisher detaches whoever publishes, and ends the grace. s.mu is held.
func (s *stream) takePublisher() *Publisher {
	p := s.pub
	s.pub = nil
	if p != nil {
		p.letGo()
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	return p
}

// finish ends the media. s.mu is held; release, or leave, must follow.
func (s *stream) finish(reason error) {
	s.phase = ended
	s.seq.end()
	s.log().Info("stream ended", s.summary(reason)...)
}

// part gives the media up to another owner. s.mu is held; leave must follow.
func (s *stream) part(reason error) {
	s.phase = ended
	s.seq.leave()
	s.log().Info("stream given up", s.summary(reason)...)
}

// summary is what a line about the end says. s.mu is held.
func (s *stream) summary(reason error) []any {
	return []any{
		slog.Uint64("runs", uint64(s.runs)), slog.Int64("packets", s.seq.packets), slog.Any("err", reason),
	}
}

func (s *stream) setEnded() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase = ended
}

// leave takes the stream out of the registry; those who wait for that look again.
func (s *stream) leave() {
	s.reg.leave(s)
	close(s.done)
}

// releaseTries is how often a placement is tried to be given back, releasePause
// the time between; one that stays behind is taken over by the next claim.
const (
	releaseTries = 3
	releasePause = time.Second
)

// release gives the placement back and leaves the registry.
func (s *stream) release(ctx context.Context) {
	defer s.leave()
	err := s.tryRelease(ctx)
	for range releaseTries - 1 {
		if err == nil {
			return
		}
		select {
		case <-time.After(releasePause):
		case <-ctx.Done():
		}
		err = s.tryRelease(ctx)
	}
	if err != nil {
		s.log().Warn("placement not released", slog.Any("err", err))
	}
}

func (s *stream) tryRelease(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.reg.cfg.ReleaseTimeout)
	defer cancel()
	err := s.reg.deps.Claims.Release(ctx, s.key, s.epoch)
	if errors.Is(err, state.ErrStaleEpoch) {
		return nil // a later claim has it
	}
	return err
}

// token is a digest of what a publisher identified itself with.
type token struct {
	set bool
	sum [sha256.Size]byte
}

func tokenOf(info PublisherInfo) token {
	if info.Token != "" {
		return token{set: true, sum: sha256.Sum256([]byte(info.Token))}
	}
	return token{set: info.Digest != [sha256.Size]byte{}, sum: info.Digest}
}

// equal is never true for two that have none.
func (t token) equal(u token) bool { return t.set && u.set && t.sum == u.sum }
