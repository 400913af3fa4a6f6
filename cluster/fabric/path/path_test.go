package path

import (
	"testing"
	"time"

	"tmms/media"
)

func TestWithoutLossEveryPacketComesAtOnceAndInOrder(t *testing.T) {
	l := newLink(t, 1)
	l.run(3000, 500*time.Microsecond)
	if len(l.got) != 3000 || l.inversions() > 0 {
		t.Errorf("%d packets, %d behind later ones", len(l.got), l.inversions())
	}
	c := l.r.Counts(l.now)
	if c.Received != 3000 || c.Lost != 0 || c.Repaired != 0 || c.Resent != 0 {
		t.Errorf("counts %+v", c)
	}
}

// TestLossIsRepaired: a lost packet comes by a repair, in line, or by being sent again.
// Requirement: S13.
func TestLossIsRepaired(t *testing.T) {
	for _, c := range []struct {
		name   string
		share  float64
		burst  int
		parity float64
		hidden float64 // least share of the packets that come in line
	}{
		{"1 % at random", 0.01, 1, 0.05, 0.999},
		{"3 % at random", 0.03, 1, 0.08, 0.999},
		{"5 % at random", 0.05, 1, 0.13, 0.999},
		{"1 % in bursts of 10", 0.01, 10, 0.12, 0.99},
		{"3 % in bursts of 10", 0.03, 10, 0.15, 0.98},
		{"5 % in bursts of 10", 0.05, 10, 0.18, 0.95},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLink(t, 2)
			l.bursts(c.share, c.burst)
			l.s.Strength(c.parity, time.Second)
			const n = 8000
			l.run(n, 500*time.Microsecond)
			counts := l.r.Counts(l.now)
			if len(l.got)+int(counts.Unrepaired) < n || counts.Unrepaired > 10 {
				t.Errorf("%d of %d packets came; %+v", len(l.got), n, counts)
			}
			if counts.Repaired == 0 || counts.Lost != counts.Repaired+counts.Resent+counts.Unrepaired {
				t.Errorf("the counts do not add up: %+v", counts)
			}
			if late := l.inversions(); float64(late) > (1-c.hidden)*n {
				t.Errorf("%d packets came behind later ones", late)
			}
			sent := l.s.Counts()
			if extra := float64(sent.Repairs) / n; extra > c.parity+firstParity*4000/n+0.05 {
				t.Errorf("%d repairs for %d packets, wanted %.2f each", sent.Repairs, n, c.parity)
			}
		})
	}
}

// TestRepairsAloneGiveWhatTheyCan: as many repairs as sources are missing are enough.
func TestRepairsAloneGiveWhatTheyCan(t *testing.T) {
	l := newLink(t, 3)
	l.noRequest = true
	l.s.Strength(0.18, time.Second)
	sent := 0
	l.lose = func() bool { sent++; return sent > 100 && sent <= 120 } // 20 in a row, with repairs among them
	l.run(1000, 500*time.Microsecond)
	c := l.r.Counts(l.now)
	if len(l.got) != 1000 || c.Repaired == 0 || c.Resent != 0 {
		t.Errorf("%d packets; %+v", len(l.got), c)
	}
}

func TestReorderedAndDoubledPacketsAreGivenOnceAndInOrder(t *testing.T) {
	l := newLink(t, 4)
	l.jitter, l.double = 4*time.Millisecond, 0.2
	l.run(3000, 500*time.Microsecond)
	if c := l.r.Counts(l.now); len(l.got) != 3000 || l.inversions() > 0 || c.Unrepaired > 0 {
		t.Errorf("%d packets, %d behind later ones; %+v", len(l.got), l.inversions(), c)
	}
}

func TestTheLastPacketsAreRepairedToo(t *testing.T) {
	l := newLink(t, 5)
	l.noRequest = true
	sent := 0
	l.lose = func() bool { sent++; return sent == 20 }
	l.run(20, 100*time.Microsecond)
	if len(l.got) != 20 {
		t.Errorf("%d of 20 packets came", len(l.got))
	}
}

