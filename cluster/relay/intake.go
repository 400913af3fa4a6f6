package relay

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"tmms/cluster/fabric"
	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/relaywire"
)

// Why a subscription ends.
var (
	errEnded       = errors.New("the stream has ended")
	errClosed      = errors.New("not wanted any more")
	errStalled     = errors.New("the owner sends nothing")
	errUnconfirmed = errors.New("the placement does not confirm the epoch")
	errSuperseded  = errors.New("the stream has moved to another owner")
	errProtocol    = errors.New("unexpected message")
	errOverflow    = errors.New("unfinished packets of too many bytes")
	errGap         = errors.New("it has not got what follows")
	errSilent      = errors.New("it is silent, another node is not")
	errNeedless    = errors.New("the first one speaks again")
	errMoved       = errors.New("another node is the source now")
	errOutdone     = errors.New("a node behind this one has got further")
)

// intake is one subscription of a pull, at the owner or at a shield.
type intake struct {
	// Set at construction.
	pull   *pull
	source        // where it is
	owner  string // node id, and
	epoch  uint64 // what the placement confirmed
	urgent bool   // the subscription before it is silent
	began  time.Time
	stop   context.CancelFunc
	writes sync.Mutex    // one goroutine writes to the control stream
	link   *link         // set before the first stream of it; nil without a session
	done   chan struct{} // closed when the control stream's goroutine has ended
	ready  chan struct{} // closed when the source was accepted, or it is over

	heard   atomic.Int64 // unix nanoseconds of the last byte
	sampled atomic.Int64 // unix nanoseconds of the last lag that was observed
	partial atomic.Int64 // bytes in large inboxes

	// Guarded by pull.mu.
	trial     bool // another subscription is the source
	reorder   *reorder
	streams   map[*fabric.ReceiveStream]struct{}
	control   *fabric.Stream // nil before the subscription was sent
	configs   *relaywire.Configs
	lag       lagMeter
	ending    *relaywire.End
	endBy     time.Time // by which the end must be complete
	delivered time.Time // of the last packet
	accepted  bool
	spoken    bool // something has come behind the Ok, and
	since     time.Time
	crossed   bool   // a group has begun behind the Ok
	at        uint64 // group of the last packet
	grace     bool   // no publisher is connected
	highest   uint64 // epoch that packets may have
	hls       bool   // what the source was told, and
	standby   bool   // that this node is the standby, and
	said      *relaywire.Position
	due       ackDue
	indexing  int   // streams of indexes that are read
	err       error // why it is over
}

func newIntake(p *pull, from source, placement state.Placement, as trial, stop context.CancelFunc) *intake {
	now := time.Now()
	in := &intake{
		pull: p, source: from, owner: placement.Owner, epoch: placement.Epoch, began: now, stop: stop,
		done: make(chan struct{}), ready: make(chan struct{}), trial: as != trialNone, urgent: as == trialUrgent,
		streams: map[*fabric.ReceiveStream]struct{}{}, delivered: now, highest: placement.Epoch,
	}
	in.reorder = newReorder(in)
	in.heard.Store(now.UnixNano())
	return in
}

// close ends the subscription; the first reason counts. pull.mu is held.
func (in *intake) close(reason error) {
	if in.err != nil {
		return
	}
	in.err = reason
	in.stop()
	if !in.accepted {
		close(in.ready)
	}
	for s := range in.streams {
		s.CancelRead(code(relaywire.CodeDone))
	}
	in.streams = nil
	in.reorder = newReorder(in)
}

// fail closes the subscription and lets the pull know.
func (in *intake) fail(reason error) {
	in.pull.mu.Lock()
	in.close(reason)
	in.pull.mu.Unlock()
	in.pull.poke()
}

// track notes a stream that close has to cancel; false: it is closed.
func (in *intake) track(s *fabric.ReceiveStream) bool {
	in.pull.mu.Lock()
	defer in.pull.mu.Unlock()
	if in.err != nil {
		return false
	}
	in.streams[s] = struct{}{}
	return true
}

