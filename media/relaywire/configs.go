package relaywire

import (
	"bytes"
	"slices"

	"tmms/media"
)

// Header is the configuration of one track: an FLV tag body.
type Header struct {
	Type  media.Type
	Track media.TrackID
	Codec media.Codec
	Body  []byte
}

// Configs is what a decoder must have seen before the packets that follow:
//
//	metadata | count (1) | for each: type (1) | codec (1) | track (1) | body
//
// Metadata and bodies have their length in front.
type Configs struct {
	Metadata []byte // FLV script tag body, empty before any
	Headers  []Header
}

func (m *Configs) append(b []byte) []byte {
	b = appendBytes(b, m.Metadata)
	b = append(b, byte(len(m.Headers)))
	for _, h := range m.Headers {
		b = append(b, typeBits(h.Type)<<4|byte(media.KindConfig), byte(h.Codec), byte(h.Track))
		b = appendBytes(b, h.Body)
	}
	return b
}

func (c *cursor) configs() *Configs {
	m := &Configs{Metadata: c.bytes("metadata", media.MaxMessageData)}
	count := int(c.byte())
	if count > 2*media.MaxTracks {
		c.badf("%d configurations, the limit is %d", count, 2*media.MaxTracks)
	}
	for range count {
		first := c.byte()
		t, ok := typeOf(first)
		h := Header{Type: t.Type, Codec: media.Codec(c.byte()), Track: media.TrackID(c.byte())}
		h.Body = c.bytes("configuration", media.MaxCodecConfig)
		if c.err != nil {
			return nil
		}
		if !ok || t.Kind != media.KindConfig || t.Type == media.TypeData || h.Track >= media.MaxTracks || len(h.Body) == 0 {
			c.badf("configuration of type 0x%02x for track %d with %d bytes", first, h.Track, len(h.Body))
			return nil
		}
		m.Headers = append(m.Headers, h)
	}
	return m
}

// Clone copies m with all its bytes; the clone of nil is nil.
func (m *Configs) Clone() *Configs {
	if m == nil {
		return nil
	}
	c := &Configs{Metadata: bytes.Clone(m.Metadata), Headers: slices.Clone(m.Headers)}
	for i := range c.Headers {
		c.Headers[i].Body = bytes.Clone(c.Headers[i].Body)
	}
	return c
}
