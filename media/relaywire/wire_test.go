package relaywire

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"tmms/media"
)

func id(epoch, group uint64, index uint32) media.PacketID {
	return media.PacketID{Epoch: epoch, Group: group, Index: index}
}

// messageCases are the messages of a subscription.
func messageCases() map[string]Message {
	key := media.StreamKey{Domain: "tv.example.com", App: "live", Stream: "one"}
	return map[string]Message{
		"subscribe": Subscribe{
			ID: 1 << 62, Key: key, Epoch: 1<<64 - 1,
			Seen: Position{
				ID: id(9, 1<<40, 1<<32-1), DTS: 1 << 40, SegmentEpoch: 9, MSN: 1_700_000_000, Discontinuities: 300, Open: true,
			},
			Resume: true, HLS: true, Shield: true, Tracks: 5, Hops: []string{"a", strings.Repeat("x", media.MaxNodeID)},
		},
		"subscribe anew": Subscribe{ID: 1, Key: key},
		"most hops":      Subscribe{Key: key, Hops: strings.Split(strings.Repeat("n ", media.MaxRelayHops-1)+"n", " ")},
		"longest names": Subscribe{Key: media.StreamKey{
			Domain: strings.Repeat("d", media.MaxName), App: strings.Repeat("a", media.MaxName), Stream: strings.Repeat("s", media.MaxName),
		}},
		"update":     Update{HLS: true, SegmentEpoch: 1, MSN: 2},
		"update off": Update{},
		"ok": Ok{
			Epoch: 7, Start: id(7, 1, 2), Exact: true, Grace: true, StartedAt: time.UnixMicro(1_700_000_000_123_456),
			Keep: 6 * time.Second, MaxBytes: 64 << 20,
		},
		"ok, nothing yet": Ok{Epoch: 7, StartedAt: time.UnixMicro(0)},
		"pending":         Pending{},
		"refuse":          Refuse{Reason: ReasonNotOwner, Owner: "b"},
		"superseded":      Superseded{Epoch: 300},
		"state":           State{Grace: true},
		"idle":            Idle{},
		"skip":            Skip{Seq: 300},
		"end":             End{Groups: 300, IndexVersion: 1},
	}
}

func TestMessages(t *testing.T) {
	for name, m := range messageCases() {
		t.Run(name, func(t *testing.T) {
			b := AppendMessage([]byte("before"), m)[len("before"):]
			if len(b) > media.MaxRelayMessage {
				t.Errorf("%d bytes", len(b))
			}
			got, n, err := ParseMessage(append(bytes.Clone(b), "behind"...))
			if err != nil || n != len(b) || !reflect.DeepEqual(got, m) {
				t.Fatalf("%+v, %d of %d bytes, %v", got, n, len(b), err)
			}
			for i := range b {
				if _, n, err := ParseMessage(b[:i]); !errors.Is(err, ErrShort) || n != 0 {
					t.Fatalf("%d of %d bytes: %d, %v", i, len(b), n, err)
				}
			}
			more := append(bytes.Clone(b[:1]), longer(b[1:])...)
			if _, _, err := V1.ParseMessage(more); !errors.Is(err, ErrMalformed) {
				t.Errorf("a byte too many for version 1: %v", err)
			}
			if got, n, err := ParseMessage(more); err != nil || n != len(more) || !reflect.DeepEqual(got, m) {
				t.Errorf("a field more: %+v, %d of %d bytes, %v", got, n, len(more), err)
			}
		})
	}
}

// longer adds a byte to a body with its length in front.
func longer(b []byte) []byte {
	c := cursor{b: b}
	return appendBytes(nil, append(bytes.Clone(c.bytes("", len(b))), 0))
}

