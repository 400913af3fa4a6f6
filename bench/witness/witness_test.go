package witness

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tmms/bench/signal"
	"tmms/media"
	"tmms/media/flv"
	"tmms/media/mpegts"
)

func source(tb testing.TB) *signal.Source {
	tb.Helper()
	s, err := signal.NewSource(signal.Config{BitrateBPS: 300_000, FPS: 25, GOP: 25})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// segmentOf muxes some frames as the server does.
func segmentOf(tb testing.TB, s *signal.Source, began time.Time, end time.Duration) []byte {
	tb.Helper()
	video, audio := signal.Headers()
	m, err := mpegts.NewMuxer(mpegts.Config{
		Video: mpegts.Track{Codec: media.CodecH264, Config: video[5:]}, Audio: mpegts.Track{Codec: media.CodecAAC, Config: audio[2:]},
	})
	if err != nil {
		tb.Fatal(err)
	}
	var b []byte
	for s.Due() < end {
		key := s.AtKey()
		f := s.Next(began.Add(s.Due()))
		at := f.Due.Milliseconds() * mpegts.TicksPerMS
		if f.Type == media.TypeVideo {
			b, err = m.WriteVideo(b, at, at, f.Body[5:], key)
		} else {
			b, err = m.WriteAudio(b, at, f.Body[2:])
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	return m.Flush(b)
}

func TestSegment(t *testing.T) {
	s := source(t)
	frames, err := parseSegment(segmentOf(t, s, time.Unix(1000, 0), 2*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	var l signal.Ledger
	var at [2]clock
	for _, f := range frames {
		l.See(signal.Arrival{Track: f.track, Marker: f.mark, Time: at[f.track].at(f.ticks), Now: time.Unix(1000, 0)})
	}
	got := l.Cut(time.Unix(1000, 0))
	if got.Tracks[signal.Video].Frames != 50 || got.Tracks[signal.Audio].Frames < 85 || got.Lost() != 0 || got.Faults() != 0 {
		t.Errorf("%+v", got)
	}
	if got.Apart > 30*time.Millisecond { // only the first of some audio frames has a time
		t.Errorf("apart %v", got.Apart)
	}
}

func FuzzParseSegment(f *testing.F) {
	f.Add(segmentOf(f, source(f), time.Unix(1000, 0), 300*time.Millisecond))
	f.Add(bytes.Repeat([]byte{0x47}, tsPacket))
	f.Fuzz(func(t *testing.T, b []byte) {
		frames, err := parseSegment(b)
		if err != nil && len(frames) > 0 || len(frames) > len(b)/24 {
			t.Errorf("%d frames of %d bytes, %v", len(frames), len(b), err)
		}
	})
}

func FuzzParsePlaylist(f *testing.F) {
	f.Add([]byte(list(7, "5-7.ts", "5-8.ts")))
	f.Add([]byte("#EXTM3U\n#EXTINF:1e300,\na"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parsePlaylist(b)
		if err == nil && (len(p.segments) > maxSegments || p.next() < p.first) {
			t.Errorf("%+v", p)
		}
	})
}

// list is a playlist of segments; "!" in front of one is a discontinuity.
func list(first int, names ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:%d\n", first)
	for _, n := range names {
		if rest, ok := strings.CutPrefix(n, "!"); ok {
			b.WriteString("#EXT-X-DISCONTINUITY\n")
			n = rest
		}
		b.WriteString("#EXTINF:2.0,\n" + n + "\n")
	}
	return b.String()
}

func TestPlaylists(t *testing.T) {
	for _, c := range []struct {
		name  string
		lists []string
		want  Listing
	}{
		{"they go on", []string{list(1, "a", "b", "c"), list(2, "b", "c", "d")}, Listing{Playlists: 2, Segments: 4}},
		{"a discontinuity", []string{list(1, "a"), list(1, "a", "!b")}, Listing{Playlists: 2, Segments: 2, Discontinuities: 1}},
		{"anew", []string{list(1, "a"), list(5, "x")}, Listing{Playlists: 2, Segments: 2, Anew: 1}},
		{"it falls", []string{list(5, "a", "b"), list(4, "z", "a", "b")}, Listing{Playlists: 2, Segments: 2, Faults: []string{
			"MEDIA-SEQUENCE fell from 5 to 4",
		}}},
		{"another name", []string{list(5, "a"), list(5, "x", "y")}, Listing{Playlists: 2, Segments: 2, Faults: []string{
			"segment 5 was a and is x",
		}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, seen := &Witness{}, &seenList{names: map[uint64]string{}}
			for _, text := range c.lists {
				p, err := parsePlaylist([]byte(text))
				if err != nil {
					t.Fatal(err)
				}
				w.compare(p, seen)
			}
			if got := w.Cut(); fmt.Sprint(got.List) != fmt.Sprint(c.want) || got.Opened != 1 {
				t.Errorf("got %+v, want %+v", got.List, c.want)
			}
		})
	}
}

// TestWitness watches a server that ends the first stream in the middle.
func TestWitness(t *testing.T) {
	s := source(t)
	began := time.Now()
	segment := segmentOf(t, source(t), began, 2*time.Second)
	var asked atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("/live/a.flv", func(w http.ResponseWriter, _ *http.Request) {
		b := flv.AppendHeader(nil, true, true)
		end := time.Duration(asked.Add(1)) * time.Second
		for s.Due() < end {
			f := s.Next(began)
			b = flv.AppendTag(b, flv.Tag{Type: f.Type, Timestamp: uint32(f.Due.Milliseconds()), Body: f.Body})
		}
		_, _ = w.Write(b)
		if end > time.Second {
			_ = http.NewResponseController(w).Flush()
			<-t.Context().Done()
		}
	})
	mux.HandleFunc("/live/a/live.m3u8", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(list(3, "9-3.ts"))) })
	mux.HandleFunc("/live/a/9-3.ts", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(segment) })
	server := httptest.NewServer(mux)
	defer server.CloseClientConnections()
	for _, c := range []struct {
		ext          string
		opened, lost int
	}{{".flv", 2, 1}, {".m3u8", 1, 0}} {
		ctx, cancel := context.WithCancel(t.Context())
		w := Start(ctx, Config{Name: c.ext, URL: server.URL + "/live/a" + c.ext, Dial: new(net.Dialer).DialContext})
		var got Sight
		for end := time.Now().Add(30 * time.Second); got.Tracks[signal.Video].Frames < int64(c.opened)*25 && time.Now().Before(end); {
			next := w.Cut()
			got.Opened += next.Opened
			got.Ends = append(got.Ends, next.Ends...)
			got.Stretch.Tracks[signal.Video].Frames += next.Tracks[signal.Video].Frames
			if next.Faults() != 0 || next.Lost() != 0 {
				t.Errorf("%+v", next)
			}
		}
		cancel()
		w.Wait()
		if got.Opened != c.opened || len(got.Ends) != c.lost {
			t.Errorf("%s: opened %d, lost %q", c.ext, got.Opened, got.Ends)
		}
	}
}
