package session

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tmms/media"
	"tmms/media/flv"
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
	if want := (VideoTrack{Codec: media.CodecH264, ID: 7, Width: 640, Height: 360, FPS: 25, seen: true, sized: true, timed: true}); i.Tracks.Video != want {
		t.Errorf("video %+v, want %+v", i.Tracks.Video, want)
	}
	if want := (AudioTrack{Codec: media.CodecMP3, ID: 2, Rate: 44100, Channels: 1, seen: true}); i.Tracks.Audio != want {
		t.Errorf("audio %+v, want %+v", i.Tracks.Audio, want)
	}
}

// What the admin API and the metadata say of a stream is what its own headers
// and frames say, whatever its publisher claims; where they say nothing, the
// publisher is believed.
func TestTracksOfEveryCodec(t *testing.T) {
	const (
		hvcC = "\x01\x01\x60\x00\x00\x00\xb0\x00\x00\x00\x00\x00\x5d\xf0\x00\xfc\xfd\xf8\xf8\x00\x00\x0f\x03\xa0\x00\x01" +
			"\x00\x08\x40\x01\x0c\x01\xff\xff\x01\x80\xa1\x00\x01\x00\x32\x42\x01\x01\x01\x60\x00\x00\x03\x00\xb0\x00" +
			"\x00\x03\x00\x00\x03\x00\x5d\xa0\x0a\x08\x0b\x9f\x79\x65\x79\x24\xda\xff\xf0\x00\x40\x00\x3f\x50\x10\x10" +
			"\x1e\x3a\x50\x00\x00\x03\x00\x10\x00\x00\x03\x01\x92\xa2\x00\x01\x00\x04\x44\x01\xea\xc0" // 320 x 180, 25 pictures a second
		av1C = "\x81\x04\x0c\x00\x0a\x10\x04\x00\x00\x00\x04\x00\x00\x00\x7b\x00\x00\x04\x87\x9f\xd9\xc0" // 320 x 180, 30 pictures a second
		head = "OpusHead\x01\x06\x38\x01\x44\xac\x00\x00\x00\x00\x01\x04\x02\x00\x04\x01\x02\x03\x05"
		flac = "fLaC\x80\x00\x00\x22\x10\x00\x10\x00\x00\x00\x0e\x00\x00\x0e\x17\x70\x02\xf0"
	)
	claim := onMetaDataOf("width", 1920, "height", 1080, "framerate", 50, "audiosamplerate", 8000, "audiochannels", 1)
	dependent := "\x0b\x77\x40\x3f\x34\x80\x10\x20\x00" + strings.Repeat("\x00", 119)
	for _, tt := range []struct {
		name   string
		bodies []string
		want   string // of the last metadata, without what was only claimed
	}{
		{"HEVC", []string{exVideo(1, exStart, "hvc1"+hvcC), exVideo(1, exCoded, "hvc1\x00\x00\x00nal")}, "320 180 25"},
		{"HEVC by number", []string{"\x1c\x00\x00\x00\x00" + hvcC, "\x1c\x01\x00\x00\x00nal"}, "320 180 25"},
		{"AV1", []string{exVideo(1, exStart, "av01"+av1C), exVideo(1, exCoded, "av01obu")}, "320 180 30"},
		{"AV1 without a sequence header", []string{exVideo(1, exStart, "av01"+av1C[:4]), exVideo(1, exCoded, "av01obu")}, "1920 1080 50"},
		{"VP9", []string{exVideo(1, exStart, "vp09vpcC"), exVideo(1, exCoded, "vp09frame")}, "1920 1080 50"},
		{"cut HEVC", []string{exVideo(1, exStart, "hvc1"+hvcC[:60]), exVideo(1, exCoded, "hvc1\x00\x00\x00nal")}, "1920 1080 50"},
		{"Opus", []string{exAudio(exStart, "Opus"+head), exAudio(exCoded, "Opusframe")}, "48000 6"},
		{"FLAC", []string{exAudio(exStart, "fLaC"+flac+strings.Repeat("\x00", 20)), exAudio(exCoded, "fLaCframe")}, "96000 2"},
		{"AC-3", []string{exAudio(exCoded, "ac-3\x0b\x77\x12\x34\x1e\x40\xe1")}, "48000 6"},
		{"AC-3 with a start", []string{exAudio(exStart, "ac-3"), exAudio(exCoded, "ac-3\x0b\x77\x12\x34\x1e\x40\xe1")}, "48000 6"},
		{"E-AC-3", []string{exAudio(exCoded, "ec-3\x0b\x77\x01\x7f\x34\x80\x00")}, "48000 2"},
		{"E-AC-3 7.1", []string{exAudio(exCoded, "ec-3\x0b\x77\x00\x3f\x3f\x80\x00"+strings.Repeat("\x00", 121)+dependent)}, "48000 8"},
		{"no AC-3", []string{exAudio(exCoded, "ac-3junk")}, "8000 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t)
			p, _ := g.attach(testApp(), "")
			p.send(t, media.TypeData, 0, claim)
			typ, names := media.TypeVideo, []string{"width", "height", "framerate"}
			if strings.Count(tt.want, " ") == 1 {
				typ, names = media.TypeAudio, []string{"audiosamplerate", "audiochannels"}
			}
			for _, b := range tt.bodies {
				p.send(t, typ, 0, b)
			}
			md, _, err := flv.ParseMetadata(g.live().Configs().Metadata)
			if err != nil {
				t.Fatal(err)
			}
			i, _ := g.Stream(testKey())
			v, a := i.Tracks.Video, i.Tracks.Audio
			info := fmt.Sprint(v.Width, v.Height, v.FPS)
			if typ == media.TypeAudio {
				info = fmt.Sprint(a.Rate, a.Channels)
			}
			var numbers []any
			for _, name := range names {
				numbers = append(numbers, md.Props[indexOf(md.Props, name)].Value.Num)
			}
			if told := fmt.Sprint(numbers...); told != tt.want {
				t.Errorf("metadata says %s, want %s", told, tt.want)
			}
			if tt.name == "no AC-3" {
				tt.want = "0 0" // the API does not repeat what nothing shows
			}
			if info != tt.want {
				t.Errorf("the API says %s, want %s", info, tt.want)
			}
		})
	}
}
