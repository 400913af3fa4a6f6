// Package signal makes and checks the synthetic stream of load tests: H.264
// and AAC in FLV tag bodies that carry a marker, so that a viewer can tell order,
// gaps, damage and delay. bench/floor makes the same video in C.
package signal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"tmms/media"
)

// A marked video body:
//
//	0  frame type and codec (1) | AVC packet type 1 (1) | composition time 0 (3)
//	5  NAL unit length (4) | NAL unit type (1)
//	10 "tmmsmark" (8) | sequence (4) | unix nanoseconds (8) | CRC-32 of what follows (4)
//	34 filler: the low byte of the sequence
//
// A marked audio body has the same from "tmmsmark" on behind its first two bytes.
const (
	magic      = "tmmsmark"
	magicAt    = 10
	markerSize = len(magic) + 4 + 8 + 4
	audioAt    = 2
	minBody    = 64
	audioRate  = 43 // frames a second, about 44.1 kHz
	audioBody  = 370
	tagFraming = 15
	keyShare   = 0.12 // of a GOP's video bytes
)

// Config of a synthetic stream.
type Config struct {
	BitrateBPS int  // of the FLV tags: 64,000 to 100,000,000
	FPS        int  // 1 to 240
	GOP        int  // frames from keyframe to keyframe: 1 to 10,000
	NoAudio    bool // video alone; 43 audio frames a second are 132 kbit/s
}

// DefaultConfig is the stream of the measured figures: 2 Mbit/s, 30 fps, a keyframe each 2 s.
func DefaultConfig() Config { return Config{BitrateBPS: 2_000_000, FPS: 30, GOP: 60} }

// Validate names the first value out of range.
func (c Config) Validate() error {
	switch {
	case c.BitrateBPS < 64_000 || c.BitrateBPS > 100_000_000:
		return fmt.Errorf("signal: bit rate %d is not in 64000..100000000", c.BitrateBPS)
	case c.FPS < 1 || c.FPS > 240:
		return fmt.Errorf("signal: %d frames a second are not in 1..240", c.FPS)
	case c.GOP < 1 || c.GOP > 10_000:
		return fmt.Errorf("signal: a GOP of %d frames is not in 1..10000", c.GOP)
	}
	return nil
}

// Source makes the frames of one stream. It belongs to one goroutine.
type Source struct {
	cfg            Config
	key, delta     int // sizes of video bodies
	videos, audios int64
	numbers        [2]uint32 // of the first audio and video frame
	body           []byte
	audio          []byte
}

// NewSource returns a source at its first frame.
func NewSource(cfg Config) (*Source, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Source{cfg: cfg, audio: make([]byte, 0, audioBody)}
	gopSeconds := float64(cfg.GOP) / float64(cfg.FPS)
	video := float64(cfg.BitrateBPS) / 8 * gopSeconds
	if !cfg.NoAudio {
		video -= audioRate * gopSeconds * (audioBody + tagFraming)
	}
	video = max(video-float64(cfg.GOP)*tagFraming, float64(cfg.GOP*minBody))
	s.key = int(video)
	if cfg.GOP > 1 {
		s.key = max(minBody, int(video*keyShare))
		s.delta = max(minBody, (int(video)-s.key)/(cfg.GOP-1))
	}
	s.key = min(s.key, media.MaxMessageVideo)
	return s, nil
}

// Begin puts the source to its first frame again: it is a keyframe and its time is
// 0, as an encoder begins that has lost its server. The numbers go on.
func (s *Source) Begin() {
	s.numbers[0] += uint32(s.audios)
	s.numbers[1] += uint32(s.videos)
	s.audios, s.videos = 0, 0
}

// Number gives the next frame of each track that number, to tell sources apart.
func (s *Source) Number(n uint32) {
	s.numbers = [2]uint32{n - uint32(s.audios), n - uint32(s.videos)}
}

// Frame is one packet to publish.
type Frame struct {
	Type media.Type
	Due  time.Duration // since the start; also its timestamp
	Body []byte        // valid until the next call of Next
}