func TestALongOutageIsLeftToQUIC(t *testing.T) {
	l := newLink(t, 6)
	down := func() bool { return l.now > 2*time.Second && l.now < 3*time.Second }
	l.lose = down
	l.run(6000, 500*time.Microsecond)
	c := l.r.Counts(l.now)
	if c.Unrepaired < 1000 || len(l.got) < 3900 {
		t.Errorf("%d packets came; %+v", len(l.got), c)
	}
	last := l.order[len(l.order)-1]
	if last != 5999 {
		t.Errorf("the last packet is %d", last)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	budget := NewBudget(firstRing*vectorMemory + 100)
	s, ok := NewSender(0, 1, 0, budget)
	if !ok {
		t.Fatal("the budget has room for one")
	}
	if _, ok := NewReceiver(1, 0, budget); ok {
		t.Error("the budget has no room for a receiver")
	}
	for i := range 10 * firstRing {
		s.Source(time.Duration(i), []byte{1}, nil)
	}
	if len(s.ring) != firstRing {
		t.Errorf("the ring has %d places", len(s.ring))
	}
	s.Close()
	if budget.Used() != 0 {
		t.Errorf("%d bytes are not given back", budget.Used())
	}
	budget = NewBudget(64 << 20)
	s, _ = NewSender(0, 1, 0, budget)
	for i := range 3 * media.MaxFabricPathPackets {
		s.Source(time.Duration(i), []byte{1}, nil)
	}
	if len(s.ring) != media.MaxFabricPathPackets || budget.Used() != media.MaxFabricPathPackets*vectorMemory {
		t.Errorf("the ring has %d places and takes %d bytes", len(s.ring), budget.Used())
	}
}

// TestFullQueuesAreTold: what a queue drops is told to QUIC by marks, what is
// lost at random is not.
func TestFullQueuesAreTold(t *testing.T) {
	gap := func(d *delay, now *time.Duration, queue time.Duration) bool {
		*now += 500 * time.Microsecond
		d.sample(*now, Ticks(*now-50*time.Millisecond-queue))
		return d.crowded()
	}
	run := func(queueOf func(i int) time.Duration, isGap func(i int) bool) (crowded, gaps int) {
		d, now := &delay{}, time.Second
		for i := range 20000 {
			q := queueOf(i)
			if !isGap(i) {
				now += 500 * time.Microsecond
				d.sample(now, Ticks(now-50*time.Millisecond-q))
				continue
			}
			gaps++
			if gap(d, &now, q) {
				crowded++
			}
		}
		return crowded, gaps
	}
	saw := func(i int) time.Duration { return time.Duration(i%40) * 500 * time.Microsecond } // up to 20 ms
	if crowded, gaps := run(saw, func(i int) bool { return i%400 == 39 }); crowded < gaps/2 {
		t.Errorf("of %d gaps at the end of a queue %d were taken for its", gaps, crowded)
	}
	if crowded, gaps := run(saw, func(i int) bool { return i%397 == 0 }); crowded > gaps/10 {
		t.Errorf("of %d gaps at random %d were taken for a queue's", gaps, crowded)
	}
	flat := func(int) time.Duration { return 0 }
	if crowded, _ := run(flat, func(i int) bool { return i%50 == 0 }); crowded > 0 {
		t.Errorf("%d gaps without a queue were taken for one's", crowded)
	}
	standing := func(i int) time.Duration { // from the second half on
		if i < 10000 {
			return 0
		}
		return 15 * time.Millisecond
	}
	if crowded, _ := run(standing, func(i int) bool { return i > 12000 && i%50 == 0 }); crowded < 150 {
		t.Errorf("%d gaps of a standing queue were taken for its", crowded)
	}
}

// TestPacketsAreMarkedOrLeft: by a mark where QUIC heeds it, else a packet stays lost.
func TestPacketsAreMarkedOrLeft(t *testing.T) {
	for _, markable := range []bool{true, false} {
		r, _ := NewReceiver(1, 0, NewBudget(64<<20))
		r.delay.congested = true
		source := func(seq Seq, queue time.Duration) {
			now := time.Second + time.Duration(seq)*time.Millisecond
			b := append(Source{seq, Ticks(now - 50*time.Millisecond - queue)}.append(nil, KindSource, 1), 0x40)
			if err := r.Source(now, markable, b); err != nil {
				t.Fatal(err)
			}
		}
		source(0, 0)
		r.delay.congested = true
		source(5, 20*time.Millisecond)
		marked := 0
		for {
			_, mark, ok := r.Next(2 * time.Second)
			if !ok {
				break
			}
			if mark {
				marked++
			}
		}
		c := r.Counts(2 * time.Second)
		if markable && (marked != 1 || c.Unrepaired != 0) || !markable && (marked != 0 || c.Unrepaired != 4) || c.Crowded != 4 {
			t.Errorf("markable %v: %d marked, %+v", markable, marked, c)
		}
	}
}

func TestBurstsOfManyAreSpread(t *testing.T) {
	var p Pacer
	now, waited := time.Second, time.Duration(0)
	for range 80 { // 8 connections with 10 packets each, at one moment
		waited = max(waited, p.Sent(now, 1450))
	}
	if least := 30 * time.Millisecond; waited < least || waited > paceWait {
		t.Errorf("the last one waits %s, want %s to %s", waited, least, paceWait)
	}
	for range 40 { // 40 Mbit/s for 2 s: it does not hold back what goes on
		now += 50 * time.Millisecond
		p.Sent(now, 250_000)
	}
	now += 100 * time.Millisecond
	if waited := p.Sent(now, 1450); waited > 0 {
		t.Errorf("a packet waits %s behind a pause", waited)
	}
}

// FuzzReceiver feeds anything: nothing panics, and no more is held than may be.
func FuzzReceiver(f *testing.F) {
	for _, c := range wireCases() {
		f.Add(c.bytes, uint16(0))
	}
	f.Fuzz(func(t *testing.T, b []byte, step uint16) {
		r, _ := NewReceiver(1, 0, NewBudget(64<<20))
		now := time.Second
		for len(b) > 0 {
			n := min(len(b), 1+int(b[0])%64)
			now += time.Duration(step) * time.Microsecond
			p := make([]byte, n, 64)
			copy(p, b[:n])
			p[0] = byte(KindSource) + p[0]%3
			if Kind(p[0]) == KindRepair {
				_ = r.Repair(now, p)
			} else {
				_ = r.Source(now, b[0]&1 == 0, p)
			}
			for {
				if _, _, ok := r.Next(now); !ok {
					break
				}
			}
			r.Request(now, nil)
			r.Report(now, nil)
			b = b[n:]
			if len(r.holes) > maxHoles || len(r.decoder.rows) > maxTerms || len(r.late) > 0 {
				t.Fatalf("%d holes, %d rows, %d late", len(r.holes), len(r.decoder.rows), len(r.late))
			}
		}
	})
}
