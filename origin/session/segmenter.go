package session

import (
	"log/slog"
	"time"

	"tmms/cluster/relay"
	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/hls"
	"tmms/origin/pipeline"
)

// segmenter feeds the HLS pipeline of a stream, where the app has HLS on and HLS
// can carry the codecs. The versions of an epoch's index must rise, so
// there is no second pipeline in an epoch once one has published an index.
type segmenter struct {
	// Set at construction.
	key     media.StreamKey
	epoch   uint64
	resumed bool // the stream had an earlier epoch
	log     *slog.Logger
	writer  *relay.Writer

	pipe   *pipeline.Pipeline // nil: no HLS
	err    error              // why there is none although the app has it on
	logged bool

	held    bool // an index waits until it is known whether the stream stays here
	waiting *hls.Index
}

// publish shows an index to readers.
func (s *segmenter) publish(x *hls.Index) {
	if s.held {
		s.waiting = x
		return
	}
	s.writer.PublishIndex(x)
}

// hold keeps what is published from readers, or lets them see it.
func (s *segmenter) hold(on bool) {
	x := s.waiting
	s.held, s.waiting = on, nil
	if !on && x != nil {
		s.writer.PublishIndex(x)
	}
}

// startRun begins, continues or ends HLS as the app wants it now.
func (s *segmenter) startRun(run uint32, app *state.App, now time.Time) {
	x := s.writer.Live().Index()
	earlier := x != nil && x.Epoch != s.epoch
	if !app.HLS.Enabled {
		s.end()
		s.err = nil
		if earlier {
			s.writer.PublishIndex(nil)
		}
		return
	}
	switch {
	case s.pipe != nil:
		s.pipe.StartRun(now)
	case x == nil || earlier:
		s.err = nil
		if err := s.open(run, app, now); err != nil {
			s.fail(err)
		}
	}
}

// config says how the epoch is cut.
func (s *segmenter) config(app *state.App, now time.Time) pipeline.Config {
	cfg := pipeline.DefaultConfig(s.epoch, uint64(max(now.Unix(), 0)))
	cfg.Segment, cfg.Window = app.HLS.Segment, app.HLS.Window
	cfg.LowLatency, cfg.Part = app.HLS.LowLatency, app.HLS.Part
	cfg.Resumed = s.resumed
	return cfg
}

// open makes a pipeline and tells it the configurations in force.
func (s *segmenter) open(run uint32, app *state.App, now time.Time) error {
	cfg := s.config(app, now)
	if s.resumed {
		_, reported, marks := s.writer.Live().Reported()
		cfg.FirstMSN, cfg.Discontinuities = max(cfg.FirstMSN, reported), marks
	}
	if x := s.writer.Live().Index(); x != nil { // of the earlier epoch
		cfg.FirstMSN = max(cfg.FirstMSN, x.NextMSN())
		cfg.Discontinuities = max(cfg.Discontinuities, x.Discontinuities())
	}
	p, err := pipeline.New(cfg, s.publish)
	if err != nil {
		return err
	}
	s.pipe = p
	p.StartRun(now)
	c := s.writer.Live().Configs()
	if c == nil || run == 0 { // the epoch's first publisher sends its own
		return nil
	}
	if c.Metadata != nil {
		s.write(&media.Packet{
			Run: run, Type: media.TypeData, Kind: media.KindData,
			DTS: s.writer.Live().Reached(), Ingested: now.UnixMicro(), Body: c.Metadata,
		})
	}
	for _, h := range c.Headers {
		s.write(&media.Packet{
			Run: run, Type: h.Type, Kind: media.KindConfig, Codec: h.Codec, Track: h.Track,
			DTS: s.writer.Live().Reached(), Ingested: now.UnixMicro(), Body: h.Body,
		})
	}
	return nil
}

// write gives a packet of the log to the pipeline. A codec that HLS can't carry
// turns HLS off; RTMP and FLV go on.
func (s *segmenter) write(p *media.Packet) {
	if s.pipe == nil {
		return
	}
	if err := s.pipe.Write(p, time.UnixMicro(p.Ingested)); err != nil {
		s.fail(err)
		return
	}
	if s.held {
		return
	}
	if n, chunks, ok := s.pipe.Growing(); ok {
		s.writer.Grow(n, chunks)
	}
}

// fail turns HLS off; that is logged once.
func (s *segmenter) fail(err error) {
	s.end()
	s.err = err
	if !s.logged {
		s.logged = true
		s.log.Warn("stream has no HLS", slog.String("stream", s.key.String()), slog.Uint64("epoch", s.epoch),
			slog.Any("err", err))
	}
}

// leave stops where HLS is: what was not cut yet is left out.
func (s *segmenter) leave() { s.pipe = nil }

// end closes the last segment and marks the index as ended.
func (s *segmenter) end() {
	if s.pipe != nil {
		s.pipe.End()
		s.writer.Grow(hls.Name{}, nil)
		s.pipe = nil
	}
}
