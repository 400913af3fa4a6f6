package fmp4

import (
	"encoding/binary"
	"errors"
	"fmt"

	"tmms/media"
)

// maxTime bounds stream time in ms, 4,000 years, so that no clock overflows.
const maxTime = 1 << 37

var (
	// ErrUnsupported is wrapped by the error that refuses a codec, a form of it, or
	// a frame, that cannot be carried here; the message names it.
	ErrUnsupported = errors.New("fmp4: cannot carry")
	// ErrNoTrack is wrapped where a frame comes for a track that was not configured.
	ErrNoTrack = errors.New("fmp4: no such track")
	// ErrFull is wrapped where the open fragment takes no more: it is to be written first.
	ErrFull = errors.New("fmp4: the open fragment is full")
)

// Track is one elementary stream.
type Track struct {
	Codec media.Codec // CodecUnknown: there is no such track
	// Config is the payload of the sequence header as FLV and Enhanced RTMP v2 carry
	// it: avcC, hvcC, av1C, vpcC, AudioSpecificConfig, OpusHead, the header of a FLAC
	// stream. For MP3, AC-3 and E-AC-3 it is a frame of the stream. The muxer keeps
	// no reference to it.
	Config []byte
}

// Config is what a file consists of.
type Config struct {
	Video, Audio Track // one of them at least
	// Width and Height of the picture in pixels are for a codec whose configuration
	// does not tell; 0: not known.
	Width, Height int
}

// Muxer writes one file: a beginning and fragments. It has one owner, and does
// not allocate in steady state but for the growth of dst.
type Muxer struct {
	video    run
	audio    run
	clock    clock // of audio
	events   events
	sequence uint32 // of the last fragment
}

// NewMuxer makes a muxer. The error wraps [ErrUnsupported], or is the parser's
// for a bad configuration.
func NewMuxer(cfg Config) (*Muxer, error) {
	if cfg.Video.Codec == media.CodecUnknown && cfg.Audio.Codec == media.CodecUnknown {
		return nil, fmt.Errorf("%w a file without tracks", ErrUnsupported)
	}
	video, err := open(media.TypeVideo, cfg.Video)
	if err != nil {
		return nil, err
	}
	audio, err := open(media.TypeAudio, cfg.Audio)
	if err != nil {
		return nil, err
	}
	if video != nil && (video.width == 0 || video.height == 0) {
		video.picture(cfg.Width, cfg.Height, 0, 0)
	}
	return &Muxer{video: run{codec: video, entry: videoSample}, audio: run{codec: audio, entry: audioSample}}, nil
}

// CheckTrack says whether a track of the type can be carried, as NewMuxer would.
func CheckTrack(typ media.Type, t Track) error {
	_, err := open(typ, t)
	return err
}

// admit says whether the open fragment may take a frame of n bytes.
func (m *Muxer) admit(r *run, dts media.Timestamp, n int) error {
	switch {
	case r.codec == nil:
		return ErrNoTrack
	case dts > maxTime || dts < -maxTime:
		return fmt.Errorf("%w a DTS of %d ms, the limit is %d", ErrUnsupported, dts, int64(maxTime))
	case n > media.MaxMessageVideo:
		return fmt.Errorf("%w a frame of %d bytes, the limit is %d", ErrUnsupported, n, media.MaxMessageVideo)
	case m.Size() >= media.MaxHLSSegmentBytes:
		return fmt.Errorf("%w: it has %d bytes, the limit is %d", ErrFull, m.Size(), media.MaxHLSSegmentBytes)
	}
	return nil
}

// WriteVideo copies one access unit into the open fragment: payload as FLV
// carries it, presented cto ms after the stream time dts; key says that decoding
// can start here. A DTS that repeats, or falls, comes out one tick later than
// the one before; presentation does not move. On error nothing has changed; it wraps
// [ErrNoTrack], [ErrFull], [ErrUnsupported], [ErrMalformed] or the codec's.
func (m *Muxer) WriteVideo(dts media.Timestamp, cto int32, payload []byte, key bool) error {
	v := &m.video
	if err := m.admit(v, dts, len(payload)); err != nil {
		return err
	}
	due := int64(dts) * ticksPerMS
	t, err := v.at(due)
	if err != nil {
		return err
	}
	offset := due + int64(cto)*ticksPerMS - t
	if offset != int64(int32(offset)) {
		return fmt.Errorf("%w a composition offset of %d ticks", ErrUnsupported, offset)
	}
	data, err := v.codec.copy(v.data, payload)
	if err != nil {
		return err
	}
	n := len(data) - len(v.data)
	if n == 0 {
		return fmt.Errorf("%w: access unit of %d bytes with nothing in it", ErrMalformed, len(payload))
	}
	v.data = data
	v.begin(t, n)
	flags := uint32(flagsDelta)
	if key {
		flags = flagsSync
		v.codec.learn(payload)
	}
	v.table = binary.BigEndian.AppendUint32(v.table, flags)
	v.table = binary.BigEndian.AppendUint32(v.table, uint32(int32(offset)))
	return nil
}

// WriteAudio copies one frame, or a message with several of MP3, into the open
// fragment. Frames follow each other by the samples they hold; they follow the
// stream time dts only where both have drifted apart. An empty frame is ignored.
// Errors are as for WriteVideo; frames in front of the one at fault stay.
func (m *Muxer) WriteAudio(dts media.Timestamp, frame []byte) error {
	a := &m.audio
	if err := m.admit(a, dts, len(frame)); err != nil {
		return err
	}
	rate := int64(a.codec.rate)
	for due := int64(dts) * rate / 1000; len(frame) > 0; {
		size, samples, err := a.codec.next(frame)
		if err != nil {
			return err
		}
		inStep := m.clock.inStep(due, int64(samples), rate)
		t := due
		if inStep {
			t = m.clock.next
		}
		if t, err = a.at(t); err != nil {
			return err
		}
		a.data = append(a.data, frame[:size]...)
		a.begin(t, size)
		m.clock.step(t, due, int64(samples), inStep)
		due += int64(samples)
		frame = frame[size:]
	}
	return nil
}

// WriteEvent keeps timed metadata, which stands as an emsg box in front of the
// next fragment: data of a scheme, such as https://aomedia.org/emsg/ID3, for the
// stream time dts. The error wraps [ErrFull] or [ErrUnsupported].
func (m *Muxer) WriteEvent(dts media.Timestamp, scheme, value string, data []byte) error {
	rate := int64(videoClock)
	if m.video.codec == nil {
		rate = int64(m.audio.codec.rate)
	}
	if dts > maxTime || dts < 0 {
		return fmt.Errorf("%w an event at %d ms, the limits are 0 and %d", ErrUnsupported, dts, int64(maxTime))
	}
	return m.events.add(event{at: int64(dts) * rate / 1000, rate: uint32(rate), scheme: scheme, value: value, data: data})
}

// Gathers tells that there are frames in the open fragment.
func (m *Muxer) Gathers() bool { return len(m.video.table) > 0 || len(m.audio.table) > 0 }

// Size is the payload gathered in the open fragment, in bytes.
func (m *Muxer) Size() int { return len(m.video.data) + len(m.audio.data) }

// Reset forgets the open fragment, its events too.
func (m *Muxer) Reset() {
	m.video.reset()
	m.audio.reset()
	m.events.boxes = m.events.boxes[:0]
}