func (in *intake) untrack(s *fabric.ReceiveStream) {
	in.pull.mu.Lock()
	defer in.pull.mu.Unlock()
	delete(in.streams, s)
}

// run subscribes and reads what the owner says until the subscription is over.
func (in *intake) run(ctx context.Context, to fabric.Target) {
	defer close(in.done)
	in.fail(in.subscribe(ctx, to))
}

func (in *intake) subscribe(ctx context.Context, to fabric.Target) error {
	p := in.pull.puller
	session, err := p.fabric.Session(ctx, to, fabric.ALPNRelay)
	if err != nil {
		return err
	}
	if lane := laneOf(in.pull.feed.key, p.fabric.Lanes(to)); lane > 0 { // how many is known once there is one
		if session, err = p.fabric.Lane(ctx, to, fabric.ALPNRelay, lane); err != nil {
			return err
		}
	}
	if peer := session.Peer(); !peer.Has(in.role()) {
		return fmt.Errorf("relay: the certificate of %s has not the role %s", peer, in.role())
	}
	l := p.link(session)
	id := l.add(in) // sets in.link
	defer l.remove(id)
	greeted := l.said // so that the owner knows what may be said in its first answer
	if in.pull.isStandby() {
		greeted = l.answered // and this node whether it may say so
	}
	select {
	case <-greeted:
	case <-ctx.Done():
		return ctx.Err()
	}
	control, err := session.Open(ctx)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { reset(control, relaywire.CodeDone) })
	defer stop()
	defer reset(control, relaywire.CodeDone)
	control.SetPriority(urgencyControl, false)
	b := in.link.agreed.version().AppendHello(nil, relaywire.StreamSubscribe)
	b = relaywire.AppendMessage(b, in.request(id))
	if err := in.write(control, b); err != nil {
		return err
	}
	in.pull.mu.Lock()
	in.control = control
	in.pull.mu.Unlock()
	in.pull.poke() // what is wanted may have changed meanwhile
	return in.listen(ctx, control)
}

// request is the Subscribe message.
func (in *intake) request(id uint64) relaywire.Subscribe {
	p := in.pull
	p.mu.Lock()
	defer p.mu.Unlock()
	have := p.shelf.have()
	seen := p.seen
	seen.SegmentEpoch, seen.MSN, seen.Open = have.epoch, have.msn, p.shelf.opened()
	seen.Discontinuities = p.shelf.discontinuities()
	in.hls, in.standby = p.hls, in.standsBy()
	r := relaywire.Subscribe{
		ID: id, Key: p.feed.key, Epoch: in.epoch, Seen: seen, Resume: p.started, HLS: in.hls, Shield: in.shield,
		Standby: in.standby,
	}
	if !in.shield {
		p.feed.ask(&r)
	}
	in.said = &r.Seen
	r.Hops = append(r.Hops, p.puller.cluster.ID())
	return r
}

// write sends on the control stream, which takes a message at once unless the
// owner is dead.
func (in *intake) write(control *fabric.Stream, b []byte) error {
	in.writes.Lock()
	defer in.writes.Unlock()
	_ = control.SetWriteDeadline(time.Now().Add(in.pull.puller.cfg.Stall))
	_, err := control.Write(b)
	return err
}

