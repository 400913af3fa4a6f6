package relay

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"flag"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tmms/cluster/fabric"
	"tmms/cluster/pki"
	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/relaywire"
)

var siegeFor = flag.Duration("siege", 0, "how long each attack lasts; 0: a moment")

// siegeTime is how long each attack lasts.
func siegeTime() time.Duration {
	if *siegeFor > 0 {
		return *siegeFor
	}
	return 700 * time.Millisecond
}

// subscribeTo is a whole request for a stream.
func subscribeTo(id uint64) []byte {
	b := relaywire.AppendHello(nil, relaywire.StreamSubscribe)
	return relaywire.AppendMessage(b, relaywire.Subscribe{ID: id, Key: key("a"), Epoch: 7})
}

// Attacks on the owner of a stream by a node of the cluster that has turned
// hostile: the healthy subscription beside it misses nothing.
//
// CASES.md, hostile input; issue 6, line 7.
func TestHostileSubscriber(t *testing.T) {
	s := besiege(t)
	for _, tc := range []struct {
		name     string
		sessions int
	}{
		{"stream-flood", 16}, {"reset-flood", 4}, {"slow-reader", 1}, {"slow-sender", 4}, {"oversized", 4}, {"uni-flood", 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s.t = t
			s.attack(tc.name, siegeTime(), func(ctx context.Context) { s.raid(ctx, tc.name, tc.sessions) })
		})
	}
}

// raids are the attacks by name; each works on one session.
func raids() map[string]func(ctx context.Context, c *fabric.Session) {
	return map[string]func(ctx context.Context, c *fabric.Session){
		"stream-flood": streamFlood, "reset-flood": resetFlood, "slow-reader": slowReader, "slow-sender": slowSender,
		"oversized": oversized, "uni-flood": uniFlood,
	}
}

// streamFlood opens all streams that it may, and says the first byte on each.
func streamFlood(ctx context.Context, c *fabric.Session) {
	for {
		stream, err := c.Open(ctx)
		if err != nil {
			return
		}
		_, _ = stream.Write([]byte{byte(relaywire.StreamSubscribe)})
	}
}

// resetFlood opens subscriptions and resets them at once, as fast as it can.
func resetFlood(ctx context.Context, c *fabric.Session) {
	for id := uint64(0); ; id++ {
		stream, err := c.Open(ctx)
		if err != nil {
			return
		}
		_, _ = stream.Write(subscribeTo(id))
		stream.CancelWrite(0)
		stream.CancelRead(0)
	}
}

// slowReader subscribes as often as it may and takes nothing.
func slowReader(ctx context.Context, c *fabric.Session) {
	for id := range uint64(2 * media.MaxSubscriptions) {
		stream, err := c.Open(ctx)
		if err != nil {
			return
		}
		_, _ = stream.Write(subscribeTo(id))
	}
}

