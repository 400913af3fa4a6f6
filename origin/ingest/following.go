package ingest

import (
	"bytes"
	"slices"
	"time"

	"tmms/media"
	"tmms/media/flv"
	"tmms/media/rtmp"
)

// following is a connection's hold on a stream that may get another owner: it knows
// what the next one must be told first.
type following struct {
	publisher

	kept    kept
	waiting bool // for a keyframe: it goes on with a stream that others have begun
	exact   bool // the first message is what to begin with, whatever it is
}

// Write implements publisher.
func (f *following) Write(m rtmp.Message, now time.Time) error {
	info, err := flv.Describe(m.Type, m.Body)
	header := err == nil && f.kept.note(m, &info)
	if !f.waiting {
		return f.publisher.Write(m, now)
	}
	if err != nil || header || !f.exact && !f.begins(m.Type, &info) {
		return nil //nolint:nilerr // what can't be read is no keyframe
	}
	f.waiting = false
	for _, h := range f.kept.list {
		h.Timestamp = m.Timestamp
		if err := f.publisher.Write(h.Message, now); err != nil {
			return err
		}
	}
	return f.publisher.Write(m, now)
}

// begins says that decoding can start with a message: with a keyframe, or without
// video.
func (f *following) begins(typ media.Type, info *flv.Info) bool {
	switch info.Kind {
	case media.KindKey:
		return true
	case media.KindAudio:
		return typ == media.TypeAudio && !f.kept.video
	default:
		return false
	}
}

// kept are the headers in force, at most one of each kind and track.
type kept struct {
	list  []keptHeader
	video bool // there is video
}

type keptHeader struct {
	rtmp.Message

	track   media.TrackID
	several bool // of one message
	beside  bool
}

// mostKept bounds the headers of one stream: two for each track, those of several
// tracks at once, and the metadata.
const mostKept = 2*media.MaxTracks + 3

// note keeps a copy of a header; it says whether m is one.
func (k *kept) note(m rtmp.Message, info *flv.Info) bool {
	k.video = k.video || m.Type == media.TypeVideo
	metadata := m.Type == media.TypeData && flv.IsMetadata(m.Body)
	if !metadata && info.Kind != media.KindConfig && !info.Beside {
		return false
	}
	if limit := media.MaxCodecConfig; !metadata && len(m.Body) > limit || len(m.Body) > media.MaxMetadata {
		return true
	}
	h := keptHeader{Message: m, track: info.Track, several: info.Several, beside: info.Beside}
	h.Body = bytes.Clone(m.Body)
	i := slices.IndexFunc(k.list, func(o keptHeader) bool {
		return o.Type == h.Type && o.track == h.track && o.several == h.several && o.beside == h.beside
	})
	switch {
	case i >= 0:
		k.list[i] = h
	case len(k.list) < mostKept:
		k.list = append(k.list, h)
	}
	return true
}

// take notes headers that another has kept.
func (k *kept) take(headers []rtmp.Message) {
	for _, m := range headers {
		if info, err := flv.Describe(m.Type, m.Body); err == nil {
			k.note(m, &info)
		}
	}
}
