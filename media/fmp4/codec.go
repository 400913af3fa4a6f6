package fmp4

import (
	"fmt"

	"tmms/media"
)

// videoClock is the timescale of video, in Hz, and ticksPerMS a millisecond of it.
const (
	videoClock = 90000
	ticksPerMS = videoClock / 1000
)

// codec is a track whose configuration was read.
type codec struct {
	typ    media.Type
	fourCC string // of the sample entry
	name   string // RFC 6381
	config []byte // the box, or boxes, at the end of the sample entry
	rate   uint32 // timescale, in Hz

	// Of video.
	width, height int     // pixels; 0: not known
	frameRate     float64 // frames per second; 0: not known
	// copy appends a payload as a sample has it. On error dst is returned as it was.
	copy func(dst, payload []byte) ([]byte, error)
	// size reads it off a keyframe, where the configuration does not tell; else nil.
	size func(keyframe []byte) (width, height int, ok bool)

	// Of audio.
	channels, bits int
	// next says how many bytes of a payload, at least 1, its first frame has, and
	// how many samples that is at the rate, at least 1.
	next func(payload []byte) (size, samples int, err error)
}

// opener reads the configuration of a codec.
type opener struct {
	codec media.Codec
	typ   media.Type
	open  func(config []byte) (*codec, error)
}

// open reads the configuration of a track; nil if there is no track.
func open(typ media.Type, t Track) (*codec, error) {
	if t.Codec == media.CodecUnknown {
		return nil, nil //nolint:nilnil // no track is no fault
	}
	for _, o := range &openers {
		if o.codec != t.Codec || o.typ != typ {
			continue
		}
		c, err := o.open(t.Config)
		if err != nil {
			return nil, err
		}
		c.typ = typ
		if typ == media.TypeVideo {
			c.rate = videoClock
		}
		return c, nil
	}
	return nil, fmt.Errorf("%w %s as %s", ErrUnsupported, t.Codec, typ)
}
