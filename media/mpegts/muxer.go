package mpegts

import (
	"errors"
	"fmt"
	"slices"

	"tmms/media"
)

// Clock is the rate of timestamps, in Hz.
const Clock = 90000

// TicksPerMS is one millisecond of timestamps.
const TicksPerMS = Clock / 1000

// TimeOffset is added to every timestamp, in ticks, so that at the start of a
// stream clock references and early presentation times stay above zero.
const TimeOffset = 1400 * TicksPerMS

var (
	// ErrUnsupported is wrapped by the error that refuses a codec, or a form of
	// it, that MPEG-TS cannot carry here.
	ErrUnsupported = errors.New("mpegts: cannot carry")
	// ErrNoTrack is wrapped where a frame comes for a track that was not configured.
	ErrNoTrack = errors.New("mpegts: no such track")
	// ErrNotFlushed says that audio is still gathered where there must be none.
	ErrNotFlushed = errors.New("mpegts: gathered audio was not flushed")
)

// Track is one elementary stream.
type Track struct {
	Codec media.Codec // CodecUnknown: there is no such track
	// Config is the payload of the sequence header: for H.264 an
	// AVCDecoderConfigurationRecord, for HEVC an HEVCDecoderConfigurationRecord, for
	// AAC an AudioSpecificConfig, for Opus its identification header, for MP3, AC-3
	// and E-AC-3 any frame of the stream or nil. The muxer keeps no reference to it.
	Config []byte
}

// Config is what a program consists of.
type Config struct {
	Video, Audio Track // one of them at least
	// Metadata: there is a stream of ID3 tags too.
	Metadata bool
	// Resume continues the counters of an earlier muxer of the same stream.
	Resume *Counters
	// Continue makes the muxer go on as the one that gave it; Resume is ignored then.
	Continue *State
}

// Counters are what a receiver may check across muxers, all modulo their width.
type Counters struct {
	PAT, PMT, Video, Audio, Metadata uint8 // next continuity counter
	Version                          uint8 // of the PMT
}

// Muxer writes one program. It has one owner and does not allocate in steady
// state but for the growth of dst.
type Muxer struct {
	// Set by NewMuxer and Reconfigure.
	video, audio stream
	pictures     pictures // of video; nil: the track does not exist
	sounds       sounds   // of audio; likewise
	metadata     metadata
	tables       tables

	clock   clock
	gather  gather // audio frames of the open PES packet
	unit    unit   // the PES packet of other things that is being written
	scratch []byte // an audio frame
}

// NewMuxer makes a muxer. The error wraps [ErrUnsupported], is the parser's for a
// bad configuration, or [ErrState].
func NewMuxer(cfg Config) (*Muxer, error) {
	m := &Muxer{video: stream{pid: pid{id: videoPID}}, audio: stream{pid: pid{id: audioPID}}}
	m.tables.pat.id, m.tables.pmt.id, m.metadata.stream.pid.id = patPID, pmtPID, metadataPID
	if cfg.Continue != nil {
		if err := m.restore(cfg.Continue); err != nil {
			return nil, err
		}
	} else if r := cfg.Resume; r != nil {
		m.tables.pat.next, m.tables.pmt.next, m.video.pid.next, m.audio.pid.next = r.PAT, r.PMT, r.Video, r.Audio
		m.metadata.stream.pid.next = r.Metadata
		m.tables.version = r.Version // the first tables differ from none: it is raised
	} else {
		m.tables.version = maxVersion // raised to 0
	}
	if err := m.Reconfigure(cfg); err != nil || cfg.Continue == nil {
		return m, err
	}
	m.clock = cfg.Continue.clock()
	return m, nil
}

