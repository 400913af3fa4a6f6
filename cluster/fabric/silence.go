package fabric

import (
	"context"
	"fmt"
	"time"
)

// A peer that vanishes says nothing. QUIC would wait for it for the idle timeout,
// and give its session to all who ask meanwhile; so the fabric looks itself whether
// something comes, which of a living peer it does at least every keep-alive.

// pulse is when something last came on a session. It belongs to the goroutine
// that watches.
type pulse struct {
	packets uint64    // that had come
	at      time.Time // when they were more than before; zero: not looked at yet
	looked  time.Time // of a quiet session
}

// beat notes how many packets have come, and gives the time since there were more.
func (p *pulse) beat(packets uint64, now time.Time) time.Duration {
	if packets != p.packets || p.at.IsZero() {
		p.packets, p.at = packets, now
	}
	return now.Sub(p.at)
}

// watchSilence ends the sessions from which nothing comes any more, until ctx
// ends. Time in which this process itself did not run counts for nobody: what the
// others have said is still to be read.
func (f *Fabric) watchSilence(ctx context.Context) {
	every := f.timing.silence / silenceLooks
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	pulses, last := map[*Session]*pulse{}, time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := time.Now()
		stood := now.Sub(last) - every
		last = now
		if stood < every {
			stood = 0
		}
		pulses = f.listen(pulses, now, stood)
	}
}

// silenceLooks is how often in the time of a silence it is looked for: a peer is
// given up at most one such part later.
const silenceLooks = 7

// listen looks at all sessions once. stood is how long this process did not run.
func (f *Fabric) listen(before map[*Session]*pulse, now time.Time, stood time.Duration) map[*Session]*pulse {
	f.mu.Lock()
	open := f.sessions()
	f.mu.Unlock()
	pulses := make(map[*Session]*pulse, len(open))
	for _, s := range open {
		p := before[s]
		if p == nil {
			p = &pulse{}
		}
		pulses[s] = p
		if !p.at.IsZero() {
			p.at = p.at.Add(stood)
		}
		if s.quiet && now.Sub(p.looked) < quietLook {
			continue
		}
		p.looked = now
		stats := s.conn.ConnectionStats()
		limit := max(f.silenceOf(s), rttsOfSilence*stats.SmoothedRTT)
		if silent := p.beat(stats.PacketsReceived, now); silent > limit && s.Context().Err() == nil {
			f.metrics.silent.Inc()
			s.Close(CodeSilent, fmt.Sprintf("silent for %s, the limit is %s",
				silent.Round(time.Millisecond), limit.Round(time.Millisecond)))
		}
	}
	return pulses
}

// quietLook is the least time between two looks at a quiet session: there may be a
// thousand.
const quietLook = 500 * time.Millisecond

// silenceOf is how long nothing may come on a session, if the way is short.
func (f *Fabric) silenceOf(s *Session) time.Duration {
	if s.quiet {
		return f.timing.quietSilence
	}
	return f.timing.silence
}

// rttsOfSilence keeps very long ways from being taken for silence: a keep-alive
// waits for one and a half round trips, then it has to go there and back.
const rttsOfSilence = 4