func TestMalformedMessages(t *testing.T) {
	key := media.StreamKey{Domain: "d", App: "a", Stream: "s"}
	hops := make([]string, media.MaxRelayHops+1)
	for i := range hops {
		hops[i] = "n"
	}
	for name, b := range map[string][]byte{
		"unknown type":      {0x5f, 0},
		"too long":          {byte(TypeIdle), 0xff, 0xff, 0x03},
		"a field too short": {byte(TypeSkip), 0},
		"integer over 64":   {byte(TypeSkip), 11, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
		"bool of 2":         {byte(TypeState), 1, 2},
		"too many hops":     AppendMessage(nil, Subscribe{Key: key, Hops: hops}),
		"long node id":      AppendMessage(nil, Subscribe{Key: key, Hops: []string{strings.Repeat("x", media.MaxNodeID+1)}}),
		"bad name":          AppendMessage(nil, Subscribe{Key: media.StreamKey{Domain: "d", App: "../a", Stream: "s"}}),
		"no name":           AppendMessage(nil, Subscribe{}),
		"DTS":               AppendMessage(nil, Subscribe{Key: key, Seen: Position{DTS: maxDTS + 1}}),
	} {
		t.Run(name, func(t *testing.T) {
			if m, _, err := ParseMessage(b); !errors.Is(err, ErrMalformed) || errors.Is(err, ErrShort) {
				t.Errorf("%+v, %v", m, err)
			}
		})
	}
}

func TestHello(t *testing.T) {
	b := AppendHello(nil, StreamSubscribe)
	if k, n, err := ParseHello(b); k != StreamSubscribe || n != 2 || err != nil {
		t.Errorf("%v, %d, %v", k, n, err)
	}
	if _, _, err := ParseHello(b[:1]); !errors.Is(err, ErrShort) {
		t.Error(err)
	}
	for _, c := range []struct {
		v    Version
		byte byte
	}{{V1, 0}, {V1, 2}, {V2, 0}, {V2, 3}} {
		if _, _, err := c.v.ParseHello([]byte{1, c.byte}); !errors.Is(err, ErrVersion) || !errors.Is(err, ErrMalformed) {
			t.Errorf("version %d, a stream that needs %d: %v", c.v, c.byte, err)
		}
	}
	if k, _, err := V2.ParseHello([]byte{1, 2}); err != nil || k != StreamSubscribe {
		t.Errorf("%v, %v", k, err)
	}
}

func groupCases() map[string]GroupHeader {
	return map[string]GroupHeader{
		"plain": {Subscription: 3, Seq: 4, ID: id(1<<60, 7, 0), Run: 2},
		"configs": {Subscription: 1 << 40, Seq: 1 << 40, ID: id(1, 1<<50, 1<<31), Run: 1<<32 - 1, Configs: &Configs{
			Metadata: []byte("metadata"), Headers: []Header{
				{Type: media.TypeAudio, Codec: media.CodecAAC, Track: 7, Body: []byte{0xaf, 0}},
				{Type: media.TypeVideo, Codec: media.CodecH264, Body: bytes.Repeat([]byte{1}, 300)},
			},
		}},
		"no configs yet": {Configs: &Configs{}},
	}
}

func TestGroupHeader(t *testing.T) {
	for name, h := range groupCases() {
		t.Run(name, func(t *testing.T) {
			b := AppendGroupHeader(nil, &h)
			if StreamKind(b[0]) != StreamGroup {
				t.Errorf("kind %d", b[0])
			}
			b = b[1:]
			got, n, err := ParseGroupHeader(append(bytes.Clone(b), 1, 2, 3))
			if h.Configs != nil && got.Configs != nil && len(h.Configs.Metadata) == 0 {
				got.Configs.Metadata = h.Configs.Metadata // empty or nil is the same
			}
			if err != nil || n != len(b) || !reflect.DeepEqual(got, h) {
				t.Fatalf("%+v, %d of %d bytes, %v", got, n, len(b), err)
			}
			if c := got.Configs.Clone(); !reflect.DeepEqual(c, got.Configs) {
				t.Errorf("the clone is %+v", c)
			}
			for i := range b {
				if _, _, err := ParseGroupHeader(b[:i]); !errors.Is(err, ErrShort) {
					t.Fatalf("%d of %d bytes: %v", i, len(b), err)
				}
			}
		})
	}
	plain := func() []byte { return AppendGroupHeader(nil, &GroupHeader{})[1:] }
	with := func(c Configs) []byte { return AppendGroupHeader(nil, &GroupHeader{Configs: &c})[1:] }
	for name, b := range map[string][]byte{
		"flags":            append(plain()[:6], 8),
		"metadata":         with(Configs{Metadata: make([]byte, media.MaxMessageData+1)}),
		"config too large": with(Configs{Headers: []Header{{Type: media.TypeVideo, Body: make([]byte, media.MaxCodecConfig+1)}}}),
		"empty config":     with(Configs{Headers: []Header{{Type: media.TypeVideo}}}),
		"config of data":   with(Configs{Headers: []Header{{Type: media.TypeData, Body: []byte{1}}}}),
		"track":            with(Configs{Headers: []Header{{Type: media.TypeVideo, Track: media.MaxTracks, Body: []byte{1}}}}),
		"too many configs": with(Configs{Headers: make([]Header, 2*media.MaxTracks+1)}),
		"run of 33 bits":   {0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x1f, 0, 0, 0},
	} {
		if h, _, err := ParseGroupHeader(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
	}
}

// packetCases are the packets of one group.
func packetCases() []media.Packet {
	return []media.Packet{
		{Type: media.TypeData, Kind: media.KindData, DTS: 1000, Ingested: 1_700_000_000_000_000, Body: []byte("onMetaData")},
		{Type: media.TypeAudio, Kind: media.KindConfig, Codec: media.CodecAAC, Track: 7, DTS: 990, Ingested: 1_700_000_000_000_000, Body: []byte{1}},
		{Type: media.TypeVideo, Kind: media.KindKey, Codec: media.CodecH264, DTS: 1 << 40, CTO: -1 << 30, Ingested: 5, Body: bytes.Repeat([]byte{7}, 1000)},
		{Type: media.TypeVideo, Kind: media.KindDelta, Codec: media.CodecHEVC, DTS: 0, CTO: 1<<31 - 1, Ingested: 6, Body: []byte{0}},
		{Type: media.TypeAudio, Kind: media.KindAudio, Codec: 0xff, DTS: 3, Body: []byte{1, 2}},
		{Type: media.TypeVideo, Kind: media.KindEnd, DTS: 3, Body: []byte{1, 2}},
	}
}

func TestPackets(t *testing.T) {
	h := GroupHeader{ID: id(3, 4, 5), Run: 6}
	in, out := h.Packets(), h.Packets()
	var b []byte
	for _, p := range packetCases() {
		before := len(b)
		b = in.Append(b, &p)
		if head := len(b) - before - len(p.Body); head > MaxPacketHead {
			t.Errorf("a head of %d bytes, the limit is %d", head, MaxPacketHead)
		}
	}
	rest := b
	for i, want := range packetCases() {
		want.ID, want.Run = id(3, 4, 5+uint32(i)), 6
		if got := out.Next(); got != want.ID {
			t.Errorf("next is %v", got)
		}
		for n := range rest {
			probe := out
			p, _, err := probe.Parse(rest[:n])
			if err == nil {
				if n < MaxPacketHead && len(p.Body) > n {
					t.Fatalf("packet %d is whole after %d bytes", i, n)
				}
				break
			}
			if !errors.Is(err, ErrShort) || probe != out {
				t.Fatalf("packet %d after %d bytes: %v", i, n, err)
			}
		}
		got, n, err := out.Parse(rest)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("packet %d: %+v, %v", i, got, err)
		}
		rest = rest[n:]
	}
	if len(rest) > 0 {
		t.Errorf("%d bytes are left", len(rest))
	}
	for name, b := range map[string][]byte{
		"type":         {0x30, 0, 0, 0, 0, 0, 1, 1},
		"kind":         {0x06, 0, 0, 0, 0, 0, 1, 1},
		"track":        {0x00, 0, media.MaxTracks, 0, 0, 0, 1, 1},
		"negative DTS": {0x00, 0, 0, 1, 0, 0, 1, 1},
		"no body":      {0x00, 0, 0, 0, 0, 0, 0},
		"body":         {0x00, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f},
		"ingested":     {0x00, 0, 0, 0, 0, 1, 1, 1},
	} {
		probe := h.Packets()
		if p, _, err := probe.Parse(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	last := GroupHeader{ID: id(1, 1, 1<<32-1)}
	probe := last.Packets()
	if _, _, err := probe.Parse([]byte{0, 0, 0, 0, 0, 0, 1, 1}); !errors.Is(err, ErrMalformed) {
		t.Errorf("an index over 32 bits: %v", err)
	}
}
