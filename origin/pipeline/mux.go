package pipeline

import (
	"errors"
	"fmt"

	"tmms/media"
	"tmms/media/fmp4"
	"tmms/media/mpegts"
	"tmms/media/tsmux"
)

// mux makes the segments in the formats that are needed, from the same frames.
type mux struct {
	low bool // set at construction: fragmented MP4 is always needed

	ts   tsmux.Program
	noTS bool        // the epoch had a codec that HLS does not have in MPEG-TS
	mp4  *fmp4.Muxer // nil: no fragmented MP4
	init []byte      // of mp4; nil: not asked for yet
	// Of the picture, in pixels, as the metadata have it; 0: not known.
	width, height int
}

// inTS says whether HLS has the codec in MPEG-TS (HLS Authoring Specification for
// Apple Devices; RFC 8216 section 3.2).
func inTS(c media.Codec) bool {
	switch c {
	case media.CodecUnknown, media.CodecH264, media.CodecAAC, media.CodecMP3, media.CodecAC3, media.CodecEAC3:
		return true
	default:
		return false
	}
}

// check says whether a track can be carried. The error wraps [ErrUnsupported] for
// a codec that cannot, and is the parser's for a bad configuration.
func (m *mux) check(typ media.Type, t mpegts.Track) error {
	if t.Codec == media.CodecUnknown {
		return fmt.Errorf("%w an unknown %s codec", ErrUnsupported, typ)
	}
	both := inTS(t.Codec)
	if both && !m.noTS {
		if err := tsmux.Check(typ, t); err != nil {
			return unsupported(err)
		}
	}
	if both && !m.low && !m.noTS {
		return nil
	}
	return unsupported(fmp4.CheckTrack(typ, fmp4.Track(t)))
}

// unsupported makes the refusals of both formats one.
func unsupported(err error) error {
	if errors.Is(err, mpegts.ErrUnsupported) || errors.Is(err, fmp4.ErrUnsupported) {
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return err
}

// needs says which formats a program needs.
func (m *mux) needs(video, audio mpegts.Track) (ts, mp4 bool) {
	ts = !m.noTS && inTS(video.Codec) && inTS(audio.Codec)
	return ts, m.low || !ts
}

// fits says that the program needs the formats that there are.
func (m *mux) fits(video, audio mpegts.Track) bool {
	ts, mp4 := m.needs(video, audio)
	return ts == m.hasTS() && mp4 == (m.mp4 != nil)
}

func (m *mux) hasTS() bool { return m.ts.Open() && !m.noTS }

// apply begins another program. Nothing may be gathered of the one before. The
// error wraps [ErrUnsupported], or is a parser's.
func (m *mux) apply(video, audio mpegts.Track) error {
	ts, mp4 := m.needs(video, audio)
	m.noTS = !ts
	if ts {
		if _, err := m.ts.Apply(video, audio); err != nil {
			return unsupported(err)
		}
	}
	if !mp4 {
		return nil
	}
	next, err := fmp4.NewMuxer(m.config(video, audio))
	if err != nil {
		return unsupported(err)
	}
	m.mp4, m.init = next, nil
	return nil
}

func (m *mux) config(video, audio mpegts.Track) fmp4.Config {
	return fmp4.Config{Video: fmp4.Track(video), Audio: fmp4.Track(audio), Width: m.width, Height: m.height}
}

// header is the initialization section of the fragments. The first frame has to
// be written: it may tell the size of the picture.
func (m *mux) header() []byte {
	if m.init == nil {
		m.init = m.mp4.AppendInit(nil)
	}
	return m.init
}

// tables appends PAT and PMT.
func (m *mux) tables(dst []byte) []byte {
	if !m.hasTS() {
		return dst
	}
	return m.ts.Tables(dst)
}

// flush appends the audio that MPEG-TS still gathers.
func (m *mux) flush(dst []byte) []byte {
	if !m.hasTS() {
		return dst
	}
	return m.ts.Flush(dst)
}

// reset forgets what fragmented MP4 gathers.
func (m *mux) reset() {
	if m.mp4 != nil {
		m.mp4.Reset()
	}
}

// gathered is what the open fragment has, in bytes.
func (m *mux) gathered() int {
	if m.mp4 == nil {
		return 0
	}
	return m.mp4.Size()
}

// write muxes a frame: MPEG-TS is appended to dst, fragmented MP4 gathered. A
// frame that the latter refuses is not in the former either; dst is returned as
// it was then.
func (m *mux) write(dst []byte, f *tsmux.Frame) ([]byte, error) {
	if err := m.gather(f); err != nil {
		return dst, err
	}
	if !m.hasTS() {
		return dst, nil
	}
	out, err := m.ts.Write(dst, f)
	if err != nil && m.mp4 != nil {
		return dst, nil //nolint:nilerr // it is in the other format
	}
	return out, err
}

// gather gives a frame to the open fragment.
func (m *mux) gather(f *tsmux.Frame) error {
	switch {
	case m.mp4 == nil:
		return nil
	case f.Type == media.TypeVideo:
		return m.mp4.WriteVideo(f.DTS, f.CTO, f.Payload, f.Key)
	}
	return m.mp4.WriteAudio(f.DTS, f.Payload)
}
