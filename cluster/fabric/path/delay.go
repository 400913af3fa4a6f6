package path

import "time"

// delay watches how much longer than at best packets are under way: random loss
// comes without a queue, congestion with one.
type delay struct {
	started bool
	origin  Tick          // of the two clocks to each other; samples are relative to it
	base    time.Duration // the least of the last periods
	next    time.Duration // the least of this one
	period  time.Duration // when it began

	// The queue is what a sample is above base.
	before, queue time.Duration // of the last two samples
	usual         time.Duration // mean
	behind        time.Duration // mean around gaps

	// A queue stands if even the least sample of an interval has one.
	low       time.Duration
	samples   int
	interval  time.Duration // when it began
	standing  time.Duration
	spells    int // intervals in a row with a queue; negative: without
	congested bool
}

// sample takes a source that came at now.
func (d *delay) sample(now time.Duration, sent Tick) {
	t := Ticks(now) - sent
	if !d.started {
		*d = delay{started: true, origin: t, period: now, interval: now}
	}
	v := t.Sub(d.origin)
	d.base, d.next = min(d.base, v), min(d.next, v)
	if now-d.period > basePeriod {
		d.base, d.next, d.period = d.next, v, now
	}
	d.before, d.queue = d.queue, v-d.base
	d.usual += (d.queue - d.usual) / usualFade
	if d.samples == 0 {
		d.low = v
	}
	d.low = min(d.low, v)
	d.samples++
	if now-d.interval > queueInterval && d.samples >= queueSamples {
		d.judge(d.low - d.base)
		d.interval, d.samples = now, 0
	}
}

// judge takes the least queue of an interval.
func (d *delay) judge(standing time.Duration) {
	d.standing = standing
	if standing > queueStands {
		d.spells = max(d.spells, 0) + 1
	} else {
		d.spells = min(d.spells, 0) - 1
	}
	if d.spells >= queueSpells {
		d.congested = true
	}
	if d.spells <= -calmSpells {
		d.congested = false
	}
}

// crowded tells whether the gap in front of the last source comes from a full
// queue: one stands, or gaps come with a longer queue than sources do, and this
// one did. What is dropped at the end of a burst shows in the source before it.
func (d *delay) crowded() bool {
	at := max(d.before, d.queue)
	d.behind += (at - d.behind) / behindFade
	if d.congested {
		return at > queueStands
	}
	return at > queueStands && 4*at > 3*d.behind && d.behind > d.usual+d.usual/4+queueMargin
}
