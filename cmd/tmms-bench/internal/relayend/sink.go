package relayend

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"tmms/bench/play"
	"tmms/cluster/relay"
	"tmms/media"
	"tmms/media/bytelog"
)

// How often a sink looks what has come: seldom, so that looking costs next to
// nothing, but while it measures the delay.
const (
	lookPause  = 250 * time.Millisecond
	watchPause = time.Millisecond
)

// sink has a reader on each stream that it pulls, which checks every packet.
type sink struct {
	hub     *relay.Hub
	mayMiss bool

	mu sync.Mutex
	// Guarded by mu.
	followers []*follower
	fault     error // the first
	watching  bool  // the delay is measured
	fresh     bool  // the next look has packets from before watching
	delays    *play.Histogram
	check     time.Duration // processor time of the looks
}

// follower reads one stream.
type follower struct {
	feed           *relay.Feed
	live           *relay.Live // nil: it has not begun here
	log            bytelog.Reader
	last           media.PacketID
	next           uint64 // number of the next packet
	packets, bytes int64
	mayMiss        bool
	missing        int64
	gaps           []Gap // the first of them
}

// run looks what has come until ctx ends.
func (s *sink) run(ctx context.Context) error {
	runtime.LockOSThread() // its processor time is the thread's
	defer runtime.UnlockOSThread()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		timer.Reset(s.look())
	}
}

// look reads all streams to their heads; it gives the pause until the next look.
func (s *sink) look() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now().UnixMicro()
	for _, f := range s.followers {
		if err := s.follow(f, now); err != nil && s.fault == nil {
			s.fault = fmt.Errorf("relayend: %s: %w", f.feed.Key(), err)
		}
	}
	s.fresh = s.watching
	var used unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &used); err == nil {
		s.check = time.Duration(used.Nano())
	}
	if s.watching {
		return watchPause
	}
	return lookPause
}

// follow reads one stream to its head. s.mu is held.
func (s *sink) follow(f *follower, nowUS int64) error {
	if f.live == nil {
		if f.live = f.feed.Live(); f.live == nil {
			return nil
		}
		f.log = f.live.Log().Reader(0)
	}
	for {
		e, raw, ok := f.log.Next()
		if !ok {
			if f.log.Overtaken() {
				return fmt.Errorf("overtaken at %d: %w", f.log.Offset(), errLost)
			}
			return nil
		}
		if err := f.take(&e, e.Body(raw)); err != nil {
			return err
		}
		if s.watching && s.fresh {
			s.delays.Add(time.Duration(nowUS-e.Ingested) * time.Microsecond)
		}
	}
}

// take checks a packet.
func (f *follower) take(e *bytelog.Entry, body []byte) error {
	number, err := unseal(body)
	if err != nil {
		return err
	}
	if f.packets > 0 {
		follows := e.ID.Epoch == f.last.Epoch && (e.ID.Group == f.last.Group && e.ID.Index == f.last.Index+1 ||
			e.ID.Group == f.last.Group+1 && e.ID.Index == 0)
		skips := f.mayMiss && number > f.next && e.ID.Group > f.last.Group && e.ID.Index == 0
		switch {
		case skips:
			f.miss(number)
		case !follows || number != f.next:
			return fmt.Errorf("%w: packet %d, %v after %d, %v", errLost, number, e.ID, f.next-1, f.last)
		}
	}
	f.last, f.next = e.ID, number+1
	f.packets++
	f.bytes += int64(len(body))
	return nil
}

// miss notes that the packets before to have not come.
func (f *follower) miss(to uint64) {
	f.missing += int64(to - f.next)
	if len(f.gaps) < maxGaps {
		f.gaps = append(f.gaps, Gap{From: f.next, To: to})
	}
}

// open pulls the first n streams, and waits until all have come, unless they may be missing.
func (s *sink) open(ctx context.Context, n int) error {
	s.mu.Lock()
	for len(s.followers) < n {
		feed, err := s.hub.Open(keyOf(len(s.followers)))
		if err != nil {
			s.mu.Unlock()
			return fmt.Errorf("relayend: %w", err)
		}
		s.followers = append(s.followers, &follower{feed: feed, mayMiss: s.mayMiss})
	}
	s.mu.Unlock()
	if s.mayMiss {
		return nil
	}
	return s.wait(ctx, func(_ int, f *follower) bool { return f.packets > 0 })
}

// wait waits until ok says yes of all followers.
func (s *sink) wait(ctx context.Context, ok func(i int, f *follower) bool) error {
	ctx, cancel := context.WithTimeout(ctx, waitTimeout)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		missing, fault := s.count(func(i int, f *follower) bool { return !ok(i, f) })
		switch {
		case fault != nil:
			return fault
		case missing == 0:
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %d streams are not complete after %s", errLost, missing, waitTimeout)
		case <-tick.C:
		}
	}
}

func (s *sink) count(is func(i int, f *follower) bool) (n int, fault error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.followers {
		if is(i, f) {
			n++
		}
	}
	return n, s.fault
}

// verify waits until all packets of sent have come, and tells how many did.
func (s *sink) verify(ctx context.Context, sent []uint64) (got Got, err error) {
	err = s.wait(ctx, func(i int, f *follower) bool { return i < len(sent) && f.next >= sent[i] })
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.followers {
		got.Packets += f.packets
		got.Bytes += f.bytes
		got.Missing += f.missing
		for _, g := range f.gaps {
			got.MissingRuns = append(got.MissingRuns, Gap{Stream: i, From: g.From, To: g.To})
		}
		if i < len(sent) && f.next < sent[i] {
			got.Missing += int64(sent[i] - f.next)
			got.MissingRuns = append(got.MissingRuns, Gap{Stream: i, From: f.next, To: sent[i]})
		}
	}
	if s.mayMiss && s.fault == nil {
		err = nil
	}
	return got, err
}

// watch begins to measure the delay of each packet.
func (s *sink) watch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watching, s.fresh, s.delays = true, false, play.NewHistogram()
}

// delay ends that and tells the delays.
func (s *sink) delay() (Delay, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.watching {
		return Delay{}, fmt.Errorf("relayend: %s before %s", ActDelay, ActWatch)
	}
	s.watching = false
	h := s.delays
	return Delay{
		P50: h.Quantile(0.5), P90: h.Quantile(0.9), P99: h.Quantile(0.99), Max: h.Max(), Packets: h.Count(),
	}, s.fault
}

// got gives how many packets and body bytes have come.
func (s *sink) got() (packets, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.followers {
		packets += f.packets
		bytes += f.bytes
	}
	return packets, bytes
}

// checking is the processor time that the looks have used.
func (s *sink) checking() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.check
}

// logs is the memory of all streams' packets, in bytes.
func (s *sink) logs() (sum int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.followers {
		if f.live != nil {
			sum += f.live.Log().Size()
		}
	}
	return sum
}
