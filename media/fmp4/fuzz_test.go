package fmp4_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"tmms/media"
	"tmms/media/fmp4"
)

// FuzzMuxer writes frames as a script says, of a codec without a structure that
// is checked (VP9) and of AAC: what comes out, read back, is what went in.
func FuzzMuxer(f *testing.F) {
	f.Add([]byte("\x00\x05\x00\x00\x01\x20\x00\x00\x02\x00"), int64(0))
	f.Add([]byte("\x04\x01\x28\x00\x00\x09\x28\x01\x28\x02\x00\x08\xff\x7f\x01\x00\x80"), int64(1<<37-100))
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x02\x00\x01\x00\x02\x00"), int64(-5))
	f.Fuzz(func(t *testing.T, script []byte, at int64) {
		m := newMuxer(t, fmp4.Config{
			Video: fmp4.Track{Codec: media.CodecVP9, Config: []byte{0, 10, 0x82, 1, 1, 1, 0, 0}}, Audio: aac48000,
		})
		var out []byte
		want := map[int64][][]byte{}
		gathered := map[int64][][]byte{}
		size := 0
		for len(script) >= 2 {
			op, arg := script[0], script[1]
			script = script[2:]
			at += int64(int8(arg))
			payload := bytes.Repeat([]byte{op, arg}, int(arg)%7+1)
			id := int64(0)
			switch op & 3 {
			case 0:
				var cto int32
				if len(script) >= 2 {
					cto = int32(int16(binary.BigEndian.Uint16(script))) << (op >> 3)
				}
				if m.WriteVideo(media.Timestamp(at), cto, payload, op&4 != 0) == nil {
					id = 1
				}
			case 1:
				if m.WriteAudio(media.Timestamp(at), payload) == nil {
					id = 2
				}
			case 2:
				out = m.AppendFragment(out, media.Timestamp(at))
				for id, frames := range gathered {
					want[id] = append(want[id], frames...)
				}
				clear(gathered)
				size = 0
			default:
				if op&4 != 0 {
					m.Reset()
					clear(gathered)
					size = 0
				} else if err := m.WriteEvent(media.Timestamp(at), "scheme", "", payload); err != nil && at >= 0 && at <= 1<<37 {
					t.Fatal(err)
				}
			}
			if id != 0 {
				gathered[id] = append(gathered[id], payload)
				size += len(payload)
			}
			if m.Size() != size || m.Gathers() != (size > 0) {
				t.Fatalf("gathers %t, %d bytes, want %d", m.Gathers(), m.Size(), size)
			}
		}
		file := demux(t, m.AppendInit(nil), out) // which checks the rest
		for id, frames := range want {
			if got := len(file.tracks[id].samples); got != len(frames) {
				t.Fatalf("track %d: %d samples, want %d", id, got, len(frames))
			}
			for i, s := range file.tracks[id].samples {
				if !bytes.Equal(s.data, frames[i]) {
					t.Fatalf("track %d sample %d: % x, want % x", id, i, s.data, frames[i])
				}
			}
		}
	})
}

// FuzzPayload feeds configurations and payloads of the network to each codec:
// no panic, and what is taken makes a file that adds up.
func FuzzPayload(f *testing.F) {
	codecs := []struct {
		typ   media.Type
		codec media.Codec
	}{
		{media.TypeVideo, media.CodecH264},
		{media.TypeVideo, media.CodecHEVC},
		{media.TypeVideo, media.CodecAV1},
		{media.TypeVideo, media.CodecVP9},
		{media.TypeAudio, media.CodecAAC},
		{media.TypeAudio, media.CodecMP3},
		{media.TypeAudio, media.CodecOpus},
		{media.TypeAudio, media.CodecAC3},
		{media.TypeAudio, media.CodecEAC3},
		{media.TypeAudio, media.CodecFLAC},
	}
	for i, config := range []string{
		string(avcC), "\x01\x01\x60\x00\x00\x00\x90\x00\x00\x00\x00\x00\x5d\xf0\x00\xfc\xfd\xf8\xf8\x00\x00\x0f\x00", "\x81\x04\x0c\x00",
		"\x00\x0a\x82\x01\x01\x01\x00\x00", "\x11\x90", string(mp3Header),
		"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00", "\x0b\x77\x00\x00\x14\x40\x43", "\x0b\x77\x01\x7f\x34\x80\x00",
		"\x10\x00\x10\x00\x00\x00\x00\x00\x00\x00\x0b\xb8\x02\xf0\x00\x00\x00\x00" + "0123456789abcdef",
	} {
		f.Add(uint8(i), []byte(config), []byte("\x00\x00\x00\x02\x65\x88"))
		f.Add(uint8(i), []byte(config), []byte(config))
		f.Add(uint8(i), []byte(config), []byte("\x12\x00\x0a\x01\x00\xff\xf8\x69\x18\x00\x00"))
	}
	f.Fuzz(func(t *testing.T, which uint8, config, payload []byte) {
		c := codecs[int(which)%len(codecs)]
		cfg := fmp4.Config{}
		track := fmp4.Track{Codec: c.codec, Config: config}
		if c.typ == media.TypeVideo {
			cfg.Video = track
		} else {
			cfg.Audio = track
		}
		m, err := fmp4.NewMuxer(cfg)
		if again := fmp4.CheckTrack(c.typ, track); (again == nil) != (err == nil) {
			t.Fatalf("NewMuxer says %v, CheckTrack %v", err, again)
		}
		info := fmp4.Describe(cfg)
		if (err == nil) != (info.VideoCodec+info.AudioCodec != "") {
			t.Fatalf("NewMuxer says %v, but it is described as %+v", err, info)
		}
		if err != nil {
			return
		}
		for i := range media.Timestamp(3) {
			before := m.Size()
			if c.typ == media.TypeVideo {
				err = m.WriteVideo(40*i, 0, payload, i == 0)
			} else {
				err = m.WriteAudio(40*i, payload)
			}
			if grown := m.Size() - before; grown < 0 || grown > len(payload) || err != nil && c.typ == media.TypeVideo && grown != 0 {
				t.Fatalf("error %v: %d bytes gathered of %d", err, grown, len(payload))
			}
		}
		size := m.Size()
		got := 0
		for _, tr := range demux(t, m.AppendInit(nil), m.AppendFragment(nil, 120)).tracks {
			for _, s := range tr.samples {
				got += len(s.data)
			}
		}
		if got != size {
			t.Fatalf("%d bytes come out, %d were gathered", got, size)
		}
	})
}
