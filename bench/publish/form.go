package publish

import (
	"fmt"

	"tmms/media"
	"tmms/media/amf0"
	"tmms/media/rtmp"
)

// Form is how the bodies of the signal, H.264 and AAC with legacy headers, are
// wrapped. The zero value leaves them as they are.
type Form struct {
	// FourCC writes the headers of Enhanced RTMP v2, avc1 and mp4a; the rest needs it.
	FourCC bool
	// Tracks is how many tracks have the picture, 0 to 8; 0: there is no multitrack
	// header. Many puts all into one body (ManyTracks), else each has its own (OneTrack).
	Tracks int
	Many   bool
	// Nano puts a modifier with this offset in ns, 1 to 999,999, in front of video; 0: none.
	Nano uint32
	// ColorInfo sends colour metadata behind the video's configuration.
	ColorInfo bool
}

// Validate names the first value out of range.
func (f Form) Validate() error {
	const most, nanos = 8, 999_999
	switch {
	case f.Tracks < 0 || f.Tracks > most:
		return fmt.Errorf("publish: %d tracks are not in 0..%d", f.Tracks, most)
	case f.Nano > nanos:
		return fmt.Errorf("publish: an offset of %d ns is not in 0..%d", f.Nano, nanos)
	case !f.FourCC && f != Form{}:
		return fmt.Errorf("publish: %+v needs FourCC", f)
	}
	return nil
}

// publish queues a message whose body is of the signal, in this form.
func (f Form) publish(c *rtmp.ClientConn, m rtmp.Message) {
	if !f.FourCC { // nothing is to be made
		c.Publish(m)
		return
	}
	for _, body := range f.Bodies(m.Type, m.Body) {
		m.Body = body
		c.Publish(m)
	}
}

// Packet types of Enhanced RTMP v2.
const (
	packetMetadata   = 4
	packetMultitrack = 6
	packetModEx      = 7
	manyTracks       = 1 // a multitrack type
)

// Offsets in legacy bodies.
const (
	avcPayload = 2 // composition time and what follows it
	aacPayload = 2
	avcRecord  = 5 // of a configuration
)

// Bodies wraps a body of the signal: it gives one body, or one for each track.
func (f Form) Bodies(typ media.Type, body []byte) [][]byte {
	switch {
	case !f.FourCC:
		return [][]byte{body}
	case typ == media.TypeAudio:
		return [][]byte{append([]byte{0x90 | body[1], 'm', 'p', '4', 'a'}, body[aacPayload:]...)}
	}
	packet, payload := body[1], body[avcPayload:]
	if packet != 0 { // coded frames
		return f.video(body[0]>>4, packet, payload)
	}
	list := f.video(body[0]>>4, packet, body[avcRecord:])
	if f.ColorInfo {
		list = append(list, f.video(body[0]>>4, packetMetadata, colorInfo())...)
	}
	return list
}

// video makes the bodies of one payload.
func (f Form) video(frame, packet byte, payload []byte) [][]byte {
	if f.Tracks == 0 {
		return [][]byte{append(append(f.head(frame, packet), "avc1"...), payload...)}
	}
	if !f.Many {
		list := make([][]byte, f.Tracks)
		for i := range list {
			b := append(f.head(frame, packetMultitrack), packet, 'a', 'v', 'c', '1', byte(i))
			list[i] = append(b, payload...)
		}
		return list
	}
	b := append(f.head(frame, packetMultitrack), manyTracks<<4|packet, 'a', 'v', 'c', '1')
	for i := range f.Tracks {
		n := len(payload)
		b = append(append(b, byte(i), byte(n>>16), byte(n>>8), byte(n)), payload...)
	}
	return [][]byte{b}
}

// head is the first byte of a video body, with the modifier if there is one.
func (f Form) head(frame, packet byte) []byte {
	const size = 3 // of the offset
	if f.Nano == 0 {
		return []byte{0x80 | frame<<4 | packet}
	}
	return []byte{
		0x80 | frame<<4 | packetModEx, size - 1, byte(f.Nano >> 16), byte(f.Nano >> 8), byte(f.Nano), packet,
	}
}

// colorInfo is that of HLG in BT.2020.
func colorInfo() []byte {
	number := func(name string, v float64) amf0.Property { return amf0.Property{Name: name, Value: amf0.Number(v)} }
	return amf0.AppendObject(amf0.AppendString(nil, "colorInfo"), amf0.Property{Name: "colorConfig", Value: amf0.Object(
		number("bitDepth", 10), number("colorPrimaries", 9),
		number("transferCharacteristics", 18), number("matrixCoefficients", 9),
	)})
}
