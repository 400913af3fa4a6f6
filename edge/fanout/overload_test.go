package fanout

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"tmms/cluster/relay"
	"tmms/media"
)

// toll is a socket whose sends take time by the engine's clock.
type toll struct {
	discard

	crowd *crowd
	turns []time.Duration // loop times of its sends
}

func (c *toll) SendLater(b []byte, to Completion) {
	c.crowd.work += c.crowd.cost
	c.crowd.queued++
	c.turns = append(c.turns, c.crowd.now)
	c.discard.SendLater(b, to)
}

// crowd is viewers whose flush takes longer than there is time for.
type crowd struct {
	*rig

	pub     *publisher
	cost    time.Duration // of a send
	work    time.Duration // time spent in sends
	queued  int           // sends since the last submit
	conns   []*toll
	viewers []*fakeSink
}

func newCrowd(t *testing.T, cost time.Duration) *crowd {
	t.Helper()
	hub := relay.NewHub()
	c := &crowd{pub: publish(t, hub).headers(), cost: cost}
	c.pub.size = 100
	c.pub.group()
	c.rig = newRig(t, hub)
	c.e = New(Config{Hub: hub, Submit: func() { c.queued = 0 }})
	c.e.clock = func() time.Time { return time.Unix(0, 0).Add(c.now + c.work) }
	return c
}

func (c *crowd) join(opt Options) {
	c.t.Helper()
	s := &fakeSink{}
	conn := &toll{crowd: c}
	if err := c.e.Attach(&s.v, conn, s, opt, c.now); err != nil {
		c.t.Fatal(err)
	}
	c.viewers, c.conns = append(c.viewers, s), append(c.conns, conn)
}

// tick lets the time of a loop that is never idle pass: a tick begins when the
// one before is over, and packets come all the time.
func (c *crowd) tick() {
	c.t.Helper()
	before := c.work
	c.pub.all = nil
	c.pub.frame(c.pub.dts%1000 == 0)
	c.e.OnTick(c.now)
	took := c.work - before
	if took > slotTime+slotLook*c.cost {
		c.t.Fatalf("the flush of a tick took %v, its budget is %v", took, slotTime)
	}
	if c.queued != 0 {
		c.t.Fatalf("%d sends of the batch are not submitted at the end of the tick", c.queued)
	}
	c.now += max(Tick, took.Truncate(Tick)+Tick)
	c.work = 0
}

// The flush of a tick ends when its time is up, in the middle of a slot too. All
// have their turns one after the other, none twice in T, none less often than
// the others, whatever class they are of.
func TestFlushIsBoundedInTime(t *testing.T) {
	for _, each := range []int{1, 7, 500} { // viewers of a bucket: formats and slots make many of few
		t.Run(strconv.Itoa(each), func(t *testing.T) {
			c := newCrowd(t, 200*time.Microsecond)
			for i := range 2000 {
				opt := options([]Format{FLV, RTMP, WebSocket}[i%3])
				switch each {
				case 1: // three classes beside each other
					opt.Flush = []time.Duration{8 * Tick, 20 * Tick, 40 * Tick}[i%3]
				case 500:
					opt.Format, opt.Flush = FLV, 4*Tick
				}
				c.join(opt)
			}
			for range 10 { // they get what they join with
				c.tick()
			}
			for _, conn := range c.conns {
				conn.turns = nil
			}
			for start := c.now; c.now < start+10*time.Second; {
				c.tick()
			}
			fewest, most := map[time.Duration]int{}, map[time.Duration]int{}
			for i, conn := range c.conns {
				opt, n := c.viewers[i].v.Options(), len(conn.turns)
				if _, ok := fewest[opt.Flush]; !ok {
					fewest[opt.Flush] = n
				}
				fewest[opt.Flush], most[opt.Flush] = min(fewest[opt.Flush], n), max(most[opt.Flush], n)
				if again := hasty(conn.turns, opt.Flush); again > 0 {
					t.Fatalf("viewer %d had a turn again after %v, T is %v", i, again, opt.Flush)
				}
				if c.viewers[i].leaves > 0 {
					t.Fatalf("viewer %d has left: %v", i, c.viewers[i].left)
				}
			}
			for flush, n := range fewest { // 2000 sends take 400 ms and more
				if n < 5 || most[flush]-n > 1+most[flush]/10 {
					t.Errorf("T %v: %d to %d turns in 10 s", flush, n, most[flush])
				}
			}
		})
	}
}

// hasty is the shortest time between two turns if that is shorter than T; under
// so much load each comes far later than that.
func hasty(turns []time.Duration, flush time.Duration) time.Duration {
	for i, at := range turns[min(1, len(turns)):] {
		if gap := at - turns[i]; gap < flush {
			return max(gap, 1)
		}
	}
	return 0
}

