package mpegts

import (
	"fmt"

	"tmms/media"
	"tmms/media/aac"
	"tmms/media/h264"
	"tmms/media/mp3"
)

// Stream types (ISO/IEC 13818-1 table 2-34).
const (
	typeMPEG1Audio = 0x03
	typeMPEG2Audio = 0x04
	typeADTS       = 0x0F
	typeH264       = 0x1B
)

// elementary turns the payloads of one codec, as FLV carries them, into what
// PES packets carry.
type elementary interface {
	// append appends the elementary stream bytes of one payload. On error dst is
	// returned as it was.
	append(dst, payload []byte, key bool) ([]byte, error)
	// ticks is how long an audio payload plays.
	ticks(payload []byte) int64
	// streamType may change with what append has seen.
	streamType() byte
	// dropped counts what append left out.
	dropped() uint64
}

// carriage says how MPEG-TS carries a codec.
type carriage struct {
	codec       media.Codec
	typ         media.Type
	streamID    byte
	descriptors []byte // of the PMT
	open        func(config []byte) (elementary, error)
}

// carried is a track whose configuration was read.
type carried struct {
	es          elementary
	streamID    byte
	descriptors []byte
}

// open reads the configuration of a track; nil if there is no track.
func open(typ media.Type, t Track) (*carried, error) {
	if t.Codec == media.CodecUnknown {
		return nil, nil //nolint:nilnil // no track is no fault
	}
	for _, c := range &carriages {
		if c.codec != t.Codec || c.typ != typ {
			continue
		}
		es, err := c.open(t.Config)
		if err != nil {
			return nil, err
		}
		return &carried{es: es, streamID: c.streamID, descriptors: c.descriptors}, nil
	}
	return nil, fmt.Errorf("%w %s as %s", ErrUnsupported, t.Codec, typ)
}

// avc is H.264: AVCC in, Annex B out.
type avc struct{ *h264.Converter }

func openH264(config []byte) (elementary, error) {
	cfg, err := h264.ParseConfig(config)
	if err != nil {
		return nil, err
	}
	c, err := h264.NewConverter(cfg)
	if err != nil {
		return nil, err
	}
	return avc{c}, nil
}

func (a avc) append(dst, payload []byte, key bool) ([]byte, error) {
	return a.Append(dst, payload, key)
}
func (a avc) ticks([]byte) int64 { return 0 }
func (a avc) streamType() byte   { return typeH264 }
func (a avc) dropped() uint64    { return a.Dropped() }

// adts is AAC: raw frames in, ADTS out.
type adts struct{ cfg *aac.Config }

func openAAC(config []byte) (elementary, error) {
	cfg, err := aac.ParseConfig(config)
	if err != nil {
		return nil, err
	}
	if err := cfg.CheckADTS(); err != nil {
		return nil, fmt.Errorf("%w this AAC: %w", ErrUnsupported, err)
	}
	return adts{cfg}, nil
}

func (a adts) append(dst, frame []byte, _ bool) ([]byte, error) { return a.cfg.AppendADTS(dst, frame) }
func (a adts) streamType() byte                                 { return typeADTS }
func (a adts) dropped() uint64                                  { return 0 }
func (a adts) ticks([]byte) int64 {
	return int64(a.cfg.FrameSamples) * Clock / int64(a.cfg.SampleRate)
}

// mpegAudio is MP3: frames pass unchanged.
type mpegAudio struct{ version mp3.Version }

func openMP3(frame []byte) (elementary, error) {
	if len(frame) == 0 {
		return &mpegAudio{}, nil
	}
	h, err := mp3.ParseHeader(frame)
	if err != nil {
		return nil, err
	}
	return &mpegAudio{version: h.Version}, nil
}

func (a *mpegAudio) append(dst, frame []byte, _ bool) ([]byte, error) {
	h, err := mp3.ParseHeader(frame)
	if err != nil {
		return dst, err
	}
	a.version = h.Version
	return append(dst, frame...), nil
}

func (a *mpegAudio) ticks(frame []byte) int64 {
	h, samples, err := mp3.Frames(frame)
	if err != nil {
		return 0
	}
	return int64(samples) * Clock / int64(h.SampleRate)
}

// streamType follows ISO/IEC 13818-1: 0x03 for ISO/IEC 11172-3, 0x04 for the
// lower rates of ISO/IEC 13818-3.
func (a *mpegAudio) streamType() byte {
	if a.version == mp3.MPEG1 {
		return typeMPEG1Audio
	}
	return typeMPEG2Audio
}

func (a *mpegAudio) dropped() uint64 { return 0 }
