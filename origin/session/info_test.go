package session

import (
	"testing"
	"testing/synctest"
	"time"

	"tmms/media"
)

func TestInfo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		p, _ := g.attach(testApp(), "secret")
		began := time.Now()
		for range 10 {
			p.publish(t, 0, 100) // 2 x 3 frames: 61 + 45 bytes
			time.Sleep(time.Second)
		}
		list := g.Streams()
		if len(list) != 1 || list[0].Key != testKey() {
			t.Fatalf("streams %v", list)
		}
		i := list[0]
		if i.State != "live" || i.Since != began || i.Epoch != 101 || i.Run != 0 {
			t.Errorf("state %s since %v epoch %d run %d", i.State, i.Since, i.Epoch, i.Run)
		}
		if want := (AudioTrack{Codec: media.CodecAAC, ID: 10, Rate: 44100, Channels: 2, seen: true}); i.Tracks.Audio != want {
			t.Errorf("audio %v, want %v", i.Tracks.Audio, want)
		}
		if i.Tracks.Video.Codec != media.CodecH264 || i.Tracks.Video.Width != 1280 {
			t.Errorf("video %v, want H.264 with the width of the metadata", i.Tracks.Video)
		}
		s := i.Publisher
		if s.Remote != "192.0.2.1:1" || s.Since != began || s.BitrateBPS != s.Bytes*8/10 {
			t.Errorf("publisher %+v", *s)
		}
		p.Detach(errGone)
		if i, ok := g.Stream(testKey()); !ok || i.State != "grace" || i.Publisher != nil {
			t.Errorf("after the cut: state %s, publisher %v", i.State, i.Publisher)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if _, ok := g.Stream(testKey()); ok {
			t.Error("an ended stream is listed")
		}
	})
}

func TestMeter(t *testing.T) {
	at := time.Unix(1000, 0)
	var m meter
	if r := m.bps(at); r != 0 {
		t.Errorf("%d bit/s before the first byte", r)
	}
	for i := range 40 { // 1000 bytes each 250 ms: 32 kbit/s
		m.add(at.Add(time.Duration(i)*250*time.Millisecond), 1000)
	}
	for _, tt := range []struct {
		after time.Duration
		want  int64
	}{
		{9750 * time.Millisecond, 32000},
		{10 * time.Second, 32000},
		{12 * time.Second, 3 * 32000 / 5}, // two seconds of silence
		{15 * time.Second, 0},
		{time.Hour, 0},
	} {
		if r := m.bps(at.Add(tt.after)); r != tt.want {
			t.Errorf("%d bit/s after %v, want %d", r, tt.after, tt.want)
		}
	}
	var young meter
	young.add(at, 500)
	young.add(at.Add(time.Second), 1)
	if a, b := young.bps(at), young.bps(at.Add(time.Second)); a != 4000+8 || b != 4000 {
		t.Errorf("%d and %d bit/s in the first two seconds", a, b)
	}
}

func TestTracks(t *testing.T) {
	g := newRig(t)
	p, _ := g.attach(testApp(), "")
	// avcC with the SPS of a 640 x 360 picture, 25 frames a second.
	p.video(t, 0, "\x17\x00\x00\x00\x00\x01\x42\xc0\x1e\xff\xe1\x00\x18"+
		"\x67\x42\xc0\x1e\xd9\x00\xa0\x2f\xf9\x61\x00\x00\x03\x00\x01\x00\x00\x03\x00\x32\x0f\x16\x2e\x48"+
		"\x01\x00\x05\x68\xcb\x83\xcb\x20")
	p.video(t, 0, videoKey)
	p.audio(t, 0, "\x2f\xff\xfb\x90\xc4") // MP3, flagged 44.1 kHz stereo: header says mono
	i, _ := g.Stream(testKey())
	if want := (VideoTrack{Codec: media.CodecH264, ID: 7, Width: 640, Height: 360, FPS: 25, seen: true}); i.Tracks.Video != want {
		t.Errorf("video %+v, want %+v", i.Tracks.Video, want)
	}
	if want := (AudioTrack{Codec: media.CodecMP3, ID: 2, Rate: 44100, Channels: 1, seen: true}); i.Tracks.Audio != want {
		t.Errorf("audio %+v, want %+v", i.Tracks.Audio, want)
	}
}