// Reconfigure changes the tracks, at a cut: after Flush and before WriteTables.
// The version of the PMT rises if the PMT changed; counters and clock go on.
// On error nothing has changed. Resume and Continue are ignored here.
func (m *Muxer) Reconfigure(cfg Config) error {
	if m.Gathers() {
		return ErrNotFlushed
	}
	if cfg.Video.Codec == media.CodecUnknown && cfg.Audio.Codec == media.CodecUnknown {
		return fmt.Errorf("%w a program without tracks", ErrUnsupported)
	}
	video, videoID, err := open(videoCarriages, media.TypeVideo, cfg.Video)
	if err != nil {
		return err
	}
	audio, audioID, err := open(audioCarriages, media.TypeAudio, cfg.Audio)
	if err != nil {
		return err
	}
	m.pictures, m.sounds = video, audio
	m.video.reset(video, videoID)
	m.audio.reset(audio, audioID)
	m.metadata.on = cfg.Metadata
	m.renderTables()
	return nil
}

// CheckTrack says whether a track of the type can be carried, as NewMuxer would.
func CheckTrack(typ media.Type, t Track) error {
	var err error
	if typ == media.TypeVideo {
		_, _, err = open(videoCarriages, typ, t)
	} else {
		_, _, err = open(audioCarriages, typ, t)
	}
	return err
}

// Counters gives what another muxer needs to continue this one.
func (m *Muxer) Counters() Counters {
	return Counters{
		PAT: m.tables.pat.next, PMT: m.tables.pmt.next,
		Video: m.video.pid.next, Audio: m.audio.pid.next, Metadata: m.metadata.stream.pid.next,
		Version: m.tables.version,
	}
}

// AppendBreaks appends, for each PID of the program, a packet without payload
// that has the discontinuity indicator and the counter that the next packet of
// the PID goes on from (ISO/IEC 13818-1 sections 2.4.3.3 and 2.4.3.5): for a
// receiver that goes on here without what comes between. It changes nothing.
func (m *Muxer) AppendBreaks(dst []byte) []byte {
	pids := m.pids()
	for i, there := range [...]bool{true, true, m.video.es != nil, m.audio.es != nil, m.metadata.on} {
		if there {
			p := *pids[i]
			dst = p.appendEmpty(dst, adaptation{discontinuity: true})
		}
	}
	return dst
}

// Dropped counts the parts of video access units that were left out, such as
// empty NAL units, since the last Reconfigure.
func (m *Muxer) Dropped() uint64 {
	if m.pictures == nil {
		return 0
	}
	return m.pictures.Dropped()
}

// WriteTables appends PAT and PMT, as each segment starts with. In between the
// muxer repeats them by itself.
func (m *Muxer) WriteTables(dst []byte) []byte {
	m.clock.tablesWritten()
	return m.tables.append(dst)
}

// WriteVideo appends one access unit: payload as FLV carries it (H.264 and HEVC:
// length-prefixed), key says that decoding can start here. On error dst is returned as it was and
// the muxer can go on; the error wraps [ErrNoTrack] or is the codec's.
func (m *Muxer) WriteVideo(dst []byte, pts, dts int64, payload []byte, key bool) ([]byte, error) {
	if m.pictures == nil {
		return dst, fmt.Errorf("%w: video", ErrNoTrack)
	}
	u := &m.unit
	u.begin()
	parts, err := m.pictures.Append(u.parts, payload, key)
	if err != nil {
		return dst, err
	}
	u.parts = parts
	pts, dts, err = m.video.order(pts, dts)
	if err != nil {
		u.drop()
		return dst, err
	}
	if m.gather.late(dts) {
		dst = m.Flush(dst)
	}
	u.finish(m.video.streamID, pts, dts)
	return m.appendUnit(dst, &m.video.pid, u, m.clock.at(dts), m.pictures.Keyframe()), nil
}

