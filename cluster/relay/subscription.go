package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tmms/cluster/fabric"
	"tmms/cluster/pki"
	"tmms/media"
	"tmms/media/bytelog"
	"tmms/media/relaywire"
)

// Urgencies of streams: a lower one goes first (RFC 9218).
const (
	urgencyControl = 1
	urgencyLive    = 3
	urgencySegment = 6
)

// Why a subscription ends.
var (
	// errRefused ends one that was answered with a refusal.
	errRefused = errors.New("refused")
	// errLost ends one whose stream this node has not got any more, although it goes on.
	errLost = errors.New("the stream is not pulled here any more")
)

// subscription is one stream on its way to another node, seen from the source.
type subscription struct {
	// Set at construction.
	peer    *peer
	server  *Server
	request relaywire.Subscribe
	control *fabric.Stream
	began   time.Time
	wake    chan struct{} // holds one
	down    *downstream   // nil: this node was not asked as a shield, or does not pull

	live       atomic.Pointer[Live] // nil: pending
	superseded atomic.Uint64        // a higher epoch that another node has

	claims  atomic.Bool                   // the subscriber says that it is the standby
	standby atomic.Bool                   // it is; written by the gate
	lastAck atomic.Pointer[relaywire.Ack] // nil: none has come

	// Written by the sender, read by the pacer.
	sent     atomic.Int64 // log offset behind what was sent
	told     atomic.Int32 // the State that was told
	spoke    atomic.Int64 // unix nanoseconds of the last byte sent
	busy     atomic.Int64 // unix nanoseconds since which the sender is behind; 0: it is not
	sentDTS  atomic.Int64
	position atomic.Pointer[groupPosition] // of the open group
	out      atomic.Pointer[fabric.SendStream]

	// Owned by the sender.
	src   bytelog.Reader
	seq   uint64 // of the next group stream
	group groupSender
	buf   []byte // control messages

	mu  sync.Mutex
	hls *segmentSender // guarded by mu; nil: no HLS wanted
}

// groupPosition names a group in the order of the log.
type groupPosition struct{ epoch, group uint64 }

func (g groupPosition) before(epoch, group uint64) bool {
	return g.epoch < epoch || g.epoch == epoch && g.group < group
}

// serveSubscription answers a subscription until it ends.
func (p *peer) serveSubscription(ctx context.Context, control *fabric.Stream, in *inbox) {
	control.SetPriority(urgencyControl, false)
	_ = control.SetReadDeadline(time.Now().Add(media.HandshakeTimeout))
	m, err := parse(in, p.server.version.ParseMessage)
	request, ok := m.(relaywire.Subscribe)
	if err != nil || !ok {
		reset(control, relaywire.CodeMalformed)
		return
	}
	_ = control.SetReadDeadline(time.Time{})
	s := &subscription{
		peer: p, server: p.server, request: request, control: control,
		began: time.Now(), wake: make(chan struct{}, 1),
	}
	s.claims.Store(request.Standby)
	if refusal, ok := s.admit(); !ok {
		s.refuse(refusal)
		return
	}
	defer s.leave()
	if s.down != nil {
		defer s.down.close()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, s.abort)
	p.wg.Go(func() {
		defer cancel()
		s.listen(ctx, in)
	})
	err = s.run(ctx)
	stop() // the last message is not to be cut off by the end of listen
	s.group.cancel(relaywire.CodeDone)
	s.standbyGone("its subscription has ended")
	p.server.log.Debug("subscription ended", slog.String("stream", request.Key.String()),
		slog.String("node", p.session.Peer().Name), slog.Any("err", err))
	control.CancelRead(fabric.StreamErrorCode(relaywire.CodeDone))
	_ = control.Close()
}

// admit enters the subscription into its session, or says why not.
func (s *subscription) admit() (relaywire.Refuse, bool) {
	who := s.peer.session.Peer()
	self := s.server.cluster.ID()
	switch {
	case !who.Has(pki.RoleEdge) && !who.Has(pki.RoleOrigin):
		return relaywire.Refuse{Reason: relaywire.ReasonForbidden}, false
	case s.loops(self):
		return relaywire.Refuse{Reason: relaywire.ReasonLoop}, false
	}
	s.peer.mu.Lock()
	defer s.peer.mu.Unlock()
	if len(s.peer.subs) >= media.MaxSubscriptions {
		return relaywire.Refuse{Reason: relaywire.ReasonFull}, false
	}
	if s.request.Shield {
		down, _, err := s.server.hub.openDownstream(&s.request)
		if err != nil {
			return relaywire.Refuse{Reason: relaywire.ReasonFull}, false
		}
		s.down = down
	}
	s.peer.subs[s] = struct{}{}
	select {
	case s.peer.first <- struct{}{}:
	default:
	}
	s.server.metrics.subscriptions.Add(1)
	return relaywire.Refuse{}, true
}

