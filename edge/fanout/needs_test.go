package fanout

import (
	"errors"
	"strings"
	"testing"
	"time"

	"tmms/cluster/relay"
	"tmms/media"
	"tmms/media/flv"
)

// takes is a set of FourCCs by name.
func takes(names ...string) (s flv.FourCCs) {
	for _, name := range names {
		s |= flv.ParseFourCC(name)
	}
	return s
}

// taker attaches an RTMP viewer that has announced these codecs.
func (r *rig) taker(names ...string) *fakeSink {
	r.t.Helper()
	s := &fakeSink{conn: fakeConn{room: -1}}
	opt := options(RTMP)
	opt.Takes = takes(names...)
	r.attachWith(s, opt)
	return s
}

// missing is what s was refused for; none if it is still there.
func (s *fakeSink) missing(t *testing.T) flv.FourCCs {
	t.Helper()
	e, ok := errors.AsType[*CodecError](s.left)
	if !ok {
		if s.left != nil {
			t.Errorf("left with %v", s.left)
		}
		return 0
	}
	for _, name := range e.Missing.Names() {
		if !strings.Contains(e.Error(), name) {
			t.Errorf("%q does not name %s", e, name)
		}
	}
	return e.Missing
}

// enhanced pushes a second of HEVC and Opus.
func (p *publisher) enhanced(configs bool) {
	if configs {
		p.push(media.TypeAudio, media.KindConfig, []byte("\x90OpusOpusHead"))
		p.push(media.TypeVideo, media.KindConfig, []byte("\x90hvc1hvcC"))
	}
	for i := range 25 {
		if i == 0 {
			p.push(media.TypeVideo, media.KindKey, []byte("\x93hvc1key"))
		} else {
			p.push(media.TypeVideo, media.KindDelta, []byte("\xa3hvc1delta"))
		}
		p.push(media.TypeAudio, media.KindAudio, []byte("\x91Opusframe"))
		p.dts += 40
	}
}

func TestPlayersThatCannot(t *testing.T) {
	for _, tt := range []struct {
		name    string
		takes   []string
		missing flv.FourCCs
	}{
		{"announces nothing", nil, takes("hvc1", "Opus")},
		{"announces others", []string{"av01", "mp4a"}, takes("hvc1", "Opus")},
		{"takes the picture only", []string{"hvc1"}, takes("Opus")},
		{"takes both", []string{"Opus", "hvc1"}, 0},
		{"takes all", []string{"*"}, 0},
	} {
		t.Run("ertmp-caps "+tt.name, func(t *testing.T) {
			hub := relay.NewHub()
			r := newRig(t, hub)
			waiting := r.taker(tt.takes...) // before the publisher
			p := publish(t, hub)
			p.enhanced(true)
			r.run(time.Second)
			late := r.taker(tt.takes...)
			r.run(time.Second)
			flvViewer := r.attach(FLV)
			r.run(time.Second)
			for name, s := range map[string]*fakeSink{"waiting": waiting, "late": late} {
				if got := s.missing(t); got != tt.missing {
					t.Errorf("the %s player misses %v, want %v", name, got, tt.missing)
				}
				if sent := len(s.conn.got) > 0; sent != (tt.missing == 0) {
					t.Errorf("the %s player was sent %d bytes", name, len(s.conn.got))
				}
				if tt.missing != 0 && (s.joined != 0 || s.leaves != 1) {
					t.Errorf("the %s player has joined %d times and left %d times", name, s.joined, s.leaves)
				}
			}
			if flvViewer.left != nil || len(flvViewer.conn.got) == 0 { // FLV has no negotiation
				t.Errorf("the FLV viewer has %d bytes and %v", len(flvViewer.conn.got), flvViewer.left)
			}
		})
	}
}

