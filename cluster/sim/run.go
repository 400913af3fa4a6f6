package sim

import (
	"fmt"
	"strings"
	"time"
)

// Result is what has become of a run.
type Result struct {
	Seed     uint64
	Nodes    int
	Events   int
	Commands int
	// Failure is what must not have happened, "" if nothing did.
	Failure string
	// Trace is what happened before, one line each.
	Trace string
	// FastPath is how long the streams of the node that was killed in a calm
	// cluster had no other owner, 0 if none was killed; Elected says that it led.
	FastPath time.Duration
	Elected  bool
	// Recovery is how long after the end of all faults each stream that somebody
	// publishes had a living owner that got it, and a standby.
	Recovery time.Duration
	// Takeovers are the streams that their standby has taken over. Lax are those whose
	// owner had gone on without it. Relieved are those of Takeovers that were for the
	// sake of loads.
	Takeovers, Lax, Relieved int
}

// What recovery may take.
const (
	// FastLimit is from the end of an owner's process to another owner, while all
	// else is well; a leader that has to be elected takes ElectionLimit more.
	FastLimit     = 3 * time.Second
	ElectionLimit = 5 * time.Second
	// RecoveryLimit is from the end of all faults: an election, a lease, a
	// publisher that comes back, a standby that is chosen and follows.
	RecoveryLimit = ElectionLimit + leaseTerm + 10*time.Second
	// steady is how long all must be well to be called so.
	steady = 4 * time.Second
	// settleTime is how long a stream may take to have a standby in sync once balance
	// has moved it.
	settleTime = 5 * time.Second
)

// Run runs one seed; if it finds something, once more to tell the story.
func Run(seed uint64, rules Rules) Result {
	r := run(seed, rules)
	if r.Failure != "" && !rules.Story {
		rules.Story = true
		return run(seed, rules)
	}
	return r
}

func run(seed uint64, rules Rules) Result {
	w := newWorld(seed, rules)
	r := Result{Seed: seed, Nodes: len(w.nodes)}
	w.begin()
	w.runTo(calmUntil)
	if w.rng.IntN(2) == 0 {
		w.measureFast(&r)
	}
	w.runTo(killUntil)
	w.makeFaults()
	w.runTo(faultsUntil)
	w.healAll()
	w.recover(&r)
	if w.failure == "" {
		w.check.end()
	}
	r.Events, r.Commands, r.Failure = w.ran, w.commands, w.failure
	r.Takeovers, r.Lax, r.Relieved = w.takeovers, w.lax, w.relieved
	r.Trace = w.story()
	return r
}

func (w *world) story() string {
	var b strings.Builder
	if w.dropped > 0 {
		fmt.Fprintf(&b, "(%d lines before)\n", w.dropped)
	}
	b.WriteString(strings.Join(w.lines, "\n"))
	return b.String()
}

// measureFast kills the owner of a stream in sync, and waits for the other one.
func (w *world) measureFast(r *Result) {
	owner := w.ownerInSync()
	if owner == nil || !owner.up {
		return
	}
	r.Elected = owner.lead != nil
	w.trace("%s is killed, all else is well (it led: %t)", owner, r.Elected)
	waits := w.check.inSyncOf(owner)
	killed := w.now
	owner.kill()
	owner.troubled = w.now
	limit := FastLimit
	if r.Elected {
		limit += ElectionLimit
	}
	for _, i := range waits {
		h := &w.check.streams[i]
		for h.now.Owner == owner.id && w.now < killed+limit && w.failure == "" {
			w.runTo(w.now + 10*time.Millisecond)
		}
		if h.now.Owner == owner.id || h.now.Orphan() {
			w.fail("%s: no other owner %s after its own was killed: %+v", w.streams[i].key, limit, h.now)
		}
		r.FastPath = max(r.FastPath, h.moved-killed)
	}
	w.at(w.now+w.within(killUntil-w.now), func() { w.restart(owner) })
}

// ownerInSync is the owner of any stream whose standby is in sync; nil: there is none.
func (w *world) ownerInSync() (owner *node) {
	for i := range w.check.streams {
		if h := &w.check.streams[i]; h.placed && h.now.InSync {
			owner = w.byID[h.now.Owner]
		}
	}
	return owner
}

// recover waits until everything is well and stays so.
func (w *world) recover(r *Result) {
	last, why := w.now, "it has just begun"
	for began := w.now; w.failure == ""; w.runTo(w.now + 100*time.Millisecond) {
		if wrong := w.wrong(); wrong != "" {
			last, why = w.now, wrong
		}
		r.Recovery = last - began
		switch {
		case r.Recovery > RecoveryLimit:
			w.fail("%s after all faults: %s", r.Recovery, why)
		case w.now-last > steady:
			return
		}
	}
}

// wrong says what is not well; "" if all is.
func (w *world) wrong() string {
	fit := 0
	for _, n := range w.origins {
		if n.up && !w.check.drains(n) {
			fit++
		}
	}
	for _, st := range w.streams {
		if !st.live {
			continue
		}
		wrong := w.wrongOwner(st)
		if wrong == "" && fit >= 2 && !w.settles(st) {
			wrong = w.wrongStandby(st)
		}
		if wrong != "" {
			return fmt.Sprintf("%s: %s", st.key, wrong)
		}
	}
	return ""
}

// settles reports whether a stream was given another owner or standby for the sake of
// loads just now.
func (w *world) settles(st *stream) bool {
	h := &w.check.streams[st.index]
	return h.eased > 0 && w.now-h.eased < settleTime
}

func (w *world) wrongOwner(st *stream) string {
	p := w.check.streams[st.index].now
	owner := w.byID[p.Owner]
	if owner == nil {
		return fmt.Sprintf("no owner: %+v", p)
	}
	s := owner.sessions[st.index]
	switch {
	case !owner.up || s == nil || s.epoch != p.Epoch:
		return fmt.Sprintf("its owner %s (up: %t) does not have it in epoch %d", owner, owner.up, p.Epoch)
	case w.now-s.fed > silentAfter:
		return fmt.Sprintf("its owner %s gets no media, the publisher is at %v", owner, st.at)
	}
	return ""
}

func (w *world) wrongStandby(st *stream) string {
	p := w.check.streams[st.index].now
	owner, standby := w.byID[p.Owner], w.byID[p.Standby]
	switch {
	case standby == nil || !standby.up || standby == owner:
		return fmt.Sprintf("no standby that lives: %+v", p)
	case !p.InSync:
		s := owner.sessions[st.index]
		return fmt.Sprintf("its standby %s is not in sync with %s: %d of %d records, subscribed: %t, gated: %t, degraded: %t",
			standby, owner, s.acked, s.records, s.life != 0, s.gated, s.degraded)
	}
	return ""
}
