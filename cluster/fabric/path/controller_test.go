package path

import (
	"testing"
	"time"
)

// far is a second of 2,500 packets on a long path.
func far(lost uint64) Link {
	return Link{
		Shortest: 100 * time.Millisecond, RoundTrip: 101 * time.Millisecond, Sent: 500, Lost: lost, Bytes: 600_000,
	}
}

func TestAShortPathIsLeftAlone(t *testing.T) {
	c := NewController(0, false)
	l := far(50)
	l.Shortest = 2 * time.Millisecond
	for now := time.Duration(0); now < time.Minute; now += ObservePause {
		if c.Observe(now, l); c.Probe(now) || c.Mode() != ModeNear {
			t.Fatalf("%s: %s", now, c.Mode())
		}
	}
}

func TestAPathOnWhichLittleIsSentIsLeftAlone(t *testing.T) {
	c := NewController(0, false)
	acks := Link{Shortest: 100 * time.Millisecond, Sent: 500, Bytes: 500 * 50}
	for now := time.Duration(0); now < time.Minute; now += ObservePause {
		c.Observe(now, acks)
		if now > lightSpell && c.Mode() != ModeLight {
			t.Fatalf("%s: %s", now, c.Mode())
		}
	}
	if c.Observe(time.Minute, far(0)); c.Mode() != ModeProbing {
		t.Errorf("with media: %s", c.Mode())
	}
}

// coding brings a controller so far.
func coding(t *testing.T) (*Controller, time.Duration) {
	t.Helper()
	c, now := NewController(0, false), 10*time.Millisecond
	c.Observe(now, far(0))
	if !c.Probe(now) || c.Probe(now) {
		t.Fatal("one probe at a time")
	}
	if !c.Answered(now, 0) || c.Mode() != ModeCoding || c.Answered(now, 0) {
		t.Fatalf("answered, and %s", c.Mode())
	}
	return c, now
}

func TestALongPathIsCodedUntilItIsProvenClean(t *testing.T) {
	c, now := coding(t)
	var r Report
	for ; c.Mode() == ModeCoding && now < time.Minute; now += ObservePause {
		r.Received += 500
		c.Reported(now, r)
		c.Observe(now, far(0))
	}
	if c.Mode() != ModeClean || now < firstClean || now > firstClean+time.Second {
		t.Fatalf("%s at %s", c.Mode(), now)
	}
	for range 100 { // a packet now and then
		now += ObservePause
		c.Observe(now, far(0))
	}
	c.Observe(now, far(1))
	if c.Mode() != ModeClean {
		t.Errorf("one lost packet ends it: %s", c.Mode())
	}
	for range 20 {
		now += ObservePause
		c.Observe(now, far(1))
	}
	if c.Mode() != ModeProbing {
		t.Errorf("with 0.2 %% lost: %s", c.Mode())
	}
	if c.clean != 2*firstClean {
		t.Errorf("the next time it takes %s", c.clean)
	}
}

func TestAPeerThatDoesNotAnswerIsAskedSeldom(t *testing.T) {
	c, probes := NewController(0, false), 0
	for now := time.Duration(0); now < time.Minute; now += 5 * time.Millisecond {
		if now%ObservePause == 0 {
			c.Observe(now, far(5))
		}
		if c.Probe(now) {
			probes++
		}
	}
	if probes != 2*maxProbes {
		t.Errorf("%d probes in a minute, want %d", probes, 2*maxProbes)
	}
}

func TestAReceiverThatIsGoneIsNoticed(t *testing.T) {
	c, now := coding(t)
	if c.Silent(now+time.Minute, 0) {
		t.Error("nothing was sent, so nothing was to be reported")
	}
	if c.Silent(now+silence/2, 10) || !c.Silent(now+2*silence, 10) {
		t.Error("a second without a report")
	}
	if c.Gone(now); c.Mode() != ModeProbing {
		t.Errorf("then %s", c.Mode())
	}
}

func TestStrengthFollowsLossAndBursts(t *testing.T) {
	parity := func(lost, run, crowded uint32, congested bool) (p float64) {
		c, now := coding(t)
		var r Report
		for range 100 {
			now += reportPause
			r.Received += 200 - lost
			r.Lost += lost
			r.Runs += (lost + run - 1) / run
			r.Crowded += crowded
			r.Congested = congested
			p, _ = c.Reported(now, r)
		}
		return p
	}
	if p := parity(0, 1, 0, false); p != minParity {
		t.Errorf("without loss %.3f", p)
	}
	if p := parity(6, 1, 0, false); p < 0.06 || p > 0.09 {
		t.Errorf("with 3 %% at random %.3f", p)
	}
	// More than for the share alone, and less than for single losses: there is what is sent again.
	if p := parity(10, 10, 0, false); p < 0.07 || p > 0.09 {
		t.Errorf("with 5 %% in bursts of 10 %.3f", p)
	}
	if p := parity(100, 1, 0, false); p != maxParity {
		t.Errorf("with 50 %% %.3f", p)
	}
	if p := parity(20, 1, 20, false); p != minParity {
		t.Errorf("a full queue is no reason for repairs: %.3f", p)
	}
	if p := parity(20, 1, 0, true); p != 0 {
		t.Errorf("into a standing queue go none: %.3f", p)
	}
}
