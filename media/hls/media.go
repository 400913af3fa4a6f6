package hls

import (
	"strconv"
	"time"
)

// The lowest EXT-X-VERSION that allows what a playlist has (RFC 8216 section 7,
// draft-pantos-hls-rfc8216bis section 8).
const (
	version     = "3" // decimals in EXTINF
	versionMap  = "6" // EXT-X-MAP
	versionSkip = "9" // EXT-X-SKIP
)

// timeFormat is that of EXT-X-PROGRAM-DATE-TIME (RFC 8216 section 4.3.2.6).
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// AppendMedia appends the media playlist (RFC 8216 section 4.3.3), which is
// served as APP/STREAM/live.m3u8: of segments in MPEG-TS, and in fragmented MP4
// where a segment has no other. suffix goes behind every URI: "" or a query such
// as "?token=...", valid and escaped already.
func (x *Index) AppendMedia(b []byte, suffix string) []byte {
	v := version
	for _, s := range x.Playlist() {
		if s.TS == nil && s.MP4 != nil {
			v = versionMap
		}
	}
	b = x.appendHead(b, v)
	b = x.appendSequence(b)
	var before *Segment
	for _, s := range x.Playlist() {
		kind := NameTS
		if s.TS == nil && s.MP4 != nil {
			kind = NameMP4
		}
		b = s.appendTags(b, before, kind, suffix)
		b = s.append(b, kind, suffix)
		if kind == NameMP4 {
			before = s
		}
	}
	if x.Ended {
		b = append(b, "#EXT-X-ENDLIST\n"...)
	}
	return b
}

func (x *Index) appendHead(b []byte, version string) []byte {
	b = append(b, "#EXTM3U\n#EXT-X-VERSION:"...)
	b = append(b, version...)
	b = append(b, "\n#EXT-X-TARGETDURATION:"...)
	b = strconv.AppendInt(b, int64(x.Target.Round(time.Second)/time.Second), 10)
	return append(b, '\n')
}

func (x *Index) appendSequence(b []byte) []byte {
	var first uint64
	if listed := x.Playlist(); len(listed) > 0 {
		first = listed[0].MSN
	}
	b = append(b, "#EXT-X-MEDIA-SEQUENCE:"...)
	b = strconv.AppendUint(b, first, 10)
	b = append(b, "\n#EXT-X-DISCONTINUITY-SEQUENCE:"...)
	b = strconv.AppendUint(b, x.DiscontinuitySequence, 10)
	b = append(b, '\n')
	if x.Independent {
		b = append(b, "#EXT-X-INDEPENDENT-SEGMENTS\n"...)
	}
	return b
}

// appendTags renders what stands in front of a segment and its parts (RFC 8216
// section 4.3.2). before is the last segment in front of it that EXT-X-MAP holds
// for; nil: there is none.
func (s *Segment) appendTags(b []byte, before *Segment, kind NameKind, suffix string) []byte {
	if s.Discontinuity {
		b = append(b, "#EXT-X-DISCONTINUITY\n"...)
	}
	if kind == NameMP4 && (before == nil || before.Epoch != s.Epoch || before.Init != s.Init) {
		b = append(b, `#EXT-X-MAP:URI="`...)
		b = Name{Kind: NameInit, Epoch: s.Epoch, Number: uint64(s.Init)}.Append(b)
		b = append(b, suffix...)
		b = append(b, "\"\n"...)
	}
	b = append(b, "#EXT-X-PROGRAM-DATE-TIME:"...)
	b = s.ProgramTime.UTC().AppendFormat(b, timeFormat)
	return append(b, '\n')
}

// append renders the duration and the URI.
func (s *Segment) append(b []byte, kind NameKind, suffix string) []byte {
	b = append(b, "#EXTINF:"...)
	b = appendSeconds(b, s.Duration)
	b = append(b, ",\n"...)
	b = Name{Kind: kind, Epoch: s.Epoch, MSN: s.MSN}.Append(b)
	b = append(b, suffix...)
	return append(b, '\n')
}

// appendSeconds writes decimal seconds with three digits behind the point, six
// if d is no whole number of milliseconds.
func appendSeconds(b []byte, d time.Duration) []byte {
	us := d.Round(time.Microsecond).Microseconds()
	b = strconv.AppendInt(b, us/1e6, 10)
	b = append(b, '.')
	frac, digits := us%1e6, int64(1e5)
	if frac%1e3 == 0 {
		frac, digits = frac/1e3, 1e2
	}
	for ; digits > 0; digits /= 10 {
		b = append(b, byte('0'+frac/digits%10))
	}
	return b
}
