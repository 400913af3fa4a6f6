package pipeline

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"tmms/media"
	"tmms/media/amf0"
	"tmms/media/flv"
	"tmms/media/id3"
)

// eventScheme is that of an ID3 tag in an emsg box (AOM, Carriage of ID3 Timed
// Metadata in CMAF, section 2).
const eventScheme = "https://aomedia.org/emsg/ID3"

// event is an ID3 tag for a time of the stream.
type event struct {
	dts media.Timestamp
	tag []byte
}

// data takes a data message: the size of the picture from the metadata, and what
// the publisher has to say at this time, such as onTextData or onCuePoint.
func (p *Pipeline) data(pkt *media.Packet) {
	values, err := amf0.DecodeAll(pkt.Body)
	if err == nil && len(values) > 0 && values[0].Text() == "@setDataFrame" {
		values = values[1:]
	}
	if err != nil || len(values) == 0 {
		return // RTMP and FLV pass it on as it is
	}
	switch name := values[0].Text(); {
	case name == "onMetaData":
		p.pictureSize(pkt.Body)
	case strings.HasPrefix(name, "on"):
		p.tag = id3.AppendTXXX(p.tag[:0], name, eventText(values[1:]))
		p.event(event{dts: pkt.DTS, tag: p.tag})
	}
}

// pictureSize is for a codec whose configuration does not tell.
func (p *Pipeline) pictureSize(body []byte) {
	m, ok, err := flv.ParseMetadata(body)
	if err == nil && ok && m.Width >= 1 && m.Height >= 1 && max(m.Width, m.Height) <= math.MaxUint16 {
		p.mux.width, p.mux.height = int(m.Width), int(m.Height)
	}
}

// event puts an event into the open segment, or keeps it for the first one.
// Nobody else keeps a reference to the tag.
func (p *Pipeline) event(e event) {
	s := p.open
	switch {
	case len(e.tag) == 0: // too long
		p.dropped++
	case s == nil && len(p.early) < media.MaxHeldMetadata:
		e.tag = bytes.Clone(e.tag)
		p.early = append(p.early, e)
	case s == nil, s.events+len(e.tag) > media.MaxFragmentEvents:
		p.dropped++
	default:
		s.events += len(e.tag)
		p.scratch = p.mux.event(p.scratch[:0], e)
		s.ts.append(p.scratch)
	}
}

// event muxes an event; MPEG-TS is appended to dst. What does not fit is left out.
func (m *mux) event(dst []byte, e event) []byte {
	if m.mp4 != nil {
		_ = m.mp4.WriteEvent(e.dts, eventScheme, "", e.tag) // full: so many cannot be cues
	}
	if !m.hasTS() {
		return dst
	}
	return m.ts.WriteMetadata(dst, e.dts, e.tag)
}

// eventText is what a data message says behind its name: a text as it is, the
// rest as JSON, several values as an array.
func eventText(values []amf0.Value) string {
	switch {
	case len(values) == 0:
		return ""
	case len(values) > 1:
		return string(appendJSON(nil, amf0.StrictArray(values...)))
	case values[0].Kind == amf0.KindString:
		return values[0].Str
	}
	return string(appendJSON(nil, values[0]))
}

// appendJSON appends a value, with the properties of an object in their order.
// Its depth is bounded by media.MaxAMFDepth.
func appendJSON(b []byte, v amf0.Value) []byte {
	switch v.Kind {
	case amf0.KindBool:
		return strconv.AppendBool(b, v.True())
	case amf0.KindNumber, amf0.KindDate:
		return appendNumber(b, v.Num)
	case amf0.KindString:
		return appendText(b, v.Str)
	case amf0.KindObject, amf0.KindECMAArray:
		b = append(b, '{')
		for i, p := range v.Props {
			b = append(appendText(appendComma(b, i), p.Name), ':')
			b = appendJSON(b, p.Value)
		}
		return append(b, '}')
	case amf0.KindStrictArray:
		b = append(b, '[')
		for i, p := range v.Props {
			b = appendJSON(appendComma(b, i), p.Value)
		}
		return append(b, ']')
	default:
		return append(b, "null"...)
	}
}

func appendComma(b []byte, i int) []byte {
	if i > 0 {
		b = append(b, ',')
	}
	return b
}

func appendNumber(b []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(b, "null"...)
	}
	return strconv.AppendFloat(b, f, 'g', -1, 64)
}

func appendText(b []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil { // no string is refused
		return append(b, `""`...)
	}
	return append(b, quoted...)
}
