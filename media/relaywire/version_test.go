package relaywire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"testing"
	"time"

	"tmms/media"
)

// sessionCases are the messages of a session's own stream.
func sessionCases() map[string]Message {
	now := time.Unix(1_700_000_000, 123_456_000).UnixMicro()
	return map[string]Message{
		"hello":       Hello{Version: V2},
		"newer":       Hello{Version: 200},
		"ping":        Ping{Sent: now},
		"ping zero":   Ping{},
		"pong":        Pong{Sent: now, Received: now - 3_600_000_000, Answered: now + 1},
		"pong early":  Pong{Sent: -1, Received: -maxTimeUS, Answered: maxTimeUS},
		"unknown":     Unknown{Type: typeSkipLast},
		"ack":         Ack{ID: id(7, 1<<40, 1<<32-1), DTS: maxDTS, IndexEpoch: 1<<64 - 1, IndexVersion: 300},
		"ack nothing": Ack{},
	}
}

// timesCases are group headers with times.
func timesCases() map[string]GroupHeader {
	now := time.Unix(1_700_000_000, 0).UnixMicro()
	return map[string]GroupHeader{
		"owner": {Subscription: 1, ID: id(7, 1, 0), Times: &Times{Hop: 1, Sent: now, SkewKnown: true}},
		"shield": {Subscription: 1, ID: id(7, 1, 0), Configs: &Configs{Metadata: []byte("m")}, Times: &Times{
			Hop: 2, Sent: now, SkewKnown: true, Skew: -86_400_000_000, Bound: 2_500,
		}},
		"skew not known": {ID: id(7, 1, 0), Times: &Times{Hop: maxHop, Sent: -now}},
		"largest":        {Times: &Times{Hop: 1, Sent: maxTimeUS, SkewKnown: true, Skew: 2 * maxTimeUS, Bound: MaxBound}},
	}
}

