package admin

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Text is the reply in words, a fact a line. It holds what peers call themselves:
// who prints it to a terminal has to clean it.
func (w *WhyReply) Text() []string {
	t := whyText{w: w}
	state := "is not playing"
	if w.Playing {
		state = "is playing"
	}
	t.say("%s %s", w.Key, state)
	for _, p := range w.Problems {
		t.say("  problem: %s", p)
	}
	t.match()
	t.placement()
	for i := range w.Nodes {
		t.node(&w.Nodes[i])
	}
	if len(w.Incomplete) > 0 {
		t.say("no answer from: %s", strings.Join(w.Incomplete, ", "))
	}
	return t.lines
}

type whyText struct {
	w     *WhyReply
	lines []string
}

func (t *whyText) say(format string, args ...any) {
	t.lines = append(t.lines, fmt.Sprintf(format, args...))
}

// match says which domain and app it is.
func (t *whyText) match() {
	w := t.w
	how := map[string]string{
		"name": "by its name", "alias": "by an alias", "suffix": "by a suffix", "default": "as the default",
	}[w.Match]
	switch {
	case w.Domain == "":
	case w.App == "":
		t.say("domain %s, %s; app: none", w.Domain, how)
	default:
		hls := "off"
		if w.HLS {
			hls = "on"
		}
		t.say("domain %s, %s; app %s: HLS %s, kept for %s without a publisher", w.Domain, how, w.App, hls, ms(w.GraceMS))
	}
}

func (t *whyText) placement() {
	p := t.w.Placement
	switch {
	case p == nil:
		t.say("placement: none")
	case p.Owner == "":
		t.say("placement: an orphan since %s, last at %s in epoch %d", stamp(p.LostAt), orUnknown(p.LostBy), p.Epoch)
	default:
		standby := "no standby"
		if p.Standby != "" {
			standby = "standby " + p.Standby + ", not in sync yet"
			if p.InSync {
				standby = "standby " + p.Standby + " in sync"
			}
		}
		name := p.OwnerName
		if name == "" {
			name = p.Owner
		}
		t.say("placement: owner %s (%s), epoch %d, since %s (%s), %s", name, orUnknown(p.OwnerState), p.Epoch,
			stamp(p.Since), since(t.w.At, p.Since), standby)
		if len(p.Draining) > 0 {
			t.say("  being drained: %s", strings.Join(p.Draining, ", "))
		}
	}
}

func (t *whyText) node(n *NodeWhy) {
	role := ""
	if t.w.Placement != nil && n.ID == t.w.Placement.Owner {
		role = " (owner)"
	}
	t.say("%s%s:", n.Name, role)
	if s := n.Stream; s != nil {
		t.stream(s)
	}
	if s := n.Standby; s != nil {
		in := "not in sync"
		if s.InSync {
			in = "in sync"
		}
		t.say("  standby %s: %s, %.0f ms behind", s.Node, in, s.BehindMS)
	}
	for _, s := range n.Subscriptions {
		t.subscription(s)
	}
	if n.Pull != nil {
		t.pull(n.Pull)
	}
	for _, p := range n.Peers {
		t.peer(p)
	}
	if total(n.Viewers) > 0 {
		t.say("  viewers: %s", byProto(n.Viewers))
	} else if n.Stream == nil && n.Pull == nil && len(n.Subscriptions) == 0 {
		t.say("  has nothing of it")
	}
}

// stream is what the owner has.
func (t *whyText) stream(s *StreamInfo) {
	what := strings.Join(s.Codecs, " ")
	if s.Width > 0 {
		what += fmt.Sprintf(" %dx%d", s.Width, s.Height)
	}
	if s.FPS > 0 {
		what += fmt.Sprintf(" at %.4g fps", s.FPS)
	}
	t.say("  %s for %s, epoch %d, run %d%s", s.State, seconds(s.UptimeSeconds), s.Epoch, s.Run, before(": ", what))
	if p := s.Publisher; p != nil {
		t.say("  publisher %s%s since %s, %s",
			p.Remote, before(" with ", p.Encoder), stamp(p.Since), rate(float64(p.BitrateBPS)))
	}
}

