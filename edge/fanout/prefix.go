package fanout

import (
	"tmms/cluster/relay"
	"tmms/media"
	"tmms/media/bytelog"
	"tmms/media/flv"
)

// prefix is what a viewer gets ahead of the log's bytes: rendered once per
// (group, format), immutable.
type prefix struct {
	join  int64 // offset of the join point in the FLV log
	bytes []byte
}

// prefix returns the prefix for a viewer that starts at j.
func (v *view) prefix(j relay.Join) *prefix {
	if p := v.cached.Load(); p != nil && p.join == j.Offset {
		return p
	}
	p := &prefix{join: j.Offset, bytes: render(v.format, j, v.live.Log())}
	v.cached.Store(p)
	return p
}

// render makes metadata, audio headers and video headers, in this order; for FLV
// behind the file header. A place to join at in TS begins with all that is needed.
func render(f Format, j relay.Join, log *bytelog.Log) []byte {
	if f == RTMP || f == TS {
		return appendConfigs(nil, f, j)
	}
	audio, video := tracks(j, log)
	b := appendConfigs(flv.AppendHeader(nil, audio, video), f, j)
	if f == WebSocket {
		b = append(appendWSHeader(nil, len(b)), b...)
	}
	return b
}

// appendConfigs adds the headers with the join point's time, but metadata with
// time 0: ffmpeg takes a script tag with a later time for a track of text.
func appendConfigs(b []byte, f Format, j relay.Join) []byte {
	if m := j.Configs.Metadata; m != nil {
		b = f.appendMessage(b, media.TypeData, 0, m)
	}
	for i := range j.Configs.Headers {
		h := &j.Configs.Headers[i]
		b = f.appendMessage(b, h.Type, j.DTS, h.Body)
	}
	return b
}

// tracks tells which types the stream has, for the FLV header's flags: those
// with a header, and those among the first packets from the join point (MP3
// has no header). Players wait in vain for a track that is announced only.
func tracks(j relay.Join, log *bytelog.Log) (audio, video bool) {
	for i := range j.Configs.Headers {
		audio = audio || j.Configs.Headers[i].Type == media.TypeAudio
		video = video || j.Configs.Headers[i].Type == media.TypeVideo
	}
	const look = 256 // packets; a track is seen within a few frames of the other
	r := log.Reader(j.Offset)
	for range look {
		e, _, ok := r.Next()
		if !ok || audio && video {
			break
		}
		audio = audio || e.Type == media.TypeAudio
		video = video || e.Type == media.TypeVideo
	}
	return audio, video
}