// loops tells that the request has passed this node before, or that it comes to a
// shield from another one: a shield asks the owner. The owner itself is no loop,
// whoever thought of it as a shield before.
func (s *subscription) loops(self string) bool {
	passed := slices.Contains(s.request.Hops, self) || s.request.Shield && len(s.request.Hops) > 1
	return passed && s.server.hub.Local(s.request.Key) == nil
}

func (s *subscription) leave() {
	s.peer.mu.Lock()
	defer s.peer.mu.Unlock()
	delete(s.peer.subs, s)
	s.server.metrics.subscriptions.Add(-1)
}

// refuse answers a subscription that does not begin.
func (s *subscription) refuse(m relaywire.Refuse) {
	_ = s.tell(m)
	s.control.CancelRead(fabric.StreamErrorCode(relaywire.CodeDone))
	_ = s.control.Close()
}

// abort unblocks the sender when the subscription ends from outside.
func (s *subscription) abort() {
	if out := s.out.Load(); out != nil {
		out.CancelWrite(fabric.StreamErrorCode(relaywire.CodeDone))
	}
	s.control.CancelWrite(fabric.StreamErrorCode(relaywire.CodeDone))
}

// listen reads what the subscriber has to say, until it goes.
func (s *subscription) listen(ctx context.Context, in *inbox) {
	s.wantHLS(ctx, s.request.HLS, segmentID{s.request.Seen.SegmentEpoch, s.request.Seen.MSN})
	defer s.wantHLS(ctx, false, segmentID{})
	for {
		m, err := parse(in, s.server.version.ParseMessage)
		if err != nil {
			return
		}
		switch m := m.(type) {
		case relaywire.Update:
			s.update(ctx, m)
		case relaywire.Ack:
			if err := s.acknowledged(m); err != nil {
				s.server.log.Warn("relay: a standby is not believed", slog.String("stream", s.request.Key.String()),
					slog.String("node", s.peer.session.Peer().Name), slog.Any("err", err))
				return
			}
		case relaywire.Unknown:
		default:
			return
		}
	}
}

// update notes what the subscriber wants from now on. Who becomes the standby gets the
// indexes anew, with what only a standby is told.
func (s *subscription) update(ctx context.Context, m relaywire.Update) {
	have := segmentID{m.SegmentEpoch, m.MSN}
	if m.Standby && !s.claims.Load() {
		s.wantHLS(ctx, false, have)
	}
	s.claim(m.Standby)
	s.wantHLS(ctx, m.HLS, have)
}

// poke gives the sender a turn.
func (s *subscription) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// pace wakes the sender if it has something to do, and frees it from a group
// that is too late.
func (s *subscription) pace(now time.Time) {
	live := s.live.Load()
	if live == nil {
		s.poke()
		return
	}
	if live.log.Head() != s.sent.Load() || live.State() != State(s.told.Load()) ||
		s.idle(now) || s.superseded.Load() > 0 {
		s.poke()
	}
	if s.late(live, now) {
		if out := s.out.Load(); out != nil {
			out.CancelWrite(fabric.StreamErrorCode(relaywire.CodeAbandoned))
		}
	}
	s.followSegments(live)
	if g := s.attended(live); g != nil {
		s.attend(g, now)
	}
}

func (s *subscription) followSegments(live *Live) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hls != nil {
		s.hls.follow(live)
	}
}

// idle tells that the subscriber has to be told that the owner lives.
func (s *subscription) idle(now time.Time) bool {
	return now.UnixNano()-s.spoke.Load() >= int64(idleMark) &&
		(s.down == nil || s.down.fresh(now, s.server.times.silent))
}

// late tells that the sender has been behind for longer than the cap, by more
// than the cap, although there is a newer group.
func (s *subscription) late(live *Live, now time.Time) bool {
	since := s.busy.Load()
	limit := s.maxLag(live)
	if since == 0 || now.UnixNano()-since < int64(limit) {
		return false
	}
	j, ok := live.NewestGroup()
	at := s.position.Load()
	return ok && at != nil && at.before(j.Epoch, j.Group) && (j.DTS-media.Timestamp(s.sentDTS.Load())).Duration() > limit
}

// checkPlacement looks whether the stream has moved on to another node; a shield
// follows it there.
func (s *subscription) checkPlacement() {
	live := s.live.Load()
	if live == nil || s.down != nil {
		return
	}
	p, ok := s.server.cluster.Placement(s.request.Key)
	if ok && p.Owner != "" && p.Owner != s.server.cluster.ID() && p.Epoch > live.Epoch() {
		s.superseded.Store(p.Epoch)
	}
}