// WriteAudio takes one frame as FLV carries it (AAC: raw). Frames are gathered
// into PES packets of at most [MaxGather]; dst grows when one is full. An empty
// frame is ignored. Errors are as for WriteVideo.
func (m *Muxer) WriteAudio(dst []byte, pts int64, frame []byte) ([]byte, error) {
	a := &m.audio
	if m.sounds == nil {
		return dst, fmt.Errorf("%w: audio", ErrNoTrack)
	}
	if len(frame) == 0 {
		return dst, nil
	}
	es, err := m.sounds.append(m.scratch[:0], frame)
	if err != nil {
		return dst, err
	}
	if len(es) > maxAudioES { // it may be as large as a message: it is not kept
		return dst, fmt.Errorf("%w an audio frame of %d bytes, a PES packet has at most %d",
			ErrUnsupported, len(es), maxAudioES)
	}
	m.scratch = es
	if a.streamType != m.sounds.streamType() { // MP3 that goes from MPEG-1 to MPEG-2 rates
		dst = m.Flush(dst)
		a.streamType = m.sounds.streamType()
		m.renderTables()
	}
	if !m.gather.fits(pts, len(es)) {
		dst = m.Flush(dst)
	}
	m.gather.add(pts, m.sounds.ticks(frame), es)
	if m.gather.full() {
		dst = m.Flush(dst)
	}
	return dst, nil
}

// Gathers tells that there is audio for Flush.
func (m *Muxer) Gathers() bool { return len(m.gather.es) > 0 }

// Flush appends the audio that is still gathered; call it before a cut.
func (m *Muxer) Flush(dst []byte) []byte {
	if !m.Gathers() {
		return dst
	}
	pts := m.audio.grow(m.gather.pts)
	u := &m.gather.unit
	u.begin()
	u.parts = append(u.parts, m.gather.es)
	u.finish(m.audio.streamID, pts, pts)
	t := m.clock.at(pts)
	if m.pictures == nil {
		dst = m.appendUnit(dst, &m.audio.pid, u, t, true)
	} else {
		t -= m.video.lag + audioAhead
		dst = m.advance(dst, t)
		dst = m.audio.pid.appendPackets(dst, u)
	}
	m.gather.reset()
	return dst
}

// advance moves the clock with packets that carry nothing else, so that neither
// it nor the tables are overdue at the time t.
func (m *Muxer) advance(dst []byte, t int64) []byte {
	m.clock.start(t + audioAhead) // as if video were there at the same time
	for n := m.clock.due(t); n > 1; n-- {
		dst = m.appendClock(dst, m.clock.next(n, t))
	}
	return m.clock.appendTables(dst, t, &m.tables)
}

// appendClock appends a packet that has only the clock reference t. It is not
// counted (ISO/IEC 13818-1 section 2.4.3.3).
func (m *Muxer) appendClock(dst []byte, t int64) []byte {
	dst = m.clock.appendTables(dst, t, &m.tables)
	return m.pcrPID().appendEmpty(dst, m.clock.reference(t))
}

// appendUnit appends the PES packet of the track that carries the clock. The
// references that are due up to t ride on its packets; where there are many the
// packets are kept short, so that each has a payload and is counted: some
// analysers take the others for lost ones. Only what the unit is too small for
// goes in front, in packets without payload.
func (m *Muxer) appendUnit(dst []byte, p *pid, u *unit, t int64, random bool) []byte {
	c := &m.clock
	n := 1 // the first one
	if c.given {
		n = c.due(t)
	}
	for ; n > 1 && n > u.size-pesHeaderSize; n-- {
		dst = m.appendClock(dst, c.next(n, t))
	}
	dst = slices.Grow(dst, (u.size/roomSize+n+4)*packetSize)
	if n == 0 {
		dst = c.appendTables(dst, t, &m.tables)
	}
	for first := true; first || n > 0; first = false {
		var af adaptation
		if n > 0 {
			at := c.next(n, t)
			dst = c.appendTables(dst, at, &m.tables)
			af = c.reference(at)
			n--
		}
		af.random = first && random
		dst = p.appendPacket(dst, u, min(roomSize-af.size(), u.size-n), first, af)
	}
	return p.appendRest(dst, u)
}

// pcrPID is where clock references go: video, else audio.
func (m *Muxer) pcrPID() *pid {
	if m.video.es != nil {
		return &m.video.pid
	}
	return &m.audio.pid
}
