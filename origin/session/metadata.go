package session

import (
	"tmms/media"
	"tmms/media/amf0"
	"tmms/media/flv"
)

// metadata makes the onMetaData that viewers get: all that the publisher says,
// but what the stream itself shows in its place. A stream whose publisher says
// nothing has one too.
type metadata struct {
	published []amf0.Property // of the publisher's last one
	stale     bool            // it is to be made anew before the next frame
}

// publish takes the publisher's onMetaData.
func (m *metadata) publish(md *flv.Metadata) {
	m.stale = true
	m.published = m.published[:0]
	for _, p := range md.Props {
		if selfContained(p.Value) {
			m.published = append(m.published, p)
		}
	}
}

// selfContained tells that a value means the same among others: references count
// what was in front of them.
func selfContained(v amf0.Value) bool {
	if v.Kind == amf0.KindReference || v.Kind == amf0.KindUnsupported {
		return false
	}
	for i := range v.Props {
		if !selfContained(v.Props[i].Value) {
			return false
		}
	}
	return true
}

// body is the data tag of a stream with these tracks. What the publisher says
// keeps its order, as much of it as [media.MaxMetadata] has room for.
func (m *metadata) body(t *Tracks) []byte {
	m.stale = false
	own := t.metadataProps(m.published)
	props := make([]amf0.Property, 0, len(m.published)+len(own))
	size := 0
	for _, p := range own {
		size += propertySize(p)
	}
	for _, p := range m.published {
		if i := indexOf(own, p.Name); i >= 0 {
			if indexOf(props, p.Name) < 0 {
				props = append(props, own[i])
			}
			continue
		}
		if size += propertySize(p); size > media.MaxMetadata {
			break
		}
		props = append(props, p)
	}
	for _, p := range own {
		if indexOf(props, p.Name) < 0 {
			props = append(props, p)
		}
	}
	return amf0.AppendECMAArray(amf0.AppendString(nil, "onMetaData"), props...)
}

func indexOf(props []amf0.Property, name string) int {
	for i := range props {
		if props[i].Name == name {
			return i
		}
	}
	return -1
}

// propertySize is what p takes in bytes.
func propertySize(p amf0.Property) int { return 2 + len(p.Name) + len(amf0.Append(nil, p.Value)) }

// metadataProps are what is known of the tracks, as onMetaData has it (FLV 10.1
// section E.5, Enhanced RTMP v2 for codecs with a FourCC).
// The number of channels stands there where stereo does not tell it, or if the
// publisher has said it: else players get it anew for no reason.
func (t *Tracks) metadataProps(published []amf0.Property) []amf0.Property {
	said := indexOf(published, "audiochannels") >= 0
	var props []amf0.Property
	number := func(name string, v float64) {
		if v > 0 {
			props = append(props, amf0.Property{Name: name, Value: amf0.Number(v)})
		}
	}
	if v := &t.Video; v.seen {
		props = append(props, amf0.Property{Name: "videocodecid", Value: amf0.Number(float64(v.ID))})
		number("width", float64(v.Width))
		number("height", float64(v.Height))
		number("framerate", v.FPS)
	}
	if a := &t.Audio; a.seen {
		props = append(props, amf0.Property{Name: "audiocodecid", Value: amf0.Number(float64(a.ID))})
		number("audiosamplerate", float64(a.Rate))
		if a.Channels > 0 {
			props = append(props, amf0.Property{Name: "stereo", Value: amf0.Bool(a.Channels > 1)})
		}
		if a.Channels > 2 || said {
			number("audiochannels", float64(a.Channels))
		}
	}
	return append(props, amf0.Property{Name: "server", Value: amf0.String("tmms")})
}
