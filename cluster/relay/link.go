package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"tmms/cluster/fabric"
	"tmms/cluster/placement"
	"tmms/media"
	"tmms/media/relaywire"
)

// errUnknownKind refuses a stream that a later version may open.
var errUnknownKind = errors.New("relay: stream of the unknown kind")

// link is a session to an owner: it hands the streams that the owner opens to
// the subscriptions that they belong to.
type link struct {
	// Set at construction.
	puller  *Puller
	session *fabric.Session
	cancel  context.CancelFunc
	version relaywire.Version // the highest that this node speaks
	now     func() time.Time
	said    chan struct{} // closed when hello was said, or will not be

	answered chan struct{} // closed when agreed is what it is

	agreed agreed
	clock  clock // of the session's other end
	acks   *acks

	// A place for each stream of which it is not known whose it is, and for each
	// among them with a header that is larger than the first buffer.
	unknown, large chan struct{}

	// Guarded by puller.mu.
	counted fabric.Path // at the last look at the loss
	loss    float64
	rtts    [rttSamples]time.Duration // of the last looks
	looks   int

	mu sync.Mutex
	// Guarded by mu.
	last    uint64 // subscription id
	intakes map[uint64]*intake
}

// add gives a subscription its id.
func (l *link) add(in *intake) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	in.link = l
	l.intakes[l.last] = in
	return l.last
}

func (l *link) remove(id uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.intakes, id)
}

// lossSample is how many packets must have been sent for a look at the loss.
const lossSample = 100

// rttSamples is over how many looks the shortest round trip counts: a way is as long
// as it is, whatever the processors at its ends have to do besides.
const rttSamples = 10

// measure gives the way to the peer: its shortest round trip of late, and the loss of
// the last hundred packets sent or more. puller.mu is held.
func (l *link) measure() placement.Path {
	now := l.session.Path()
	if now.LatestRTT > 0 {
		l.rtts[l.looks%rttSamples] = now.LatestRTT
		l.looks++
	}
	if sent := now.Sent - l.counted.Sent; sent >= lossSample {
		lost := max(int64(now.Lost)-int64(l.counted.Lost), 0) //nolint:gosec // counters of packets
		l.loss = min(float64(lost)/float64(sent), 1)
		l.counted = now
	}
	path := placement.Path{Loss: l.loss}
	if l.looks > 0 {
		path.RTT = slices.Min(l.rtts[:min(l.looks, rttSamples)])
	}
	return path
}

// find gives a subscription, nil if it is over.
func (l *link) find(id uint64) *intake {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.intakes[id]
}

// run takes the owner's streams until ctx or the session ends.
func (l *link) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { l.greet(ctx) })
	wg.Go(func() { l.acks.run(ctx) })
	for {
		stream, err := l.session.AcceptUni(ctx)
		if err != nil {
			return
		}
		select {
		case l.unknown <- struct{}{}:
		case <-ctx.Done():
			return
		}
		wg.Go(func() { l.read(ctx, stream) })
	}
}

// read reads one stream of the owner to its end.
func (l *link) read(ctx context.Context, stream *fabric.ReceiveStream) {
	stop := context.AfterFunc(ctx, func() { stream.CancelRead(code(relaywire.CodeDone)) })
	defer stop()
	b := l.puller.borrow(stream)
	defer l.puller.giveBack(b)
	_ = stream.SetReadDeadline(time.Now().Add(media.HandshakeTimeout))
	in, read, err := l.begin(b)
	<-l.unknown
	switch {
	case errors.Is(err, errUnknownKind):
		stream.CancelRead(code(relaywire.CodeUnknownStream))
		return
	case err != nil:
		stream.CancelRead(code(relaywire.CodeMalformed))
		return
	}
	if in == nil || !in.track(stream) {
		stream.CancelRead(code(relaywire.CodeDone))
		return
	}
	defer in.untrack(stream)
	_ = stream.SetReadDeadline(time.Time{})
	read(in, stream, b)
}

// begin reads a stream's header and gives its subscription, nil if that is
// over, with what reads the rest.
func (l *link) begin(b *inbox) (in *intake, read func(*intake, *fabric.ReceiveStream, *inbox), err error) {
	kind, err := parse(b, parseKind)
	if err != nil {
		return nil, nil, err
	}
	enlarged := false
	b.enlarge = func() bool {
		if !enlarged {
			select {
			case l.large <- struct{}{}:
				enlarged = true
			default:
			}
		}
		return enlarged
	}
	defer func() {
		b.enlarge = nil
		if enlarged {
			<-l.large
		}
	}()
	switch kind {
	case relaywire.StreamGroup:
		h, err := parse(b, l.version.ParseGroupHeader)
		h.Configs = h.Configs.Clone() // the inbox will be written over
		return l.find(h.Subscription), func(in *intake, _ *fabric.ReceiveStream, b *inbox) { in.readGroup(b, &h) }, err
	case relaywire.StreamIndexes:
		h, err := parse(b, relaywire.ParseIndexesHeader)
		return l.find(h.Subscription), func(in *intake, s *fabric.ReceiveStream, b *inbox) { in.readIndexes(s, b) }, err
	case relaywire.StreamPiece:
		h, err := parse(b, relaywire.ParsePieceHeader)
		return l.find(h.Subscription), func(in *intake, s *fabric.ReceiveStream, b *inbox) { in.readPiece(s, b, h) }, err
	case relaywire.StreamSubscribe, relaywire.StreamPush, relaywire.StreamSession:
	}
	return nil, nil, fmt.Errorf("%w 0x%02x", errUnknownKind, byte(kind))
}