func (t *whyText) subscription(s SubscriptionWhy) {
	as, hls, behind := "", "", fmt.Sprintf("%.0f ms behind", s.BehindMS)
	switch {
	case s.Shield:
		as = " as a shield"
	case s.Standby:
		as = " as its standby"
	}
	if s.HLS {
		hls = ", HLS too"
	}
	if s.Pending {
		behind = "waits for its start"
	}
	t.say("  sends to %s%s since %s (protocol %d%s): %s", s.Node, as, stamp(s.Since), s.Version, hls, behind)
}

func (t *whyText) pull(p *PullWhy) {
	from := "pulls it from no node"
	if p.Source != "" {
		from = "pulls it from " + p.Source
		if p.Shield {
			from += ", a shield"
		}
	}
	t.say("  %s (%s)%s%s", from, p.State, before(": ", p.Reason), before("; also tried: ", p.Next))
	if p.Way != nil || p.Lag != nil {
		t.say("  hop %d: way %s, lag %s (protocol %d)", p.Hop, delay(p.Way), delay(p.Lag), p.Version)
	}
	if p.Interrupts+p.Hedges+p.Moves > 0 {
		last := ""
		if p.Error != "" {
			last = fmt.Sprintf("; the last at %s: %s", stamp(p.ErrorAt), p.Error)
		}
		t.say("  interruptions %d, hedges %d, moves %d%s", p.Interrupts, p.Hedges, p.Moves, last)
	}
	if len(p.Candidates) < 2 {
		return
	}
	all := make([]string, len(p.Candidates))
	for i, c := range p.Candidates {
		who := c.Node
		if c.Self {
			who += " (itself)"
		}
		if c.Owner {
			who += " (owner)"
		}
		all[i] = fmt.Sprintf("%s: %s", who, c.Verdict)
	}
	t.say("  could be asked: %s", strings.Join(all, "; "))
}

// delay puts a delay into words.
func delay(d *DelayWhy) string {
	switch {
	case d == nil:
		return "not measured yet"
	case !d.Corrected:
		return fmt.Sprintf("%.1f ms by clocks that were not compared", d.MS)
	}
	return fmt.Sprintf("%.1f ms ± %.1f", d.MS, d.BoundMS)
}

func (t *whyText) peer(p PeerWhy) {
	if !p.Connected {
		t.say("  way to %s: no session", p.Node)
		return
	}
	repair := "none"
	if r := p.Repair; r != nil {
		repair = fmt.Sprintf("%.2f %% of the packets, for %.1f %% more of them", 100*r.RepairedRatio, 100*r.OverheadRatio)
	}
	t.say("  way to %s: round trip %.1f ms, loss %.2f %%, in %s, out %s",
		p.Node, p.RTTMS, 100*p.Loss, rate(p.InBPS), rate(p.OutBPS))
	t.say("    repair: %s; groups given up: %d here, %d there", repair, p.GroupsReset, p.GroupsDropped)
}

// byProto renders viewers by protocol: "flv 2, hls 1".
func byProto(viewers map[string]int) string {
	var all []string
	for _, proto := range slices.Sorted(maps.Keys(viewers)) {
		if n := viewers[proto]; n > 0 {
			all = append(all, fmt.Sprintf("%s %d", proto, n))
		}
	}
	return strings.Join(all, ", ")
}

func rate(bps float64) string {
	if bps < 1e6 {
		return fmt.Sprintf("%.0f kbit/s", bps/1e3)
	}
	return fmt.Sprintf("%.2f Mbit/s", bps/1e6)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func ms(n int64) string { return (time.Duration(n) * time.Millisecond).String() }

func seconds(s float64) string { return (time.Duration(s) * time.Second).String() }

// since is how long ago something was.
func since(now, then time.Time) string { return now.Sub(then).Truncate(time.Second).String() }
