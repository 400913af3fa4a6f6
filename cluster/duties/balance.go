package duties

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"tmms/cluster/placement"
	"tmms/cluster/state"
	"tmms/media"
)

// Of the relief of an origin that has too much to do. Loads are told now and then and
// follow what was moved after seconds, so all of it is slow.
const (
	// overload is the load, 205 of 255, from which on an origin is relieved, once it
	// has had it for ReliefTime: a peak is none of the leader's business. Then it is
	// left alone for as long, as whoever has got something of it is, until their loads
	// have followed.
	overload   = 205
	ReliefTime = 10 * time.Second
	// reliefMargin is by how much less than that an origin has to do that is given
	// some of it: a quarter of the scale, or the two would change places.
	reliefMargin = 64
	// reliefShare is the part of its streams that an origin gives away at a time.
	reliefShare = 16
	// syncPatience is how long a standby that was chosen may take to be in sync, until
	// others are chosen beside it.
	syncPatience = 30 * time.Second
	// MoveRest is how long a stream stays where it is once its owner has changed, for
	// whatever reason.
	MoveRest = 10 * time.Minute
)

// relief is what the leader remembers of loads and moves.
type relief struct {
	time   time.Duration            // ReliefTime, shorter in tests
	above  map[string]time.Duration // since when an origin has had too much to do
	moved  map[string]time.Duration // when it last gave or got streams
	seen   map[media.StreamKey]sight
	chosen map[media.StreamKey]time.Duration // when a stream was given another standby for this
}

// sight is since when this leader knows an epoch of a stream. What was before its
// term it can't time, so each stream that has had another owner rests from its
// beginning on.
type sight struct {
	epoch uint64
	since time.Duration
	moved bool // it had another owner, or may have had one
}

func newRelief(t time.Duration) relief {
	return relief{
		time: cmp.Or(t, ReliefTime), above: map[string]time.Duration{}, moved: map[string]time.Duration{},
		seen: map[media.StreamKey]sight{}, chosen: map[media.StreamKey]time.Duration{},
	}
}

// Balance relieves origins that have too much to do: streams of theirs go to their
// standby in sync, where that has clearly less to do. Where they all have theirs on
// nodes that are as full, a few are given another standby, to be moved to it once it
// is in sync. An origin keeps its last stream, whose load would only go along.
func (d *Duties) Balance(m Moment) (moves []state.Move, choices []state.SetStandby) {
	d.relief.look(m)
	if m.View.FeatureLevel() < levelStandbys {
		return nil, nil
	}
	full := d.relief.full(m)
	if len(full) == 0 {
		return nil, nil
	}
	origins := m.origins()
	owned := m.ownedBy(full)
	for _, id := range full {
		from := origins[id]
		if from == nil || from.Draining || !from.Healthy || len(owned[id]) < 2 {
			continue
		}
		share := min(max(len(owned[id])/reliefShare, 1), media.MaxReliefMoves)
		given := d.relief.give(m, from, owned[id], origins, share)
		moves = append(moves, given...)
		if len(given) == 0 {
			choices = append(choices, d.redirect(m, from, owned[id], origins, share)...)
		}
	}
	return moves, choices
}

// look notes which origins have too much to do, and which epochs there are.
func (r *relief) look(m Moment) {
	above := map[string]time.Duration{}
	for id, b := range m.Busy {
		if b.Load < overload {
			continue
		}
		above[id] = m.Now
		if since, known := r.above[id]; known {
			above[id] = since
		}
	}
	r.above = above
	maps.DeleteFunc(r.moved, func(_ string, at time.Duration) bool { return m.Now-at >= r.time })
	maps.DeleteFunc(r.chosen, func(_ media.StreamKey, at time.Duration) bool { return m.Now-at >= MoveRest })
	seen := make(map[media.StreamKey]sight, len(r.seen))
	m.View.RangePlacements(func(key media.StreamKey, p state.Placement) bool {
		s, known := r.seen[key]
		if !known || s.epoch != p.Epoch {
			s = sight{epoch: p.Epoch, since: m.Now, moved: known || p.ClaimedAtMS != p.T0MS}
		}
		seen[key] = s
		return true
	})
	r.seen = seen
}