// What was left of the due slots comes first in the next tick, in their order,
// and what is due then behind it.
func TestRestOfASlotComesFirst(t *testing.T) {
	c := newCrowd(t, time.Millisecond)
	for range 300 {
		opt := options(FLV)
		opt.Flush = 2 * Tick
		c.join(opt)
	}
	for range 10 {
		c.tick()
	}
	var order []int // of the viewers' turns
	for range 60 {
		for _, conn := range c.conns {
			conn.turns = nil
		}
		c.tick()
		var some []int
		for i, conn := range c.conns {
			if len(conn.turns) > 0 {
				some = append(some, i)
			}
		}
		slices.Reverse(some) // as a slot is flushed
		order = append(order, some...)
	}
	last := map[int]int{}
	for at, i := range order {
		if before, ok := last[i]; ok && at-before < 300-2*slotLook {
			t.Fatalf("viewer %d had a turn again after those of %d others", i, at-before)
		}
		last[i] = at
	}
	if len(last) != 300 {
		t.Errorf("%d viewers had turns, want 300", len(last))
	}
}

// Viewers come, leave and change their place in the middle of a slot's flush;
// those who stay have their turns.
func TestNobodyIsLeftOutOfARest(t *testing.T) {
	c := newCrowd(t, 200*time.Microsecond)
	rng := rand.New(rand.NewPCG(1, 2))
	opt := func() Options {
		o := options([]Format{FLV, RTMP, WebSocket}[rng.IntN(3)])
		o.Flush = []time.Duration{4 * Tick, 8 * Tick}[rng.IntN(2)]
		return o
	}
	for range 1000 {
		c.join(opt())
	}
	since := c.now
	for round := range 400 {
		c.tick()
		for range 3 {
			if i := rng.IntN(len(c.viewers)); i >= 200 { // the first ones stay
				c.viewers[i].v.Detach()
			}
			c.join(opt())
		}
		if round%80 != 79 {
			continue
		}
		for i, conn := range c.conns[:200] {
			if n := len(conn.turns); n == 0 || conn.turns[n-1] < since {
				t.Fatalf("round %d: viewer %d had no turn since %v, it is %v", round, i, since, c.now)
			}
		}
		since = c.now
	}
}

// Large turns count as several, and a crowd that joins at once does so over
// several ticks: neither makes a tick long.
func TestLargeTurnsAreBoundedInTime(t *testing.T) {
	c := newCrowd(t, 0)
	var spent time.Duration // per byte, and per join
	c.e.clock = func() time.Time { return time.Unix(0, 0).Add(c.now + spent) }
	sinks := make([]*heavy, 3000)
	for i := range sinks {
		sinks[i] = &heavy{spent: &spent}
		opt := options(FLV)
		opt.Flush, opt.Key.Stream = Tick, "later"
		if err := c.e.Attach(&sinks[i].v, sinks[i], sinks[i], opt, c.now); err != nil {
			t.Fatal(err)
		}
	}
	run := func(ticks int) (most time.Duration) {
		for range ticks {
			before := spent
			c.now += Tick
			c.e.OnTick(c.now)
			most = max(most, spent-before)
		}
		return most
	}
	run(3)
	w, err := c.hub.Publish(media.StreamKey{Domain: "default", App: "live", Stream: "later"}, 8, relay.LiveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.End()
	p := &publisher{t: t, w: w, id: media.PacketID{Epoch: 8}, size: 20_000}
	p.headers().frame(true)
	// What they begin with, a keyframe of 100 KB, goes out behind the slots.
	const begin = backlogTime + backlogLook*heavyByte*110_000
	if most := run(200); most > slotTime+2*heavyJoin*slotLook/joinTurns+begin {
		t.Errorf("a tick of joins took %v", most)
	}
	for i, s := range sinks {
		if s.joined != 1 || s.sent == 0 {
			t.Fatalf("viewer %d joined %d times and got %d bytes", i, s.joined, s.sent)
		}
	}
	for range 5 {
		p.frame(false)
	}
	before := sinks[0].sent
	// 100 KB take 1 ms: 3000 of them take 3 s.
	if most := run(1); most > slotTime+2*heavyByte*slotLook*turnBytes {
		t.Errorf("a tick of large turns took %v", most)
	}
	run(600)
	for i, s := range sinks {
		if s.sent == before {
			t.Fatalf("viewer %d got nothing of it", i)
		}
	}
}

// What a heavy viewer costs.
const (
	heavyByte = 10 * time.Nanosecond
	heavyJoin = 100 * time.Microsecond
)

// heavy is a viewer whose bytes and whose join take time.
type heavy struct {
	v      Viewer
	spent  *time.Duration
	joined int
	sent   int
}

func (h *heavy) OnJoin()                    { h.joined++; *h.spent += heavyJoin }
func (h *heavy) OnLeave(error)              {}
func (h *heavy) SendControl() (bool, error) { return true, nil }

func (h *heavy) Send(b []byte) (int, error) {
	h.sent += len(b)
	*h.spent += time.Duration(len(b)) * heavyByte
	return len(b), nil
}

func (h *heavy) SendLater(b []byte, to Completion) {
	n, err := h.Send(b)
	to.OnSent(n, len(b), err)
}
