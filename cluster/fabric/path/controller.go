package path

import "time"

// Mode is what a direction is in.
type Mode string

// The modes. Only coding costs anything.
const (
	ModeNear    Mode = "near"    // the round trip is short: QUIC's own recovery is quick enough
	ModeLight   Mode = "light"   // too little is sent for it to matter
	ModeProbing Mode = "probing" // the other end is asked whether it understands
	ModeCoding  Mode = "coding"  // packets are numbered, repaired and sent again
	ModeClean   Mode = "clean"   // nothing was lost for long
	ModeDeaf    Mode = "deaf"    // the other end does not answer
)

// Link is what QUIC knows about a direction.
type Link struct {
	Shortest, RoundTrip time.Duration // of its connections: the least of all times, and the smoothed one
	Sent, Lost, Bytes   uint64        // packets, and bytes of these, since the last time
}

// Controller decides about one direction, at its sending end. It has one owner.
type Controller struct {
	force  bool // always code
	mode   Mode
	since  time.Duration // in this mode
	probed time.Duration // when the last probe was sent
	probes int           // sent in this mode
	clean  time.Duration // without loss until coding ends
	heavy  time.Duration // when enough was sent for the last time
	lostAt time.Duration // when something was lost for the last time
	sent   float64       // of late, by QUIC, and
	lost   float64       // lost
	last   Report
	lastAt time.Duration
	loss   float64 // of sources; of late
	run    float64 // lost in a row, on average
	rate   float64 // sources a second
	round  time.Duration
	queue  time.Duration
	jammed bool // losses come with a queue
}

// NewController begins at now. With force the other end need only answer.
func NewController(now time.Duration, force bool) *Controller {
	return &Controller{
		force: force, mode: ModeLight, since: now, clean: firstClean, heavy: now, run: 1, lastAt: now,
	}
}

// Mode is the one in force.
func (c *Controller) Mode() Mode { return c.mode }

// Loss is the share of packets lost of late: of sources while coding, else what QUIC has seen.
func (c *Controller) Loss() float64 {
	if c.mode == ModeCoding || c.sent == 0 {
		return c.loss
	}
	return c.lost / c.sent
}

// RoundTrip is the smoothed one; 0: unknown.
func (c *Controller) RoundTrip() time.Duration { return c.round }

// Queue is how much longer than at best packets are under way, and whether they
// are lost because of it.
func (c *Controller) Queue() (standing time.Duration, congested bool) { return c.queue, c.jammed }

func (c *Controller) enter(now time.Duration, m Mode) {
	c.mode, c.since, c.probes = m, now, 0
}

// Observe takes what QUIC knows, every [ObservePause].
func (c *Controller) Observe(now time.Duration, l Link) {
	c.sent, c.lost = c.sent*observeFade+float64(l.Sent), c.lost*observeFade+float64(l.Lost)
	if c.mode != ModeCoding || c.round == 0 {
		c.round = l.RoundTrip
	}
	if l.Bytes >= heavyBytes && l.Bytes >= l.Sent*heavyPacket {
		c.heavy = now
	}
	switch {
	case c.force:
		if c.mode == ModeLight {
			c.enter(now, ModeProbing)
		}
	case l.Shortest < NearRoundTrip:
		c.enter(now, ModeNear)
	case now-c.heavy > lightSpell:
		c.enter(now, ModeLight)
	default:
		c.far(now)
	}
}

// far decides about a long path on which enough is sent.
func (c *Controller) far(now time.Duration) {
	switch c.mode {
	case ModeNear, ModeLight:
		c.enter(now, ModeProbing)
	case ModeClean:
		if c.lost >= dirtyLost && c.lost >= c.sent*dirtyShare {
			c.clean = min(2*c.clean, lastClean)
			c.enter(now, ModeProbing)
		}
	case ModeDeaf:
		if now-c.since > deafSpell {
			c.enter(now, ModeProbing)
		}
	case ModeCoding:
		if now-max(c.lostAt, c.since) > c.clean {
			c.enter(now, ModeClean)
		}
	case ModeProbing:
	}
}

// Probe reports whether a probe is to be sent now.
func (c *Controller) Probe(now time.Duration) bool {
	if c.mode != ModeProbing || c.probes > 0 && now-c.probed < probePause+c.round {
		return false
	}
	if c.probes == maxProbes {
		c.enter(now, ModeDeaf)
		return false
	}
	c.probes++
	c.probed = now
	return true
}

// Answered takes the answer to a probe; true: coding begins, with the source first.
func (c *Controller) Answered(now time.Duration, first Seq) bool {
	if c.mode != ModeProbing || c.probes == 0 {
		return false
	}
	c.enter(now, ModeCoding)
	c.last, c.lastAt = Report{Top: first}, now
	return true
}

// Gone says that coding has ended, because what answered is gone: it is asked again.
func (c *Controller) Gone(now time.Duration) {
	if c.mode == ModeCoding {
		c.enter(now, ModeProbing)
	}
}

// Refused says that this end has no memory to code with.
func (c *Controller) Refused(now time.Duration) { c.enter(now, ModeDeaf) }

// Silent reports whether the other end has not reported for so long that it may
// not take what is sent any more; next is the source to come.
func (c *Controller) Silent(now time.Duration, next Seq) bool {
	return c.mode == ModeCoding && next != c.last.Top && now-max(c.lastAt, c.since) > max(silence, 4*c.round)
}

// Reported takes a report and gives how strong to code and how long to keep sources.
func (c *Controller) Reported(now time.Duration, r Report) (parity float64, keep time.Duration) {
	if trip := Ticks(now).Sub(r.Echo) - r.Held.Sub(0); trip >= 0 {
		c.round += (trip - c.round) / 8
	}
	received, lost := r.Received-c.last.Received, r.Lost-c.last.Lost
	crowded := min(r.Crowded-c.last.Crowded, lost)
	spell := now - c.lastAt
	if n := float64(received) + float64(lost); n > 0 && n < maxJump && spell > 0 {
		c.weigh(n, float64(lost-crowded), float64(r.Runs-c.last.Runs), spell)
	}
	if lost > 0 {
		c.lostAt = now
	}
	c.queue, c.jammed = r.Queue.Sub(0), r.Congested
	c.last, c.lastAt = r, now
	return c.strength(r), keepTrips*c.round + keepMargin
}

// weigh takes n sources into the averages; those of losses leave out congestion.
func (c *Controller) weigh(n, lost, runs float64, spell time.Duration) {
	part := min(n/lossSources, 0.5)
	c.rate += (n/spell.Seconds() - c.rate) * min(spell.Seconds()/2, 0.5)
	share := lost / n
	if share > c.loss && c.run <= burstRun {
		part = min(2*part, 0.5) // up quicker than down; where runs are lost, shares leap all the time
	}
	c.loss += (share - c.loss) * part
	if runs >= 1 && lost >= runs {
		c.run += (lost/runs - c.run) / 8
	}
}

// strength gives the combinations for each source: by the share that is lost,
// and so that a run of the usual length is repaired within burstTime, as far as
// what is sent again leaves room for it.
func (c *Controller) strength(r Report) float64 {
	if r.Congested {
		return 0
	}
	parity := minParity + parityOfLoss*c.loss
	if within := c.rate * burstTime.Seconds(); c.run > burstRun && within > 0 {
		parity = max(minParity+parityOfRuns*c.loss, min(c.loss/2+c.run/within, burstShare-runsTaken*c.loss))
	}
	return min(parity, maxParity)
}