// A player is told when the stream becomes one that it can't play, behind a whole
// message and before anything of the new kind.
func TestCodecChangesUnderAPlayer(t *testing.T) {
	hub := relay.NewHub()
	r := newRig(t, hub)
	p := publish(t, hub).headers()
	p.group()
	old, both, slow := r.taker(), r.taker("hvc1", "Opus"), &fakeSink{conn: fakeConn{room: 1500}}
	r.attachSink(slow, RTMP)
	r.run(time.Second)
	if !slow.v.InMessage() {
		t.Fatal("the slow player is not in the middle of a message")
	}
	p.enhanced(true)
	r.run(time.Second)
	if got := old.missing(t); got != takes("hvc1", "Opus") {
		t.Errorf("the old player misses %v", got)
	}
	if strings.Contains(string(old.conn.got), "hvc1") {
		t.Error("the old player was sent HEVC")
	}
	if both.missing(t) != 0 || !strings.Contains(string(both.conn.got), "hvc1delta") {
		t.Error("the new player does not go on")
	}
	if slow.left != nil {
		t.Errorf("the slow player left in the middle of a message: %v", slow.left)
	}
	slow.open(-1)
	r.run(time.Second)
	if slow.missing(t) == 0 || strings.Contains(string(slow.conn.got), "hvc1") {
		t.Errorf("the slow player left with %v", slow.left)
	}
	if fresh := r.taker(); fresh.missing(t) == 0 {
		t.Error("a new old player is let in")
	}

	// And back: what was is no hindrance.
	p.id.Group++
	p.id.Index = 0
	p.push(media.TypeAudio, media.KindConfig, audioHeader)
	p.push(media.TypeVideo, media.KindConfig, videoHeader)
	p.group()
	r.run(time.Second)
	if again := r.taker(); again.missing(t) != 0 {
		t.Errorf("an old player misses %v of a stream that is old again", again.missing(t))
	}
}

// Codecs without a configuration count from their first frame on, and those of each
// track.
func TestNeeds(t *testing.T) {
	for _, tt := range []struct {
		name string
		push []string // "a" or "v", then the body
		want flv.FourCCs
	}{
		{"legacy", []string{"v\x17\x01\x00\x00\x00key", "a\xaf\x01raw"}, 0},
		{"hevc-codecid12", []string{"v\x1c\x01\x00\x00\x00key"}, 0}, // there is no way to announce it
		{"ac-3", []string{"v\x17\x01\x00\x00\x00key", "a\x91ac-3raw"}, takes("ac-3")},
		{"avc1", []string{"v\x91avc1\x00\x00\x00key", "a\x91mp4araw"}, takes("avc1", "mp4a")},
		{"of each track", []string{"v\x96\x01avc1\x00\x00\x00\x00key", "v\x96\x01av01\x01key"}, takes("avc1", "av01")},
		{"of several tracks in one body", []string{
			"v\x96\x21hvc1\x00\x00\x00\x04\x00\x00\x00kav01\x01\x00\x00\x01k",
		}, takes("hvc1", "av01")},
		{"unknown", []string{"v\x91vvc1key"}, takes("vvc1")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			hub := relay.NewHub()
			p := publish(t, hub)
			r := newRig(t, hub)
			for i, body := range tt.push {
				typ, kind := media.TypeVideo, media.KindKey
				if body[0] == 'a' {
					typ, kind = media.TypeAudio, media.KindAudio
				}
				info, err := flv.Describe(typ, []byte(body[1:]))
				if err != nil {
					t.Fatal(err)
				}
				p.id.Group, p.id.Index = uint64(i), 0
				pkt := media.Packet{ID: p.id, Type: typ, Kind: kind, Track: info.Track, DTS: p.dts, Body: []byte(body[1:])}
				if err := p.w.Append(&pkt); err != nil {
					t.Fatal(err)
				}
				p.dts += 200
			}
			s := r.taker()
			r.run(time.Second)
			if got := s.missing(t); got != tt.want {
				t.Errorf("an old player misses %v, want %v", got, tt.want)
			}
		})
	}
}