// run sends the stream until it ends.
func (s *subscription) run(ctx context.Context) error {
	live, err := s.await(ctx)
	if err != nil {
		return err
	}
	if err := s.start(live); err != nil {
		return err
	}
	s.live.Store(live)
	s.checkPlacement()
	for {
		if epoch := s.superseded.Load(); epoch > 0 {
			s.group.cancel(relaywire.CodeSuperseded)
			s.server.metrics.fences.Inc()
			return errors.Join(s.tell(relaywire.Superseded{Epoch: epoch}), fmt.Errorf("superseded by epoch %d", epoch))
		}
		// The state goes first: once it says ended the log's head is the last.
		state := live.State()
		if err := s.flush(ctx, live); err != nil {
			return err
		}
		if err := s.tellState(state); err != nil {
			return err
		}
		if state == StateEnded && live.lost.Load() {
			return errLost
		}
		if state == StateEnded {
			return s.end(ctx, live)
		}
		if s.idle(time.Now()) {
			if err := s.tell(relaywire.Idle{}); err != nil {
				return err
			}
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// await waits until the stream is published here in the epoch that the
// subscriber knows, and refuses when it isn't.
func (s *subscription) await(ctx context.Context) (*Live, error) {
	for asked := false; ; asked = true {
		live, refusal, ok := s.look()
		if live != nil {
			return live, nil
		}
		if !ok || time.Since(s.began) > s.server.times.pending {
			return nil, errors.Join(s.tell(refusal),
				fmt.Errorf("%w: %s, owner %q", errRefused, refusal.Reason, refusal.Owner))
		}
		var err error
		if !asked {
			err = s.tell(relaywire.Pending{})
		} else if time.Now().UnixNano()-s.spoke.Load() >= int64(idleMark) {
			err = s.tell(relaywire.Idle{})
		}
		if err != nil {
			return nil, err
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// look finds the life to send; ok = false: there is no point in waiting for one.
func (s *subscription) look() (live *Live, refusal relaywire.Refuse, ok bool) {
	self := s.server.cluster.ID()
	live = s.server.hub.Local(s.request.Key)
	p, placed := s.server.cluster.Placement(s.request.Key)
	elsewhere := placed && p.Owner != "" && p.Owner != self
	if s.down != nil && live == nil {
		live = s.down.live()
		elsewhere = false
	}
	if live != nil && live.Epoch() >= s.request.Epoch && (!elsewhere || p.Epoch <= live.Epoch()) {
		return live, relaywire.Refuse{}, true
	}
	refusal = relaywire.Refuse{Reason: relaywire.ReasonNotLive}
	if elsewhere {
		refusal = relaywire.Refuse{Reason: relaywire.ReasonNotOwner, Owner: p.Owner}
	}
	// With a copy of the placements older than the subscriber's, wait for it.
	return nil, refusal, !elsewhere || p.Epoch < s.request.Epoch
}

// start finds where to begin and says so.
func (s *subscription) start(live *Live) error {
	live.report(s.request.Seen)
	from := s.begin(live)
	s.group = groupSender{sub: s}
	s.startAt(live, from)
	s.sent.Store(-1)
	state := live.State()
	s.told.Store(int32(state))
	ok := relaywire.Ok{
		Epoch: live.Epoch(), Start: from.id, Exact: from.exact, Grace: state == StateGrace,
		StartedAt: live.StartedAt(), Keep: live.opt.Keep, MaxBytes: live.opt.MaxBytes,
	}
	if s.peer.agreed.version() >= relaywire.V2 {
		ok.MaxLag = live.opt.MaxLag
	}
	return s.tell(ok)
}

// maxLag is how far the subscriber may be behind before groups are left out for it.
func (s *subscription) maxLag(live *Live) time.Duration {
	if d := s.server.times.maxLag; d > 0 {
		return d
	}
	return live.opt.MaxLag
}

// tell sends a control message.
func (s *subscription) tell(m relaywire.Message) error {
	s.buf = relaywire.AppendMessage(s.buf[:0], m)
	n, err := s.control.Write(s.buf)
	s.count(n)
	return err
}

// count notes that n bytes were sent.
func (s *subscription) count(n int) {
	s.spoke.Store(time.Now().UnixNano())
	s.server.metrics.bytes.Add(float64(n))
}

// tellState passes on whether a publisher is connected.
func (s *subscription) tellState(state State) error {
	if State(s.told.Load()) == state {
		return nil
	}
	s.told.Store(int32(state))
	if state == StateEnded {
		return nil
	}
	return s.tell(relaywire.State{Grace: state == StateGrace})
}

// end says that nothing will follow, and lets the last segments out.
func (s *subscription) end(ctx context.Context, live *Live) error {
	if err := s.group.close(); err != nil {
		return err
	}
	m := relaywire.End{Groups: s.seq}
	s.mu.Lock()
	segments := s.hls
	if segments != nil {
		segments.follow(live)
	}
	s.mu.Unlock()
	if x := live.Index(); segments != nil && x != nil {
		m.IndexVersion = x.Version
	}
	if err := s.tell(m); err != nil || m.IndexVersion == 0 {
		return err
	}
	segments.finish()
	timer := time.NewTimer(s.server.times.last)
	defer timer.Stop()
	select {
	case <-segments.done:
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil
}