func TestSessionMessages(t *testing.T) {
	for name, m := range sessionCases() {
		t.Run(name, func(t *testing.T) {
			b := AppendMessage(nil, m)
			got, n, err := ParseMessage(append(bytes.Clone(b), "behind"...))
			if err != nil || n != len(b) || !reflect.DeepEqual(got, m) {
				t.Fatalf("%+v, %d of %d bytes, %v", got, n, len(b), err)
			}
			for i := range b {
				if _, _, err := ParseMessage(b[:i]); !errors.Is(err, ErrShort) {
					t.Fatalf("%d of %d bytes: %v", i, len(b), err)
				}
			}
			if m, _, err := V1.ParseMessage(b); !errors.Is(err, ErrMalformed) {
				t.Errorf("version 1 reads %+v, %v", m, err)
			}
		})
	}
	for name, b := range map[string][]byte{
		"version 0":                        {byte(TypeHello), 1, 0},
		"no version":                       {byte(TypeHello), 0},
		"time":                             AppendMessage(nil, Ping{Sent: maxTimeUS + 1}),
		"DTS of an ack":                    AppendMessage(nil, Ack{DTS: maxDTS + 1}),
		"half a pong":                      append([]byte{byte(TypePong), 1}, 0),
		"unknown type":                     {0x2f, 0},
		"beyond those that may be ignored": {byte(typeSkipLast) + 1, 0},
	} {
		if m, _, err := ParseMessage(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

// A later version's hello is understood: it may say more, and any version.
func TestHelloOfALaterVersion(t *testing.T) {
	body := append(binary.AppendUvarint(nil, 1<<40), "more fields"...)
	b := appendBytes([]byte{byte(TypeHello)}, body)
	m, n, err := ParseMessage(b)
	if h, _ := m.(Hello); err != nil || n != len(b) || h.Version.Agree(Newest) != Newest {
		t.Errorf("%+v, %d, %v", m, n, err)
	}
	if V1.Agree(V2) != V1 || V2.Agree(V1) != V1 || V2.Agree(V2) != V2 {
		t.Error("the lower version is not agreed on")
	}
}

// The lag cap of an Ok is new in version 2, which may leave it out.
func TestOkMaxLag(t *testing.T) {
	want := Ok{Epoch: 7, StartedAt: time.UnixMicro(5), Keep: time.Second, MaxBytes: 9, MaxLag: 1500 * time.Millisecond}
	b := AppendMessage(nil, want)
	if m, n, err := ParseMessage(b); err != nil || n != len(b) || m != Message(want) {
		t.Errorf("%+v, %d of %d bytes, %v", m, n, len(b), err)
	}
	if m, _, err := V1.ParseMessage(b); !errors.Is(err, ErrMalformed) {
		t.Errorf("version 1 reads %+v, %v", m, err)
	}
	want.MaxLag = 0
	b = AppendMessage(nil, want)
	for _, v := range []Version{V1, V2} {
		if m, _, err := v.ParseMessage(b); err != nil || m != Message(want) {
			t.Errorf("version %d: %+v, %v", v, m, err)
		}
	}
	long := appendBytes([]byte{byte(TypeOk)}, binary.AppendUvarint(want.appendBody(nil), maxKeepMS+1))
	if m, _, err := ParseMessage(long); !errors.Is(err, ErrMalformed) {
		t.Errorf("a cap over the limit: %+v, %v", m, err)
	}
}

// What a standby says of itself is new in version 2, and nothing else changes for it.
func TestStandbySaysSo(t *testing.T) {
	key := media.StreamKey{Domain: "d", App: "a", Stream: "s"}
	for name, c := range map[string]struct{ with, without Message }{
		"subscribe": {Subscribe{ID: 1, Key: key, Hops: []string{"n"}, Standby: true}, Subscribe{ID: 1, Key: key, Hops: []string{"n"}}},
		"update":    {Update{HLS: true, MSN: 300, Standby: true}, Update{HLS: true, MSN: 300}},
	} {
		b := AppendMessage(nil, c.with)
		if m, n, err := ParseMessage(b); err != nil || n != len(b) || !reflect.DeepEqual(m, c.with) {
			t.Errorf("%s: %+v, %d of %d bytes, %v", name, m, n, len(b), err)
		}
		if m, _, err := V1.ParseMessage(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: version 1 reads %+v, %v", name, m, err)
		}
		if m, _, err := V1.ParseMessage(AppendMessage(nil, c.without)); err != nil || !reflect.DeepEqual(m, c.without) {
			t.Errorf("%s: who is no standby is read by version 1 as %+v, %v", name, m, err)
		}
		b[len(b)-1] = 2
		if m, _, err := ParseMessage(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: a bool of 2: %+v, %v", name, m, err)
		}
	}
}

// What a later version adds to any stream of messages is ignored, and nothing else.
func TestUnknownMessages(t *testing.T) {
	b := appendBytes([]byte{byte(typeSkipLast)}, []byte("anything"))
	if m, n, err := ParseMessage(b); err != nil || n != len(b) || m != (Unknown{typeSkipLast}) {
		t.Errorf("%+v, %d, %v", m, n, err)
	}
	typ, size, n, err := ParsePushHeader(b)
	if err != nil || size != len(b)-n {
		t.Fatalf("%v, %d, %v", typ, size, err)
	}
	if m, err := ParsePushBody(typ, b[n:]); err != nil || m != (Unknown{typeSkipLast}) {
		t.Errorf("in a push: %+v, %v", m, err)
	}
	if m, err := ParsePushBody(TypePushAlive, []byte{1}); err != nil || m != (PushAlive{}) {
		t.Errorf("a field more: %+v, %v", m, err)
	}
	if m, err := V1.ParsePushBody(TypePushAlive, []byte{1}); !errors.Is(err, ErrMalformed) {
		t.Errorf("a field more for version 1: %+v, %v", m, err)
	}
	if m, err := V1.ParsePushBody(typ, b[n:]); !errors.Is(err, ErrMalformed) {
		t.Errorf("in a push of version 1: %+v, %v", m, err)
	}
}

func TestGroupTimes(t *testing.T) {
	for name, h := range timesCases() {
		t.Run(name, func(t *testing.T) {
			b := AppendGroupHeader(nil, &h)[1:]
			got, n, err := ParseGroupHeader(append(bytes.Clone(b), 9, 9))
			if err != nil || n != len(b) || !reflect.DeepEqual(got, h) {
				t.Fatalf("%+v %v, %d of %d bytes, %v", got, got.Times, n, len(b), err)
			}
			for i := range b {
				if _, _, err := ParseGroupHeader(b[:i]); !errors.Is(err, ErrShort) {
					t.Fatalf("%d of %d bytes: %v", i, len(b), err)
				}
			}
			if old, _, err := V1.ParseGroupHeader(b); !errors.Is(err, ErrMalformed) {
				t.Errorf("version 1 reads %+v, %v", old, err)
			}
			h.Times = nil
			plain := AppendGroupHeader(nil, &h)[1:]
			if got, _, err := V1.ParseGroupHeader(plain); err != nil || !reflect.DeepEqual(got, h) {
				t.Errorf("without times version 1 reads %+v, %v", got, err)
			}
		})
	}
	head := AppendGroupHeader(nil, &GroupHeader{})[1:7]
	for name, tail := range map[string][]byte{
		"skew without times": {flagSkew, 1, 0, 0, 0},
		"unknown flag":       {8, 1, 0},
		"hop 0":              {flagTimes, 0, 0},
		"sent":               binary.AppendVarint([]byte{flagTimes, 1}, maxTimeUS+1),
		"skew":               append(binary.AppendVarint([]byte{flagTimes | flagSkew, 1, 0}, -2*maxTimeUS-1), 0),
		"bound":              binary.AppendUvarint([]byte{flagTimes | flagSkew, 1, 0, 0}, MaxBound+1),
	} {
		if h, _, err := ParseGroupHeader(append(bytes.Clone(head), tail...)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
	}
}

// agrees fails the test unless what version 1 reads version 2 reads too, and the same.
func agrees[T any](t *testing.T, b []byte, old, now func([]byte) (T, int, error)) {
	t.Helper()
	v, n, err := old(b)
	if err != nil {
		return
	}
	w, m, err := now(b)
	if err != nil || m != n || !reflect.DeepEqual(v, w) {
		t.Fatalf("version 1 reads %+v of %d bytes, version 2 %+v of %d bytes, %v", v, n, w, m, err)
	}
}
