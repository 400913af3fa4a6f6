package hlsplay

import (
	"net/http"
	"net/url"
	"time"
)

// kind is what a request is for.
type kind uint8

const (
	kindMultivariant kind = iota
	kindMedia
	kindSegment
)

// request is one GET.
type request struct {
	kind    kind
	path    string
	segment segment // kindSegment
	fresh   bool    // the segment appeared while the player watched
}

// player decides what a connection asks for. It belongs to the loop.
type player interface {
	// next is the next request and when it is due.
	next(now time.Time) (request, time.Time)
	// answered takes a good answer to the last request, which was made at asked;
	// body is that of a playlist, valid until it returns.
	answered(r request, body []byte, size int64, asked, now time.Time) error
	// refused takes another answer.
	refused(r request, now time.Time)
}

// startBehind is how many segments from the end a player starts (RFC 8216 section 6.3.3).
const startBehind = 3

// poller plays a live stream.
type poller struct {
	run   *run
	base  *url.URL
	media *url.URL // nil: not known yet
	poll  time.Time

	started bool
	seen    uint64    // the number after the last segment that was listed
	changed time.Time // when the playlist was last seen to grow
	queue   []request // of segments
}

func (p *poller) next(now time.Time) (request, time.Time) {
	switch {
	case p.media == nil:
		return request{kind: kindMultivariant, path: p.base.RequestURI()}, p.poll
	case len(p.queue) > 0:
		return p.queue[0], now
	}
	return request{kind: kindMedia, path: p.media.RequestURI()}, p.poll
}

func (p *poller) answered(r request, body []byte, _ int64, asked, now time.Time) error {
	switch r.kind {
	case kindMultivariant:
		path, err := parseMultivariant(p.base, body)
		if err != nil {
			return err
		}
		p.media, err = p.base.Parse(path)
		return err //nolint:wrapcheck // cannot fail, the path was made by a URL
	case kindMedia:
		list, err := parsePlaylist(p.media, body)
		if err != nil {
			return err
		}
		p.listed(list, asked, now)
	case kindSegment:
		p.queue = p.queue[1:]
		p.run.counts.media += r.segment.duration
		if r.fresh && !r.segment.end.IsZero() {
			p.run.delays.Add(now.Sub(r.segment.end))
		}
	}
	return nil
}

// listed takes a media playlist. The next is asked for a target duration after
// this one, half of it if it had nothing new (RFC 8216 section 6.3.4).
func (p *poller) listed(list *playlist, asked, now time.Time) {
	c := &p.run.counts
	c.playlists++
	if p.started && list.last() <= p.seen {
		if list.last() < p.seen || now.Sub(p.changed) > 2*list.target {
			c.stale++
		}
		p.poll = asked.Add(list.target / 2)
		return
	}
	from := max(p.seen, list.first)
	if !p.started {
		from = max(list.first, list.last()-min(startBehind, uint64(len(list.segments))))
	} else if list.first > p.seen {
		c.skipped += int64(list.first - p.seen)
	}
	for i := from; i < list.last(); i++ {
		s := list.segments[i-list.first]
		p.queue = append(p.queue, request{kindSegment, s.path, s, p.started})
	}
	p.seen, p.changed, p.poll, p.started = list.last(), now, asked.Add(list.target), true
}

// refused leaves the segment out, and comes for a playlist again in a second.
func (p *poller) refused(r request, now time.Time) {
	if r.kind == kindSegment {
		p.queue = p.queue[1:]
		return
	}
	p.poll = now.Add(time.Second)
}

// catalog is the segments that the fetchers of a run fetch.
type catalog struct {
	media *url.URL
	list  *playlist
}

// fetchCycle is how many requests a fetcher makes for each media playlist.
const fetchCycle = 8

// fetcher fetches what a catalog has, again and again, at its share of the rate.
type fetcher struct {
	run     *run
	base    *url.URL
	catalog *catalog // common to all
	n       int      // requests so far; each begins elsewhere
	due     time.Time
}

func (f *fetcher) next(now time.Time) (request, time.Time) {
	f.due = later(f.due, now)
	switch list := f.catalog.list; {
	case f.catalog.media == nil:
		return request{kind: kindMultivariant, path: f.base.RequestURI()}, f.due
	case list == nil || f.n%fetchCycle == 0 || len(list.segments) == 0:
		return request{kind: kindMedia, path: f.catalog.media.RequestURI()}, f.due
	default:
		s := list.segments[f.n%len(list.segments)]
		return request{kind: kindSegment, path: s.path, segment: s}, f.due
	}
}

func (f *fetcher) answered(r request, body []byte, size int64, _, _ time.Time) error {
	share := time.Duration(f.run.cfg.Viewers) * time.Second
	f.due = f.due.Add(time.Duration(float64(size*8) / float64(f.run.cfg.RateBPS) * float64(share)))
	switch r.kind {
	case kindMultivariant:
		path, err := parseMultivariant(f.base, body)
		if err == nil {
			f.catalog.media, err = f.base.Parse(path)
		}
		return err //nolint:wrapcheck // parseMultivariant's own
	case kindMedia:
		list, err := parsePlaylist(f.catalog.media, body)
		if err != nil {
			return err
		}
		f.run.counts.playlists++
		f.catalog.list = list
	case kindSegment:
	}
	f.n++
	return nil
}

func (f *fetcher) refused(_ request, now time.Time) { f.due = now.Add(time.Second) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// ok tells whether a status is what players want.
func ok(status int) bool { return status == http.StatusOK }