// Next returns the next frame in order of time; now goes into its marker.
func (s *Source) Next(now time.Time) Frame {
	video, audio := s.due()
	if audio < video {
		s.audio = append(s.audio[:0], 0xAF, 1)
		s.audio = appendMarker(s.audio, s.numbers[0]+uint32(s.audios), audioBody, now)
		s.audios++
		return Frame{Type: media.TypeAudio, Due: audio, Body: s.audio}
	}
	key := s.videos%int64(s.cfg.GOP) == 0
	size := s.delta
	if key {
		size = s.key
	}
	s.body = appendMarked(s.body[:0], s.numbers[1]+uint32(s.videos), key, size, now)
	s.videos++
	return Frame{Type: media.TypeVideo, Due: video, Body: s.body}
}

// Due is when the frame that Next returns is due.
func (s *Source) Due() time.Duration {
	video, audio := s.due()
	return min(video, audio)
}

// AtKey tells that the frame that Next returns is a keyframe.
func (s *Source) AtKey() bool {
	video, audio := s.due()
	return video <= audio && s.videos%int64(s.cfg.GOP) == 0
}

// due is when the next frame of each track is due.
func (s *Source) due() (video, audio time.Duration) {
	video = time.Duration(s.videos) * time.Second / time.Duration(s.cfg.FPS)
	if s.cfg.NoAudio {
		return video, math.MaxInt64
	}
	return video, time.Duration(s.audios) * time.Second / audioRate
}

func appendMarked(b []byte, seq uint32, key bool, size int, now time.Time) []byte {
	frame, nal := byte(0x27), byte(0x41)
	if key {
		frame, nal = 0x17, 0x65
	}
	b = append(b, frame, 1, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(size-9))
	return appendMarker(append(b, nal), seq, size, now)
}

// appendMarker appends a marker, and filler until b has size bytes.
func appendMarker(b []byte, seq uint32, size int, now time.Time) []byte {
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint32(b, seq)
	b = binary.BigEndian.AppendUint64(b, uint64(now.UnixNano()))
	sum := len(b)
	b = binary.BigEndian.AppendUint32(b, 0)
	for len(b) < size {
		b = append(b, byte(seq))
	}
	binary.BigEndian.PutUint32(b[sum:], crc32.ChecksumIEEE(b[sum+4:]))
	return b
}

// Marker is what a viewer finds in a body.
type Marker struct {
	Seq    uint32
	Sent   time.Time
	Intact bool // the checksum is right
}

// Read finds the marker of a video body; ok = false if it has none (a sequence
// header, another publisher's frame).
func Read(body []byte) (m Marker, ok bool) { return readAt(body, magicAt) }

// ReadAudio finds the marker of an audio body.
func ReadAudio(body []byte) (m Marker, ok bool) { return readAt(body, audioAt) }

// ReadElementary finds the marker of one access unit, or of one audio frame, as it
// is without a container.
func ReadElementary(unit []byte) (m Marker, ok bool) {
	at := bytes.Index(unit, []byte(magic))
	if at < 0 {
		return Marker{}, false
	}
	return readAt(unit, at)
}

func readAt(body []byte, at int) (m Marker, ok bool) {
	if len(body) < at+markerSize || !bytes.Equal(body[at:at+len(magic)], []byte(magic)) {
		return Marker{}, false
	}
	b := body[at+len(magic):]
	return Marker{
		Seq:    binary.BigEndian.Uint32(b),
		Sent:   time.Unix(0, int64(binary.BigEndian.Uint64(b[4:]))),
		Intact: binary.BigEndian.Uint32(b[12:]) == crc32.ChecksumIEEE(body[at+markerSize:]),
	}, true
}

// Headers are the sequence headers to publish first: H.264 Main 640x360 and
// AAC-LC 44.1 kHz stereo.
func Headers() (video, audio []byte) {
	sps := []byte{
		0x67, 0x4d, 0x40, 0x1e, 0xec, 0xa0, 0x50, 0x17, 0xfc, 0xb8, 0x0b, 0x50, 0x10, 0x10, 0x14, 0x00,
		0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x58, 0xb6, 0x58,
	}
	pps := []byte{0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0}
	video = []byte{0x17, 0, 0, 0, 0, 1, sps[1], sps[2], sps[3], 0xff, 0xe1}
	video = binary.BigEndian.AppendUint16(video, uint16(len(sps)))
	video = append(video, sps...)
	video = append(video, 1)
	video = binary.BigEndian.AppendUint16(video, uint16(len(pps)))
	video = append(video, pps...)
	return video, []byte{0xAF, 0, 0x12, 0x10}
}
