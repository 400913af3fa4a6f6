package witness

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tmms/bench/signal"
	"tmms/media"
)

// Listing is what the playlists of a time were like.
type Listing struct {
	Playlists       int
	Segments        int      // that were fetched
	Discontinuities int      // segments with the mark
	Anew            int      // playlists that begin behind the end of the one before
	Faults          []string // what a player must never see, the first 20
}

// seenList is what a viewer has seen of a stream's playlists.
type seenList struct {
	names map[uint64]string // by media sequence number
	next  uint64            // behind the last segment; 0: none was seen
	first uint64            // of the last playlist
	clock [2]clock          // by track
}

// maxNames bounds what is remembered of the playlists.
const maxNames = 10_000

// hlsPoll is how often the playlist is looked at.
const hlsPoll = 500 * time.Millisecond

// hls watches by HLS. It returns when the first playlist cannot be had; later the
// server may be away.
func (w *Witness) hls(ctx context.Context) error {
	transport := &http.Transport{DialContext: w.cfg.Dial, MaxIdleConnsPerHost: 1}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 15 * time.Second}
	list, err := mediaPlaylist(w.cfg.URL)
	if err != nil {
		return err
	}
	seen := &seenList{names: map[uint64]string{}}
	for ctx.Err() == nil {
		if err := w.poll(ctx, client, list, seen); err != nil {
			w.lose(ctx, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(hlsPoll):
		}
	}
	return ctx.Err()
}

// mediaPlaylist is that of a stream, by the address of its multivariant playlist.
func mediaPlaylist(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, fmt.Errorf("witness: %w", err)
	}
	u.Path = strings.TrimSuffix(u.Path, ".m3u8") + "/live.m3u8"
	return u, nil
}

// poll looks at the playlist once and takes what is new.
func (w *Witness) poll(ctx context.Context, client *http.Client, at *url.URL, seen *seenList) error {
	b, err := fetch(ctx, client, at.String())
	if err != nil {
		return err
	}
	p, err := parsePlaylist(b)
	if err != nil {
		return err
	}
	w.mu.Lock()
	fresh := w.compare(p, seen)
	w.mu.Unlock()
	for i, s := range fresh {
		u, err := at.Parse(s.uri)
		if err != nil {
			return fmt.Errorf("witness: %w", err)
		}
		b, err := fetch(ctx, client, u.String())
		if err == nil {
			err = w.segment(b, seen)
		}
		if err != nil {
			seen.next -= uint64(len(fresh) - i) // it is tried again
			return fmt.Errorf("segment %s: %w", s.uri, err)
		}
	}
	return nil
}

// compare holds a playlist against those before; fresh are the segments to fetch.
// The first time only the last three are, as players do.
func (w *Witness) compare(p *playlist, seen *seenList) (fresh []segment) {
	list := &w.sight.List
	list.Playlists++
	from := seen.next
	switch {
	case seen.next == 0:
		w.sight.Opened++
		from = max(p.first, p.next()-min(p.next(), 3))
	case p.first < seen.first:
		list.fault("MEDIA-SEQUENCE fell from %d to %d", seen.first, p.first)
	case p.first > seen.next:
		list.Anew++
		from = p.first
	}
	for i, s := range p.segments {
		msn := p.first + uint64(i)
		if before, ok := seen.names[msn]; ok && before != s.uri {
			list.fault("segment %d was %s and is %s", msn, before, s.uri)
		}
		if seen.names[msn] == "" && s.discontinuity {
			list.Discontinuities++
		}
		seen.names[msn] = s.uri
		if msn >= from {
			fresh = append(fresh, s)
		}
	}
	if len(seen.names) > maxNames {
		maps.DeleteFunc(seen.names, func(msn uint64, _ string) bool { return msn < p.first })
	}
	seen.first, seen.next = max(seen.first, p.first), max(seen.next, p.next())
	list.Segments += len(fresh)
	return fresh
}

func (l *Listing) fault(format string, args ...any) {
	if len(l.Faults) < maxLost {
		l.Faults = append(l.Faults, fmt.Sprintf(format, args...))
	}
}

// segment accounts for the frames of one.
func (w *Witness) segment(b []byte, seen *seenList) error {
	frames, err := parseSegment(b)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for _, f := range frames {
		w.ledger.See(signal.Arrival{Track: f.track, Marker: f.mark, Time: seen.clock[f.track].at(f.ticks), Now: now})
	}
	return nil
}

// fetch gets what an address has; anything but 200 is an error.
func fetch(ctx context.Context, client *http.Client, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("witness: %w", err)
	}
	answer, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("witness: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("witness: %s answers %s", address, answer.Status)
	}
	b, err := io.ReadAll(io.LimitReader(answer.Body, media.MaxHLSSegmentBytes))
	if err != nil {
		return nil, fmt.Errorf("witness: %w", err)
	}
	return b, nil
}
