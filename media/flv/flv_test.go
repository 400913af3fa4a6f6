package flv

import (
	"bytes"
	"errors"
	"testing"

	"tmms/media"
)

// Requirement: S9: byte layout, 24+8 bit timestamps, PreviousTagSize = 11 + length.
func TestAppendTag(t *testing.T) {
	for _, c := range []struct {
		name string
		tag  Tag
		want string
	}{
		{"empty", Tag{Type: media.TypeData}, "\x12\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0b"},
		{
			"24+8",
			Tag{Type: media.TypeVideo, Timestamp: 0x87654321, Body: []byte("ab")},
			"\x09\x00\x00\x02\x65\x43\x21\x87\x00\x00\x00ab\x00\x00\x00\x0d",
		},
		{
			"2^24-1",
			Tag{Type: media.TypeAudio, Timestamp: 0xFFFFFF, Body: []byte("a")},
			"\x08\x00\x00\x01\xff\xff\xff\x00\x00\x00\x00a\x00\x00\x00\x0c",
		},
		{
			"2^24",
			Tag{Type: media.TypeAudio, Timestamp: 0x1000000, Body: []byte("a")},
			"\x08\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00a\x00\x00\x00\x0c",
		},
		{
			"64KiB",
			Tag{Type: media.TypeVideo, Body: make([]byte, 0x10203)},
			"\x09\x01\x02\x03\x00\x00\x00\x00\x00\x00\x00" + string(make([]byte, 0x10203)) + "\x00\x01\x02\x0e",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := AppendTag([]byte("x"), c.tag)[1:]
			if string(b) != c.want || len(b) != TagSize(len(c.tag.Body)) {
				t.Fatalf("wrote % x, want % x", head(b), head([]byte(c.want)))
			}
			got, n, err := ParseTag(append(b, 0xEE))
			if err != nil || n != len(b) || got.Type != c.tag.Type || got.Timestamp != c.tag.Timestamp ||
				!bytes.Equal(got.Body, c.tag.Body) {
				t.Errorf("read back %v %d %v", got, n, err)
			}
			for i := range min(len(b), 64) {
				if _, _, err := ParseTag(b[:i]); !errors.Is(err, ErrShort) {
					t.Fatalf("%d of %d bytes: error %v, want %v", i, len(b), err, ErrShort)
				}
			}
			if _, _, err := ParseTag(b[:len(b)-1]); !errors.Is(err, ErrShort) {
				t.Errorf("one byte short: error %v, want %v", err, ErrShort)
			}
		})
	}
}

func TestParseTagMalformed(t *testing.T) {
	for name, b := range map[string]string{
		"encrypted":       "\x29\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0b",
		"too-long":        "\x09\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00",
		"PreviousTagSize": "\x09\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00a\x00\x00\x00\x0b",
	} {
		if _, _, err := ParseTag([]byte(b)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: error %v, want %v", name, err, ErrMalformed)
		}
	}
}

// Requirement: S9: the header.
func TestHeader(t *testing.T) {
	for _, c := range []struct {
		audio, video bool
		want         string
	}{
		{true, true, "FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"},
		{true, false, "FLV\x01\x04\x00\x00\x00\x09\x00\x00\x00\x00"},
		{false, true, "FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00"},
		{false, false, "FLV\x01\x00\x00\x00\x00\x09\x00\x00\x00\x00"},
	} {
		b := AppendHeader(nil, c.audio, c.video)
		if string(b) != c.want || len(b) != HeaderSize {
			t.Errorf("wrote % x, want % x", b, c.want)
		}
		if h, n, err := ParseHeader(b); err != nil || n != HeaderSize || h != (Header{Audio: c.audio, Video: c.video}) {
			t.Errorf("read back %v %d %v", h, n, err)
		}
		for i := range b {
			if _, _, err := ParseHeader(b[:i]); !errors.Is(err, ErrShort) {
				t.Errorf("%d bytes: error %v, want %v", i, err, ErrShort)
			}
		}
	}
	if _, n, err := ParseHeader([]byte("FLV\x01\x05\x00\x00\x00\x0aX\x00\x00\x00\x00")); n != 14 || err != nil {
		t.Errorf("a header of 10 bytes: %d %v", n, err)
	}
	for _, b := range []string{"G", "FLX", "FLV\x01\x05\x00\x00\x00\x08", "FLV\x01\x05\xff\xff\xff\xff"} {
		if _, _, err := ParseHeader([]byte(b)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: error %v, want %v", b, err, ErrMalformed)
		}
	}
}

func FuzzParseTag(f *testing.F) {
	f.Add(AppendTag(nil, Tag{Type: media.TypeVideo, Timestamp: 1 << 31, Body: []byte("\x17\x01\x00\x00\x00abc")}))
	f.Add(AppendHeader(nil, true, true))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, n, err := ParseHeader(b); err == nil && n > len(b) {
			t.Fatalf("header of %d bytes in %d", n, len(b))
		}
		tag, n, err := ParseTag(b)
		if err != nil {
			return
		}
		if n > len(b) {
			t.Fatalf("tag of %d bytes in %d", n, len(b))
		}
		// The stream id is the one field that is not kept.
		if again := AppendTag(nil, tag); !bytes.Equal(again[:8], b[:8]) || !bytes.Equal(again[11:], b[11:n]) {
			t.Fatalf("read % x, wrote % x", b[:n], again)
		}
	})
}
