package relaywire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"tmms/media"
)

func pushKey() media.StreamKey {
	return media.StreamKey{Domain: "tv.example.com", App: "live", Stream: "one"}
}

// pushCases are messages of a push with their bytes.
func pushCases() map[string]struct {
	m    Message
	wire string
} {
	digest := TokenDigest{0: 0xaa, 31: 0xbb}
	request := PushRequest{Key: pushKey(), Remote: "192.0.2.1:5", Encoder: "FMLE/3.0", Token: digest}
	return map[string]struct {
		m    Message
		wire string
	}{
		"request": {request, "\x40\x4e\x0etv.example.com\x04live\x03one\x0b192.0.2.1:5\x08FMLE/3.0\x00" + string(digest[:])},
		"no token": {
			PushRequest{Key: pushKey(), Caps: 300},
			"\x40\x3c\x0etv.example.com\x04live\x03one\x00\x00\xac\x02" + strings.Repeat("\x00", 32),
		},
		"ok":           {PushOk{Epoch: 300, Run: 7}, "\x41\x03\xac\x02\x07"},
		"refuse":       {PushRefuse{Reason: PushNotOwner, Owner: "n2", Text: "no"}, "\x42\x07\x03\x02n2\x02no"},
		"refuse empty": {PushRefuse{}, "\x42\x03\x00\x00\x00"},
		"video":        {PushMessage{Type: media.TypeVideo, Timestamp: 0x01020304, Body: []byte("abc")}, "\x43\x08\x09\x01\x02\x03\x04abc"},
		"empty body":   {PushMessage{Type: media.TypeData, Timestamp: 0xffffffff, Body: []byte{}}, "\x43\x05\x12\xff\xff\xff\xff"},
		"alive":        {PushAlive{}, "\x44\x00"},
		"end":          {PushEnd{Cause: "gone"}, "\x45\x05\x04gone"},
		"close":        {PushClose{Reason: PushReplaced, Text: "by b"}, "\x46\x06\x06\x04by b"},
		"ack":          {PushAck{Taken: 1 << 40}, "\x47\x06\x80\x80\x80\x80\x80\x20"},
		"turn":         {PushTurn{On: true, Video: true, Track: 7}, "\x61\x03\x01\x01\x07"},
		"turn back":    {PushTurn{}, "\x61\x03\x00\x00\x00"},
		"held":         {PushHeld{}, "\x62\x00"},
	}
}

func parsePush(b []byte) (Message, int, error) { return Newest.parsePush(b) }

// parsePush reads one message from the start of b.
func (v Version) parsePush(b []byte) (Message, int, error) {
	typ, body, n, err := ParsePushHeader(b)
	if err != nil {
		return nil, 0, err
	}
	if len(b)-n < body {
		return nil, 0, ErrShort
	}
	m, err := v.ParsePushBody(typ, b[n:n+body])
	return m, n + body, err
}

func TestPushMessages(t *testing.T) {
	for name, tt := range pushCases() {
		t.Run(name, func(t *testing.T) {
			wire := AppendMessage([]byte("x"), tt.m)[1:]
			if string(wire) != tt.wire {
				t.Fatalf("wire\n%q, want\n%q", wire, tt.wire)
			}
			if m, ok := tt.m.(PushMessage); ok {
				if b := AppendPushMessage(nil, m); string(b) != tt.wire {
					t.Errorf("AppendPushMessage gives %q", b)
				}
				if head := AppendPushMessageHeader(nil, m); len(head)+len(m.Body) != len(wire) || len(head) > MaxPushMessageHeader {
					t.Errorf("a header of %d bytes", len(head))
				}
			}
			m, n, err := parsePush(append(wire, "rest"...))
			if err != nil || n != len(wire) || !reflect.DeepEqual(m, tt.m) {
				t.Fatalf("%+v of %d bytes, %v; want %+v", m, n, err, tt.m)
			}
			for i := range wire {
				if _, _, short := parsePush(wire[:i]); !errors.Is(short, ErrShort) {
					t.Errorf("%d of %d bytes: %v, want ErrShort", i, len(wire), short)
				}
			}
			typ, body, at, err := ParsePushHeader(wire)
			if err != nil {
				t.Fatal(err)
			}
			if typ == TypePushMessage {
				body = pushMessageHeader // what follows has no end of its own
			}
			for i := range body {
				if _, err := ParsePushBody(typ, wire[at:at+i]); !errors.Is(err, ErrMalformed) {
					t.Errorf("%d of %d bytes of the body: %v, want ErrMalformed", i, body, err)
				}
			}
		})
	}
}