// update tells the source what is wanted by now.
func (in *intake) update() {
	p := in.pull
	p.mu.Lock()
	control := in.control // set behind in.link
	if control == nil || in.err != nil || in.hls == p.hls && in.standby == in.standsBy() {
		p.mu.Unlock()
		return
	}
	in.hls, in.standby = p.hls, in.standsBy()
	have := p.shelf.have()
	m := relaywire.Update{HLS: in.hls, SegmentEpoch: have.epoch, MSN: have.msn, Standby: in.standby}
	p.mu.Unlock()
	if err := in.write(control, relaywire.AppendMessage(nil, m)); err != nil {
		in.fail(err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	in.dueAck(true)
}

// listen reads the owner's messages. Behind the end the media may still be on
// its way.
func (in *intake) listen(ctx context.Context, control *fabric.Stream) error {
	b := &inbox{r: control}
	for {
		m, err := parse(b, in.pull.puller.version.ParseMessage)
		if err != nil && in.isEnding() {
			<-ctx.Done()
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		in.alive()
		if err := in.take(m); err != nil {
			return err
		}
	}
}

func (in *intake) alive() { in.heard.Store(time.Now().UnixNano()) }

// take acts on a message.
func (in *intake) take(m relaywire.Message) error {
	in.pull.mu.Lock()
	defer in.pull.mu.Unlock()
	if in.err != nil {
		return in.err
	}
	if in.accepted {
		in.speak()
	}
	switch m := m.(type) {
	case relaywire.Pending, relaywire.Idle, relaywire.Unknown:
		return nil
	case relaywire.Refuse:
		return fmt.Errorf("%w: %s, owner %q", errRefused, m.Reason, m.Owner)
	case relaywire.Superseded:
		return fmt.Errorf("%w: epoch %d", errSuperseded, m.Epoch)
	case relaywire.Ok:
		return in.accept(m)
	case relaywire.State:
		in.grace = m.Grace
		if w := in.pull.writer; w != nil && in.pull.source == in {
			w.SetState(stateOf(m.Grace))
		}
		return nil
	case relaywire.Skip:
		in.link.session.CountReset(true)
		return in.reorder.skip(m.Seq)
	case relaywire.End:
		in.ending = &m
		in.endBy = time.Now().Add(in.pull.puller.cfg.Settle)
		return in.checkEnd()
	}
	return fmt.Errorf("%w: %T", errProtocol, m)
}

func (in *intake) isEnding() bool {
	in.pull.mu.Lock()
	defer in.pull.mu.Unlock()
	return in.ending != nil
}

func stateOf(grace bool) State {
	if grace {
		return StateGrace
	}
	return StateLive
}

// accept lets the source's packets in, if the placement confirms its epoch.
func (in *intake) accept(m relaywire.Ok) error {
	p := in.pull
	placement, ok := p.puller.cluster.Placement(p.feed.key)
	if in.accepted || !ok || m.Epoch != in.epoch || m.Epoch != placement.Epoch {
		p.puller.metrics.fences.Inc()
		return fmt.Errorf("%w: the node %s has %d, the placement %d", errUnconfirmed, in.node, m.Epoch, placement.Epoch)
	}
	if in.strict() && !p.continues(m) {
		return fmt.Errorf("%w: it begins at %v, the last packet here is %v", errGap, m.Start, p.seen.ID)
	}
	in.accepted, in.grace = true, m.Grace
	close(in.ready)
	if err := p.open(m); err != nil {
		return err
	}
	if !in.trial {
		p.setSource(in)
	}
	if !in.shield && (p.started || m.Start == (media.PacketID{})) {
		p.feed.upstream.Store(in)
	}
	p.poke()
	return in.reorder.start()
}

// checkEnd tells when everything of a stream that has ended is here. pull.mu is held.
func (in *intake) checkEnd() error {
	e := in.ending
	if e == nil || in.reorder.next < e.Groups {
		return nil
	}
	if shown := in.pull.shelf.shown; in.hls && e.IndexVersion > 0 && (shown == nil || shown.Version < e.IndexVersion) {
		return nil
	}
	return errEnded
}

// readGroup reads a group stream behind its header.
func (in *intake) readGroup(b *inbox, h *relaywire.GroupHeader) {
	if err := in.openGroup(h); err != nil {
		in.fail(err)
		return
	}
	g := &incoming{seq: h.Seq, packets: h.Packets()}
	defer func() { in.partial.Add(-large(b)) }()
	for {
		if err := in.deliver(g, b); err != nil {
			in.fail(err)
			return
		}
		before := large(b)
		err := in.fill(b)
		if n := in.partial.Add(large(b) - before); n > media.MaxRelayPartial && err == nil {
			err = fmt.Errorf("%w: %d, the limit is %d", errOverflow, n, media.MaxRelayPartial)
		}
		if err != nil {
			in.groupEnded(h.Seq, b, err)
			return
		}
	}
}

// large is by how many bytes an inbox has grown for a large packet.
func large(b *inbox) int64 { return int64(max(cap(b.buf)-readBuffer, 0)) }

// fill reads more of a stream.
func (in *intake) fill(b *inbox) error {
	had := len(b.rest())
	err := b.fill()
	if n := len(b.rest()) - had; n > 0 {
		in.alive()
		in.pull.puller.metrics.bytes.Add(float64(n))
	}
	return err
}

func (in *intake) openGroup(h *relaywire.GroupHeader) error {
	in.pull.mu.Lock()
	defer in.pull.mu.Unlock()
	if in.err != nil {
		return in.err
	}
	in.alive()
	in.arrived(h)
	return in.reorder.open(h)
}

// incoming is a group stream that is being read.
type incoming struct {
	seq     uint64
	packets relaywire.Packets
	packet  media.Packet // the last one; here since it would be allocated for each else
}

// deliver takes the packets that have come whole.
func (in *intake) deliver(g *incoming, b *inbox) error {
	in.pull.mu.Lock()
	defer in.pull.mu.Unlock()
	for {
		p, n, err := g.packets.Parse(b.rest())
		if errors.Is(err, relaywire.ErrShort) {
			return nil
		}
		if err != nil {
			return err
		}
		if in.err != nil {
			return in.err
		}
		g.packet = p
		if err := in.reorder.put(g.seq, &g.packet); err != nil {
			return err
		}
		b.consume(n)
	}
}

// groupEnded notes why nothing more comes on a group stream.
func (in *intake) groupEnded(seq uint64, b *inbox, err error) {
	var stream *fabric.StreamError
	switch {
	case errors.As(err, &stream): // the control stream says what that means
		return
	case !errors.Is(err, io.EOF):
		in.fail(err)
		return
	case len(b.rest()) > 0:
		in.fail(fmt.Errorf("%w: a group stream ends within a packet", relaywire.ErrMalformed))
		return
	}
	in.pull.mu.Lock()
	err = in.err
	if err == nil {
		err = in.reorder.finish(seq)
	}
	if err == nil {
		err = in.checkEnd()
	}
	in.pull.mu.Unlock()
	if err != nil {
		in.fail(err)
	}
}

// beginGroup implements orderedSink.
func (in *intake) beginGroup(h *relaywire.GroupHeader) {
	in.configs = h.Configs
	in.follow(h)
}

// packet implements orderedSink: the next packet goes into the log. pull.mu is held.
func (in *intake) packet(p *media.Packet) error {
	if p.ID.Epoch > in.highest && !in.confirm(p.ID.Epoch) {
		in.pull.puller.metrics.fences.Inc()
		return fmt.Errorf("%w: a packet has %d, the subscription %d", errUnconfirmed, p.ID.Epoch, in.epoch)
	}
	now := time.Now()
	in.delivered = now
	in.pass(p.ID)
	if last := in.sampled.Load(); now.UnixNano()-last > int64(idleMark) {
		in.sampled.Store(now.UnixNano())
		in.late(p)
	}
	configs := in.configs
	in.configs = nil
	err := in.pull.append(p, configs)
	if in.standby && err == nil {
		in.dueAck(false)
	}
	if err == nil && !in.shield && in.pull.source == in && in.pull.feed.upstream.Load() != in {
		in.pull.feed.upstream.Store(in)
	}
	return err
}

// laneOf spreads streams over lanes; one stays on its own.
func laneOf(key media.StreamKey, lanes int) int {
	if lanes < 2 {
		return 0
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(key.String()))
	return int(h.Sum32() % uint32(lanes))
}