// slowSender sends requests that never end, a byte at a time on many streams.
func slowSender(ctx context.Context, c *fabric.Session) {
	var streams []*fabric.Stream
	for range 256 {
		stream, err := c.Open(ctx)
		if err != nil {
			return
		}
		streams = append(streams, stream)
	}
	request := subscribeTo(1)
	request = request[:len(request)-1]
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := range request {
		for _, stream := range streams {
			_, _ = stream.Write(request[i : i+1])
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// oversized declares more than there may be, and sends as much as is taken.
func oversized(ctx context.Context, c *fabric.Session) {
	filler := make([]byte, 64<<10)
	for i := 0; ctx.Err() == nil; i++ {
		stream, err := c.Open(ctx)
		if err != nil {
			return
		}
		kind := relaywire.StreamSubscribe
		if i%2 == 1 {
			kind = relaywire.StreamPush
		}
		b := relaywire.AppendHello(nil, kind)
		b = append(b, []byte{0x01, 0x40, 0x43, 0x7F}[i/2%4])
		b = binary.AppendUvarint(b, []uint64{1 << 62, 1 << 32, media.MaxRelayMessage + 1, 9 << 20}[i/8%4])
		_, _ = stream.Write(b)
		_ = stream.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		for range 16 {
			if _, err := stream.Write(filler); err != nil {
				break
			}
		}
		stream.CancelWrite(0)
		stream.CancelRead(0)
	}
}

// uniFlood opens unidirectional streams, of which a source expects none.
func uniFlood(ctx context.Context, c *fabric.Session) {
	filler := make([]byte, 4<<10)
	for {
		stream, err := c.OpenUni(ctx)
		if err != nil {
			return
		}
		_, _ = stream.Write(append([]byte{byte(relaywire.StreamGroup)}, filler...))
	}
}

// Floods of datagrams by strangers: what is no QUIC, what only begins to be, and
// handshakes with certificates of another cluster.
func TestDatagramFlood(t *testing.T) {
	s := besiege(t)
	addr := s.owner.fabric.Addr()
	t.Run("datagram-flood", func(t *testing.T) {
		s.t = t
		s.attack("datagram-flood", siegeTime(), func(ctx context.Context) { junk(ctx, t, net.UDPAddrFromAddrPort(addr)) })
	})
	t.Run("handshake-flood", func(t *testing.T) {
		s.t = t
		s.attack("handshake-flood", siegeTime(), func(ctx context.Context) {
			handshakes(ctx, t, fabric.Target{Name: "a", Addr: addr.String()})
		})
	})
}

// junk sends 5,000 datagrams a second: noise, noise with a head of QUIC, and
// packets as of sessions that are not there.
func junk(ctx context.Context, t *testing.T, to *net.UDPAddr) {
	t.Helper()
	conn, err := net.DialUDP("udp", nil, to)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = conn.Close() }()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for i := range 10 {
			p := make([]byte, 20+(n*10+i)*37%1300)
			_, _ = rand.Read(p)
			switch i % 3 {
			case 0: // a long header of version 1, an Initial packet
				p[0] = p[0]&0x0F | 0xC0
				copy(p[1:], []byte{0, 0, 0, 1, 8})
			case 1: // a short header
				p[0] = p[0]&0x3F | 0x40
			}
			_, _ = conn.Write(p)
		}
	}
}

// handshakes begins sessions with certificates of another cluster, from many ports.
func handshakes(ctx context.Context, t *testing.T, to fabric.Target) {
	t.Helper()
	ca, err := pki.NewCA(time.Now())
	if err != nil {
		t.Error(err)
		return
	}
	cert, key, err := ca.Issue("x", []string{pki.RoleOrigin}, time.Now())
	if err != nil {
		t.Error(err)
		return
	}
	id, err := pki.NewIdentity(cert, key, ca.CertPEM())
	if err != nil {
		t.Error(err)
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for range 50 { // whose own memory counts here too
		f, err := fabric.New(fabric.Config{Listen: "127.0.0.1:0"}, id, fabric.Deps{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Error(err)
			return
		}
		wg.Go(func() { _ = f.Run(ctx) })
		wg.Go(func() {
			if s, err := f.Session(ctx, to, fabric.ALPNRelay); err == nil {
				t.Errorf("a session with %s", s.Peer())
			}
		})
	}
}

// Attacks on a node that pulls, by an owner that has turned hostile.
func TestHostileOwner(t *testing.T) {
	for _, tc := range []struct {
		name   string
		attack func(ctx context.Context, s *fabric.Session, id uint64)
	}{
		{"headers-without-end", endlessHeaders},
		{"large-headers", largeHeaders},
		{"packets-without-end", endlessPackets},
		{"indexes-without-end", endlessIndexes},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := besiege(t)
			var attacks atomic.Int32
			hostile := s.world.startWith("h", func(_ *member, ctx context.Context, session *fabric.Session) {
				for {
					control, err := session.Accept(ctx)
					if err != nil {
						return
					}
					request, ok := subscribed(control)
					if !ok {
						continue
					}
					attacks.Add(1)
					_, _ = control.Write(relaywire.AppendMessage(nil, relaywire.Ok{Epoch: 9, Keep: time.Second, MaxBytes: 1 << 20}))
					go tc.attack(ctx, session, request.ID)
				}
			})
			s.world.place(key("x"), &state.Placement{Epoch: 9, Owner: hostile.id})
			s.attack(tc.name, siegeTime(), func(ctx context.Context) {
				feed := s.edge.open(key("x"))
				<-ctx.Done()
				feed.Close()
				hostile.stop()
			})
			if attacks.Load() == 0 {
				t.Error("nobody subscribed at the attacker")
			}
		})
	}
}

// subscribed reads a request of a puller; ok is false if it is for something else,
// which is refused as an owner of version 1 does.
func subscribed(control *fabric.Stream) (r relaywire.Subscribe, ok bool) {
	in := &inbox{r: control}
	if kind, err := parse(in, relaywire.ParseHello); err != nil || kind != relaywire.StreamSubscribe {
		reset(control, relaywire.CodeUnknownStream)
		return r, false
	}
	m, _ := parse(in, relaywire.ParseMessage)
	r, ok = m.(relaywire.Subscribe)
	return r, ok
}

// flood sends text, and then zeros, on each of n streams.
func flood(ctx context.Context, s *fabric.Session, n int, text []byte, zeros int) {
	filler := make([]byte, 64<<10)
	for range n {
		stream, err := s.OpenUni(ctx)
		if err != nil {
			return
		}
		_ = stream.SetWriteDeadline(time.Now().Add(time.Second))
		_, err = stream.Write(text)
		for left := zeros; left > 0 && err == nil; left -= len(filler) {
			_, err = stream.Write(filler[:min(left, len(filler))])
		}
	}
}

// endlessHeaders begins as many group streams as it may.
func endlessHeaders(ctx context.Context, s *fabric.Session, _ uint64) {
	flood(ctx, s, media.MaxFabricUniStreams, []byte{byte(relaywire.StreamGroup), 0x80}, 0)
}

// largeHeaders sends all of a large header but its end.
func largeHeaders(ctx context.Context, s *fabric.Session, id uint64) {
	h := relaywire.GroupHeader{Subscription: id, ID: media.PacketID{Epoch: 9}, Configs: &relaywire.Configs{}}
	for range 16 {
		h.Configs.Headers = append(h.Configs.Headers, relaywire.Header{
			Type: media.TypeVideo, Codec: media.CodecH264, Body: make([]byte, media.MaxCodecConfig),
		})
	}
	b := relaywire.AppendGroupHeader(nil, &h)
	flood(ctx, s, 1024, b[:len(b)-1], 0)
}

// endlessPackets sends all of a large packet but its end, in as many groups as are held.
func endlessPackets(ctx context.Context, s *fabric.Session, id uint64) {
	for seq := range uint64(media.MaxReorderGroups) {
		h := relaywire.GroupHeader{Subscription: id, Seq: seq, ID: media.PacketID{Epoch: 9, Group: seq}}
		b := relaywire.AppendGroupHeader(nil, &h)
		p := h.Packets()
		b = p.AppendHead(b, &media.Packet{Type: media.TypeVideo, Kind: media.KindKey, Codec: media.CodecH264}, media.MaxMessageVideo)
		flood(ctx, s, 1, b, media.MaxMessageVideo-1)
	}
}

// endlessIndexes sends all of a large index but its end, on many streams.
func endlessIndexes(ctx context.Context, s *fabric.Session, id uint64) {
	b := binary.AppendUvarint([]byte{byte(relaywire.StreamIndexes)}, id)
	b = binary.AppendUvarint(b, media.MaxRelayIndex)
	flood(ctx, s, 256, b, media.MaxRelayIndex-1)
}

// The largest packet fits into what the packets of a subscription may take.
func TestLargestPacketFits(t *testing.T) {
	n := readBuffer
	for n < media.MaxMessageVideo+relaywire.MaxPacketHead {
		n = larger(n)
	}
	if n-readBuffer > media.MaxRelayPartial {
		t.Errorf("it takes %d bytes, the limit is %d", n-readBuffer, media.MaxRelayPartial)
	}
}
