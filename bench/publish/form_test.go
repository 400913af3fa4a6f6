package publish

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"

	"tmms/bench/signal"
	"tmms/media"
	"tmms/media/flv"
	"tmms/media/rtmp"
)

// What a form makes is what media/flv reads back, for each track.
func TestForms(t *testing.T) {
	config, sound := signal.Headers()
	key := "\x17\x01\xff\xff\xf6\x00\x00\x00\x02\x65\x88"
	for _, tt := range []struct {
		name   string
		form   Form
		tracks []media.TrackID
		bodies int // of a keyframe
	}{
		{"legacy", Form{}, []media.TrackID{0}, 1},
		{"FourCC", Form{FourCC: true, ColorInfo: true}, []media.TrackID{0}, 1},
		{"ertmp-modex", Form{FourCC: true, Nano: 999_999}, []media.TrackID{0}, 1},
		{"ertmp-multitrack", Form{FourCC: true, Tracks: 3, ColorInfo: true}, []media.TrackID{0, 1, 2}, 3},
		{"ertmp-multitrack many", Form{FourCC: true, Tracks: 3, Many: true, Nano: 5, ColorInfo: true}, []media.TrackID{0, 1, 2}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.form.Validate(); err != nil {
				t.Fatal(err)
			}
			read := func(typ media.Type, body string) (list []flv.Info, bodies int) {
				for _, b := range tt.form.Bodies(typ, []byte(body)) {
					bodies++
					for i, err := range flv.Tracks(typ, b) {
						if err != nil {
							t.Fatalf("%v in % x", err, b)
						}
						list = append(list, i)
					}
				}
				return list, bodies
			}
			list, bodies := read(media.TypeVideo, key)
			var tracks []media.TrackID
			for _, i := range list {
				tracks = append(tracks, i.Track)
				if i.Codec != media.CodecH264 || i.Kind != media.KindKey || i.CTO != -10 || i.Nano != tt.form.Nano ||
					string(i.Payload) != key[5:] {
					t.Errorf("%+v", i)
				}
			}
			if !slices.Equal(tracks, tt.tracks) || bodies != tt.bodies {
				t.Errorf("tracks %v in %d bodies, want %v in %d", tracks, bodies, tt.tracks, tt.bodies)
			}
			beside := 0
			list, _ = read(media.TypeVideo, string(config))
			for _, i := range list {
				if i.Beside {
					beside++
				} else if i.Kind != media.KindConfig || string(i.Payload) != string(config[5:]) {
					t.Errorf("configuration %+v", i)
				}
			}
			if want := len(tt.tracks); tt.form.ColorInfo && beside != want || !tt.form.ColorInfo && beside != 0 {
				t.Errorf("%d of %d tracks have colours", beside, want)
			}
			if list, _ = read(media.TypeAudio, string(sound)); list[0].Codec != media.CodecAAC || list[0].Kind != media.KindConfig {
				t.Errorf("audio %+v", list[0])
			}
		})
	}
	for _, bad := range []Form{{Tracks: 1}, {FourCC: true, Tracks: 9}, {FourCC: true, Tracks: -1}, {FourCC: true, Nano: 1_000_000}, {Many: true}} {
		if err := (Config{Form: bad, Signal: signal.DefaultConfig()}).Validate(); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

// CASES: ertmp-reconnect. The publisher goes where the server asks it to, at a
// keyframe, and its stream goes on there.
func TestRunFollowsARequestToReconnect(t *testing.T) {
	first, second := listen(t), listen(t)
	got := make(chan rtmp.Message, 10000)
	go accept(t, second, false, got)
	old := make(chan rtmp.Message, 10000)
	go emptied(t, first, second.Addr().String(), old)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ready := make(chan struct{}, 2)
	cfg := Config{
		URL:  "rtmp://" + first.Addr().String() + "/live/a?key=k",
		Form: Form{FourCC: true}, Signal: signal.Config{BitrateBPS: 200_000, FPS: 50, GOP: 25},
	}
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, cfg, func() { ready <- struct{}{} }) }()
	var last uint32
	for m := range old { // until the publisher has gone
		last = m.Timestamp
	}
	frame := false
	for !frame {
		m := <-got
		info, err := flv.Describe(m.Type, m.Body)
		if err != nil {
			t.Fatal(err)
		}
		if frame = m.Type == media.TypeVideo && info.Kind != media.KindConfig; frame && (info.Kind != media.KindKey || m.Timestamp <= last) {
			t.Errorf("the first picture at the new place is of kind %d at %d ms, the last at the old one was at %d", info.Kind, m.Timestamp, last)
		}
	}
	cancel()
	if err := <-ended; err != nil || len(ready) != 2 {
		t.Errorf("%v, ready %d times", err, len(ready))
	}
}

// emptied is a server that asks its publisher to go to another one.
func emptied(t *testing.T, ln net.Listener, to string, got chan<- rtmp.Message) {
	t.Helper()
	defer close(got)
	c, err := ln.Accept()
	if err != nil {
		return
	}
	defer c.Close()
	conn := rtmp.NewServerConn(rtmp.ServerConfig{})
	b := make([]byte, 64<<10)
	asked := false
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		for rest := b[:n]; ; {
			used, ev, err := conn.Feed(rest)
			if err != nil {
				t.Error(err)
				return
			}
			rest = rest[used:]
			switch ev.Kind {
			case rtmp.EventPublish:
				conn.AcceptPublish()
			case rtmp.EventMessage:
				got <- rtmp.Message{Type: ev.Message.Type, Timestamp: ev.Message.Timestamp}
				if !asked && ev.Message.Timestamp > 100 {
					asked = conn.Reconnect(to, "this node is being emptied")
				}
			case rtmp.EventUnpublish:
				return
			default:
			}
			if ev.Kind == rtmp.EventNone {
				break
			}
		}
		if _, err := c.Write(conn.Output()); err != nil {
			return
		}
		conn.Sent(len(conn.Output()))
	}
}

func TestElsewhere(t *testing.T) {
	for _, tt := range []struct{ url, tcURL, want string }{
		{"rtmp://a/live/cam?key=k", "rtmp://b:1935/live", "rtmp://b:1935/live/cam?key=k"},
		{"rtmp://a/live/cam", "", "rtmp://a/live/cam"},
	} {
		if got := elsewhere(tt.url, tt.tcURL); got != tt.want {
			t.Errorf("%s, asked to go to %s: %s, want %s", tt.url, tt.tcURL, got, tt.want)
		}
	}
	if !strings.Contains((&movedError{"rtmp://b/live"}).Error(), "rtmp://b/live") {
		t.Error("the error does not say where to")
	}
}
