package session

import (
	"log/slog"
	"math"
	"time"

	"tmms/cluster/relay"
	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/rtmp"
	"tmms/origin/pipeline"
)

// inherit makes HLS go on where the owner before has left it, whose standby in sync
// this node was: its open segment is closed with what has come of it. Where that
// can't be, the next publisher begins a new playlist.
func (q *sequencer) inherit(app *state.App, now time.Time) {
	s := &q.segments
	x := q.writer.Live().Index()
	if !app.HLS.Enabled || x == nil {
		return
	}
	h, err := pipeline.Inherit(s.config(app, now), x, s.publish)
	if err == nil {
		offer(h, q.writer.Live())
		s.pipe, err = h.Take()
	}
	if err != nil {
		s.pipe = nil
		s.log.Info("the playlist begins anew", slog.String("stream", s.key.String()), slog.Uint64("epoch", s.epoch),
			slog.Any("err", err))
	}
}

// offer gives an heir all that the log has.
func offer(h *pipeline.Heir, live *relay.Live) {
	j, ok := live.Join(math.MaxInt64)
	if !ok {
		return
	}
	for _, p := range packetsOf(j.Configs) {
		h.Offer(&p, time.Time{})
	}
	for r := live.Log().Reader(j.Offset); ; {
		e, raw, ok := r.Next()
		if !ok {
			return
		}
		p := media.Packet{
			ID: e.ID, Run: e.Run, Type: e.Type, Kind: e.Kind, Codec: e.Codec, Track: e.Track,
			DTS: e.DTS - live.Ahead(e.ID.Epoch), CTO: e.CTO,
			Ingested: e.Ingested, Body: e.Body(raw),
		}
		h.Offer(&p, time.UnixMicro(e.Ingested))
	}
}

// packetsOf gives the configs as packets without a place in the stream.
func packetsOf(c *relay.Configs) (list []media.Packet) {
	if c == nil {
		return nil
	}
	if c.Metadata != nil {
		list = append(list, media.Packet{Type: media.TypeData, Kind: media.KindData, Body: c.Metadata})
	}
	for _, h := range c.Headers {
		list = append(list, media.Packet{
			Type: h.Type, Kind: media.KindConfig, Codec: h.Codec, Track: h.Track, Body: h.Body,
		})
	}
	return list
}

// inForce lists the metadata and the configurations that the next frame needs, as a
// publisher sends them.
func (q *sequencer) inForce() (list []rtmp.Message) {
	packets := packetsOf(q.writer.Live().Configs())
	for _, h := range q.headers.held {
		packets = append(packets, h.Packet)
	}
	for _, p := range packets {
		list = append(list, rtmp.Message{Type: p.Type, Body: p.Body})
	}
	return list
}
