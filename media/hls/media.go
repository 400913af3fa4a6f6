package hls

import (
	"strconv"
	"time"
)

// version is the lowest EXT-X-VERSION that allows what we write: decimals in
// EXTINF (RFC 8216 section 7).
const version = "3"

// timeFormat is that of EXT-X-PROGRAM-DATE-TIME (RFC 8216 section 4.3.2.6).
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// AppendMedia appends the media playlist (RFC 8216 section 4.3.3), which is
// served as APP/STREAM/live.m3u8. suffix goes behind every URI: "" or a query
// such as "?token=...", valid and escaped already.
func (x *Index) AppendMedia(b []byte, suffix string) []byte {
	listed := x.Playlist()
	b = append(b, "#EXTM3U\n#EXT-X-VERSION:"+version+"\n#EXT-X-TARGETDURATION:"...)
	b = strconv.AppendInt(b, int64(x.Target.Round(time.Second)/time.Second), 10)
	b = append(b, "\n#EXT-X-MEDIA-SEQUENCE:"...)
	var first uint64
	if len(listed) > 0 {
		first = listed[0].MSN
	}
	b = strconv.AppendUint(b, first, 10)
	b = append(b, "\n#EXT-X-DISCONTINUITY-SEQUENCE:"...)
	b = strconv.AppendUint(b, x.DiscontinuitySequence, 10)
	b = append(b, '\n')
	if x.Independent {
		b = append(b, "#EXT-X-INDEPENDENT-SEGMENTS\n"...)
	}
	for _, s := range listed {
		b = s.append(b, suffix)
	}
	if x.Ended {
		b = append(b, "#EXT-X-ENDLIST\n"...)
	}
	return b
}

// append renders a segment's tags and URI (RFC 8216 section 4.3.2).
func (s *Segment) append(b []byte, suffix string) []byte {
	if s.Discontinuity {
		b = append(b, "#EXT-X-DISCONTINUITY\n"...)
	}
	b = append(b, "#EXT-X-PROGRAM-DATE-TIME:"...)
	b = s.ProgramTime.UTC().AppendFormat(b, timeFormat)
	b = append(b, "\n#EXTINF:"...)
	b = appendSeconds(b, s.Duration)
	b = append(b, ",\n"...)
	b = Name{Epoch: s.Epoch, MSN: s.MSN}.Append(b)
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