// full are the origins to be relieved now, by id.
func (r *relief) full(m Moment) (ids []string) {
	for id, since := range r.above {
		if _, paused := r.moved[id]; !paused && m.Now-since >= r.time {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// ownedBy are the streams of nodes, by owner, each list by key.
func (m *Moment) ownedBy(nodes []string) map[string][]state.PlacedStream {
	all := map[string][]state.PlacedStream{}
	m.View.RangePlacements(func(key media.StreamKey, p state.Placement) bool {
		if slices.Contains(nodes, p.Owner) {
			all[p.Owner] = append(all[p.Owner], state.PlacedStream{Key: key, Placement: p})
		}
		return true
	})
	for _, list := range all {
		slices.SortFunc(list, func(a, b state.PlacedStream) int { return cmp.Compare(a.Key.String(), b.Key.String()) })
	}
	return all
}

// rests reports whether a stream is to stay where it is.
func (r *relief) rests(m Moment, key media.StreamKey) bool {
	s := r.seen[key]
	return s.moved && m.Now-s.since < MoveRest
}

// relieves reports whether an origin may be given a stream of another one.
func (r *relief) relieves(m Moment, from, to *placement.Origin) bool {
	if to == nil || to.ID == from.ID || to.Draining || !to.Healthy {
		return false
	}
	_, known := m.Busy[to.ID]
	_, paused := r.moved[to.ID]
	return known && !paused && int(to.Load)+reliefMargin <= int(from.Load)
}

// give chooses streams that go to their standby now, at most so many: first those
// whose standby has the least to do.
func (r *relief) give(
	m Moment, from *placement.Origin, owned []state.PlacedStream, origins map[string]*placement.Origin, share int,
) (moves []state.Move) {
	fit := slices.DeleteFunc(slices.Clone(owned), func(s state.PlacedStream) bool {
		return !s.InSync || r.rests(m, s.Key) || !r.relieves(m, from, origins[s.Standby])
	})
	slices.SortStableFunc(fit, func(a, b state.PlacedStream) int {
		return cmp.Compare(origins[a.Standby].Load, origins[b.Standby].Load)
	})
	for _, s := range fit[:min(share, len(fit), len(owned)-1)] {
		moves = append(moves, state.Move{Key: state.Key(s.Key), Epoch: s.Epoch, To: s.Standby, AtUnixMS: m.AtUnixMS})
		r.moved[from.ID], r.moved[s.Standby] = m.Now, m.Now
	}
	return moves
}

// idle are the origins that may be given streams of another one, by id.
func (r *relief) idle(m Moment, from *placement.Origin, origins map[string]*placement.Origin) (all []placement.Origin) {
	for _, id := range slices.Sorted(maps.Keys(origins)) {
		if o := origins[id]; r.relieves(m, from, o) {
			all = append(all, *o)
		}
	}
	return all
}

// redirect chooses streams that get another standby, to which they can be moved;
// none while there are some on the way to one.
func (d *Duties) redirect(
	m Moment, from *placement.Origin, owned []state.PlacedStream, origins map[string]*placement.Origin, share int,
) (choices []state.SetStandby) {
	r := &d.relief
	to, ok := placement.Standby(*from, r.idle(m, from, origins))
	if !ok {
		return nil
	}
	for _, s := range owned {
		if last, known := d.standbys[s.Key]; known && s.Standby == last.to && !s.InSync && m.Now-last.at < syncPatience {
			share-- // it may be about to be in sync
		}
	}
	for _, s := range owned {
		_, before := r.chosen[s.Key]
		none := s.Standby == "" || r.relieves(m, from, origins[s.Standby]) // it gets one, or gets in sync
		if before || none || r.rests(m, s.Key) || len(choices) >= share {
			continue
		}
		choices = append(choices, state.SetStandby{Key: state.Key(s.Key), Epoch: s.Epoch, From: s.Standby, To: to})
	}
	for _, c := range choices {
		key := media.StreamKey(c.Key)
		r.chosen[key], r.moved[from.ID] = m.Now, m.Now
		d.standbys[key] = chosen{c.Epoch, c.To, m.Now}
	}
	return choices
}