// What no node sends is refused before it costs memory.
func TestPushMalformed(t *testing.T) {
	long := strings.Repeat("x", media.MaxPushText+1)
	header := func(typ MessageType, n uint64) string {
		return string(binary.AppendUvarint([]byte{byte(typ)}, n))
	}
	whole := func(typ MessageType, body string) string { return header(typ, uint64(len(body))) + body }
	for name, wire := range map[string]string{
		"type of a subscription": "\x01\x00",
		"unknown type":           "\x5f\x00",
		"message too long":       header(TypePushMessage, pushMessageHeader+media.MaxMessageVideo+1),
		"request too long":       header(TypePushRequest, media.MaxRelayMessage+1),
		"length of 64 bits":      header(TypePushAck, 1<<63),
		"media type":             whole(TypePushMessage, "\x14\x00\x00\x00\x00a"),
		"data too long":          whole(TypePushMessage, "\x12\x00\x00\x00\x00"+strings.Repeat("a", media.MaxMessageData+1)),
		"run of 33 bits":         whole(TypePushOk, "\x01\x80\x80\x80\x80\x10"),
		"text too long":          whole(TypePushEnd, "\x80\x02"+long),
		"bad name":               whole(TypePushRequest, "\x01d\x01a\x02..\x00\x00\x00"+strings.Repeat("\x00", 32)),
		"no name":                whole(TypePushRequest, "\x00\x01a\x01s\x00\x00\x00"+strings.Repeat("\x00", 32)),
	} {
		if m, _, err := parsePush([]byte(wire)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v; want ErrMalformed", name, m, err)
		}
	}
}

// A text that is too long is cut rather than lost.
func TestPushClip(t *testing.T) {
	long := strings.Repeat("x", 1000)
	for _, m := range []Message{
		PushRequest{Key: pushKey(), Remote: long, Encoder: long}, PushRefuse{Text: long}, PushEnd{Cause: long}, PushClose{Text: long},
	} {
		if got, _, err := parsePush(AppendMessage(nil, m)); err != nil {
			t.Errorf("%T: %+v, %v", m, got, err)
		}
	}
}

// Digests of tokens are not shown, however they are printed.
func TestTokenDigestIsHidden(t *testing.T) {
	r := PushRequest{Key: pushKey(), Token: TokenDigest{0xde, 0xad, 0xbe, 0xef}}
	j, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{
		fmt.Sprint(r), fmt.Sprintf("%+v", r), fmt.Sprintf("%#v", r), fmt.Sprintf("%x", r.Token), r.Token.String(), string(j),
	} {
		for _, shown := range []string{"dead", "222", "de ad", "0xde", "3q2+"} {
			if strings.Contains(s, shown) {
				t.Errorf("%s shows the digest", s)
			}
		}
	}
}

func FuzzPush(f *testing.F) {
	for _, tt := range pushCases() {
		f.Add([]byte(tt.wire))
	}
	f.Add([]byte("\x43\xff\xff\xff\xff\x7f"))
	f.Add([]byte{byte(typeSkipFirst), 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		agrees(t, b, V1.parsePush, V2.parsePush)
		m, n, err := parsePush(b)
		if err != nil {
			if !errors.Is(err, ErrShort) && !errors.Is(err, ErrMalformed) {
				t.Fatalf("error %v", err)
			}
			return
		}
		again, k, err := parsePush(AppendMessage(nil, m))
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%+v becomes %+v, %v", m, again, err)
		}
		if k > n { // an integer may be written longer than needed, never shorter
			t.Fatalf("%d bytes become %d: %q", n, k, bytes.Clone(b[:n]))
		}
	})
}
