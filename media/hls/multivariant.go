package hls

import (
	"strconv"
	"strings"
)

// AppendMultivariant appends the multivariant playlist (RFC 8216 section
// 4.3.4), which is served as APP/STREAM.m3u8: one variant, whose media playlist
// is STREAM/ll.m3u8 with low latency, else STREAM/live.m3u8. stream is the
// stream's name, made of the characters that media.CheckName allows; suffix is
// that of [Index.AppendMedia].
func (x *Index) AppendMultivariant(b []byte, stream, suffix string) []byte {
	b = append(b, "#EXTM3U\n#EXT-X-VERSION:"+version+"\n#EXT-X-STREAM-INF:"...)
	b = x.Variant.append(b)
	b = append(b, '\n')
	if strings.IndexByte(stream, ':') >= 0 {
		b = append(b, "./"...) // or what stands before the colon is a scheme (RFC 3986 section 4.2)
	}
	b = append(b, stream...)
	if x.PartTarget > 0 {
		b = append(b, "/ll.m3u8"...)
	} else {
		b = append(b, "/live.m3u8"...)
	}
	b = append(b, suffix...)
	return append(b, '\n')
}

// append writes the attribute list (RFC 8216 section 4.3.4.2). BANDWIDTH is the
// one that has to be there.
func (v *Variant) append(b []byte) []byte {
	b = append(b, "BANDWIDTH="...)
	b = strconv.AppendInt(b, int64(max(v.PeakBPS, v.AverageBPS, 1)), 10)
	if v.AverageBPS > 0 {
		b = append(b, ",AVERAGE-BANDWIDTH="...)
		b = strconv.AppendInt(b, int64(v.AverageBPS), 10)
	}
	if codecs := v.codecs(); codecs != "" {
		b = append(b, `,CODECS="`...)
		b = append(b, codecs...)
		b = append(b, '"')
	}
	if v.Width > 0 && v.Height > 0 {
		b = append(b, ",RESOLUTION="...)
		b = strconv.AppendInt(b, int64(v.Width), 10)
		b = append(b, 'x')
		b = strconv.AppendInt(b, int64(v.Height), 10)
	}
	if v.FrameRate > 0 {
		b = append(b, ",FRAME-RATE="...)
		b = strconv.AppendFloat(b, v.FrameRate, 'f', 3, 64)
	}
	return b
}

func (v *Variant) codecs() string {
	if v.VideoCodec != "" && v.AudioCodec != "" {
		return v.VideoCodec + "," + v.AudioCodec
	}
	return v.VideoCodec + v.AudioCodec
}
