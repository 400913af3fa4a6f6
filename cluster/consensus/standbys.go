package consensus

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"tmms/cluster/placement"
	"tmms/cluster/state"
	"tmms/media"
)

// standbyPause is how long a stream whose owner has taken its standby out has none:
// a node that could not keep up would not at once either.
const standbyPause = 10 * time.Second

// chosen is the last choice of a stream's standby.
type chosen struct {
	epoch uint64
	to    string
	at    time.Time
}

// chooseStandbys gives a standby to streams that have none, or one that goes: at most
// [media.MaxStandbyChoices] at a time, all of them in one wait for the disks.
func (l *leadership) chooseStandbys(now time.Time) error {
	if l.node.FeatureLevel() < levelStandbys {
		return nil
	}
	origins := l.origins(now)
	if len(origins) < 2 {
		return nil
	}
	var commands []state.Command
	for _, s := range l.without(origins, now) {
		if c, ok := l.choose(s, origins, now); ok {
			commands = append(commands, c)
		}
	}
	return l.all(commands)
}

// origins are the nodes that may own streams, by id, with what they have to do.
func (l *leadership) origins(now time.Time) map[string]*placement.Origin {
	all := map[string]*placement.Origin{}
	busy := map[string]Busy{}
	if l.node.busy != nil {
		busy = l.node.busy()
	}
	for _, n := range l.node.Nodes() {
		if isOrigin(n) {
			all[n.ID] = &placement.Origin{
				ID: n.ID, Region: n.Region, Zone: n.Zone, Load: busy[n.ID].Load, RTT: busy[n.ID].RTT,
				Draining: l.node.Draining(n.ID), Healthy: l.alive(n.ID, now) && !l.suspect(n.ID, now),
			}
		}
	}
	l.node.RangePlacements(func(_ media.StreamKey, p state.Placement) bool {
		for _, id := range []string{p.Owner, p.Standby} {
			if o := all[id]; o != nil {
				o.Streams++
			}
		}
		return true
	})
	return all
}

// without are streams that need a standby. It also forgets what was chosen for
// streams that are no more.
func (l *leadership) without(origins map[string]*placement.Origin, now time.Time) (streams []state.PlacedStream) {
	placed := make(map[media.StreamKey]chosen, len(l.standbys))
	l.node.RangePlacements(func(key media.StreamKey, p state.Placement) bool {
		last, known := l.standbys[key]
		if known = known && last.epoch == p.Epoch; known {
			placed[key] = last
		}
		standby := origins[p.Standby]
		settled := p.Standby != "" && standby != nil && !standby.Draining
		waits := p.Standby == "" && known && now.Sub(last.at) < standbyPause
		if len(streams) < media.MaxStandbyChoices && !p.Orphan() && !settled && !waits {
			streams = append(streams, state.PlacedStream{Key: key, Placement: p})
		}
		return true
	})
	l.standbys = placed
	return streams
}

// choose gives the command that gives a stream its standby; false: no other origin
// is fit for it.
func (l *leadership) choose(
	s state.PlacedStream, origins map[string]*placement.Origin, now time.Time,
) (c state.SetStandby, ok bool) {
	owner := origins[s.Owner]
	if owner == nil || !owner.Healthy {
		return c, false
	}
	former := l.standbys[s.Key].to // it could not keep up: another one, if there is one
	var others, all []placement.Origin
	for _, id := range slices.Sorted(maps.Keys(origins)) {
		if o := *origins[id]; id != s.Owner && id != s.Standby {
			all = append(all, o)
			if id != former {
				others = append(others, o)
			}
		}
	}
	to, ok := placement.Standby(*owner, others)
	if !ok {
		to, ok = placement.Standby(*owner, all)
	}
	if !ok {
		return c, false
	}
	l.standbys[s.Key] = chosen{s.Epoch, to, now}
	origins[to].Streams++
	return state.SetStandby{Key: state.Key(s.Key), Epoch: s.Epoch, From: s.Standby, To: to}, true
}

// all replicates commands, and waits for them together. What one of them refuses was
// decided otherwise meanwhile.
func (l *leadership) all(commands []state.Command) error {
	futures := make([]raft.ApplyFuture, 0, len(commands))
	var faults []error
	for _, c := range commands {
		b, err := state.Encode(c)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		futures = append(futures, l.raft.Apply(b, l.node.cfg.ApplyTimeout))
	}
	for _, f := range futures {
		faults = append(faults, f.Error())
	}
	return errors.Join(faults...)
}

// revive gives orphans whose standby is in sync to it, once that is there again: it
// was thought dead when their owner was.
func (l *leadership) revive(now time.Time) error {
	var commands []state.Command
	for _, p := range l.node.Orphans() {
		if !p.InSync || len(commands) == media.MaxStandbyChoices || l.node.Draining(p.Standby) ||
			l.suspect(p.Standby, now) || !l.alive(p.Standby, now) {
			continue
		}
		commands = append(commands, state.Move{
			Key: state.Key(p.Key), Epoch: p.Epoch, To: p.Standby, AtUnixMS: l.node.now().UnixMilli(),
		})
		l.node.log.Info("an orphan goes to its standby, which is there again",
			slog.String("stream", p.Key.String()), slog.String("node", p.Standby))
	}
	return l.all(commands)
}
