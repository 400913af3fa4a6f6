package control

import (
	"context"
	"fmt"
	"time"

	"tmms/cluster/fabric"
	"tmms/cluster/member"
	"tmms/cluster/pki"
	"tmms/cluster/verdict"
	"tmms/media"
)

// asking is the body of seen: ids of the nodes that it is about.
type asking struct {
	About []string `json:"about"`
}

// sighting is what the asked node says of one of them, in milliseconds.
type sighting struct {
	About    string `json:"about"`
	Known    bool   `json:"known,omitempty"`
	SilentMS int64  `json:"silent_ms,omitempty"`
	MediaMS  *int64 `json:"media_ms,omitempty"` // left out: no media
	Starting bool   `json:"starting,omitempty"` // who says this is
}

// sightings is the body of an answer to seen.
type sightings struct {
	Seen []sighting `json:"seen"`
}

// seenTimeout bounds the wait for an answer to seen: a later one says nothing of
// the silence that it was asked about.
const seenTimeout = 500 * time.Millisecond

// check bounds what is asked.
func (a asking) check() error {
	if len(a.About) > media.MaxSeen {
		return fmt.Errorf("%w: asked about %d nodes, the limit is %d", member.ErrInvalid, len(a.About), media.MaxSeen)
	}
	for _, id := range a.About {
		if id == "" || len(id) > media.MaxName {
			return fmt.Errorf("%w: node id %.40q has %d bytes, the limits are 1 and %d",
				member.ErrInvalid, id, len(id), media.MaxName)
		}
	}
	return nil
}

// seen says what this node has heard of others. It is asked by who may lead.
func (s *Server) seen(peer pki.Peer, body []byte) (sightings, error) {
	a, err := decodeBody[asking](body)
	if err == nil {
		err = a.check()
	}
	if err != nil {
		return sightings{}, err
	}
	if s.deps.Seen == nil {
		return sightings{}, fmt.Errorf("%w: %s asks what was seen, and nothing is kept of that", member.ErrInvalid, peer.Name)
	}
	all := make([]sighting, len(a.About))
	for i, id := range a.About {
		all[i] = sightingOf(id, s.deps.Seen(id))
	}
	return sightings{all}, nil
}

func sightingOf(about string, r verdict.Report) sighting {
	s := sighting{About: about, Known: r.Known, SilentMS: r.Silent.Milliseconds(), Starting: r.Starting}
	if r.Media >= 0 {
		ms := r.Media.Milliseconds()
		s.MediaMS = &ms
	}
	return s
}

// maxSeenMS bounds the times in an answer, which must not overflow.
const maxSeenMS = int64(24 * time.Hour / time.Millisecond)

// report is the reverse of sightingOf; what makes no sense says nothing.
func (s sighting) report() verdict.Report {
	r := verdict.Report{Media: verdict.Never, Starting: s.Starting}
	if s.SilentMS >= 0 {
		r.Known, r.Silent = s.Known, time.Duration(min(s.SilentMS, maxSeenMS))*time.Millisecond
	}
	if s.MediaMS != nil && *s.MediaMS >= 0 {
		r.Media = time.Duration(min(*s.MediaMS, maxSeenMS)) * time.Millisecond
	}
	return r
}

// Seen asks a node what it has heard of others, at most media.MaxSeen, by their ids;
// of those that it says nothing of nothing is given.
func (c *Client) Seen(ctx context.Context, to fabric.Target, about []string) (map[string]verdict.Report, error) {
	a := asking{About: about}
	if err := a.check(); err != nil {
		return nil, err
	}
	answer, err := ask[sightings](ctx, c, to, methodSeen, a)
	if err != nil {
		return nil, err
	}
	reports := make(map[string]verdict.Report, len(about))
	for _, id := range about {
		reports[id] = verdict.Report{Media: verdict.Never}
	}
	for _, s := range answer.Seen {
		if _, asked := reports[s.About]; asked {
			reports[s.About] = s.report()
		}
	}
	return reports, nil
}
