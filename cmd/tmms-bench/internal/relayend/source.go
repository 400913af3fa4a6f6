package relayend

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"tmms/cluster/relay"
	"tmms/media"
)

// feedTick is how often the source makes the packets that are due.
const feedTick = 5 * time.Millisecond

// source makes the packets of all streams, in real time.
type source struct {
	shape  Shape
	filler []byte

	mu sync.Mutex
	// Guarded by mu.
	streams        []*stream
	packets, bytes int64
}

// stream is one of a source's.
type stream struct {
	writer         *relay.Writer
	began          time.Time // when its first packet is due
	videos, audios int64     // made
	number         uint64    // of the next packet
	packet         media.Packet
}

// newSource publishes the streams; their groups begin at different times.
func newSource(hub *relay.Hub, streams int, shape Shape, now time.Time) (*source, error) {
	key, _ := shape.sizes()
	s := &source{shape: shape, filler: make([]byte, max(key, audioBody)+256), streams: make([]*stream, streams)}
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // filler
	for i := range s.filler {
		s.filler[i] = byte(rng.Uint32())
	}
	for i := range s.streams {
		w, err := hub.Publish(keyOf(i), epoch, relay.LiveOptions{StartedAt: now})
		if err != nil {
			return nil, fmt.Errorf("relayend: %w", err)
		}
		s.streams[i] = &stream{
			writer: w, packet: media.Packet{ID: media.PacketID{Epoch: epoch}},
			began: now.Add(shape.span() * time.Duration(i) / time.Duration(streams)),
		}
	}
	return s, nil
}

// run makes packets until ctx ends.
func (s *source) run(ctx context.Context) error {
	tick := time.NewTicker(feedTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := s.feed(time.Now()); err != nil {
			return err
		}
	}
}

// feed makes the packets that are due at now.
func (s *source) feed(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.streams {
		for {
			video := time.Duration(st.videos) * time.Second / time.Duration(s.shape.FPS)
			audio := time.Duration(st.audios) * time.Second / audioRate
			at := min(video, audio)
			if st.began.Add(at).After(now) {
				break
			}
			if err := s.make(st, at, video <= audio, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// make makes the next packet of a stream. s.mu is held.
func (s *source) make(st *stream, at time.Duration, video bool, now time.Time) error {
	p := &st.packet
	p.DTS, p.Ingested = media.Timestamp(at.Milliseconds()), now.UnixMicro()
	p.Type, p.Kind, p.Codec = media.TypeAudio, media.KindAudio, media.CodecAAC
	size, codec := audioBody, byte(0xAF)
	if video {
		key, delta := s.shape.sizes()
		p.Type, p.Kind, p.Codec = media.TypeVideo, media.KindDelta, media.CodecH264
		size, codec = delta, 0x27
		if st.videos%int64(s.shape.GOP) == 0 {
			p.Kind, size, codec = media.KindKey, key, 0x17
			if st.videos > 0 {
				p.ID.Group, p.ID.Index = p.ID.Group+1, 0
			}
		}
		st.videos++
	} else {
		st.audios++
	}
	p.Body = append(p.Body[:0], s.filler[st.number%256:][:size]...)
	seal(p.Body, codec, st.number)
	if err := st.writer.Append(p); err != nil {
		return fmt.Errorf("relayend: %w", err)
	}
	p.ID.Index++
	st.number++
	s.packets++
	s.bytes += int64(size)
	return nil
}

// made gives how many packets and body bytes there were.
func (s *source) made() (packets, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.packets, s.bytes
}

// sent tells how many packets each stream has had.
func (s *source) sent() []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := make([]uint64, len(s.streams))
	for i, st := range s.streams {
		sent[i] = st.number
	}
	return sent
}

// logs is the memory of all streams' packets, in bytes.
func (s *source) logs() (sum int64) {
	for _, st := range s.streams {
		sum += st.writer.Live().Log().Size()
	}
	return sum
}
