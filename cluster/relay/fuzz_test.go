package relay

import (
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"tmms/media"
	"tmms/media/hls"
	"tmms/media/relaywire"
)

// orderSink wants packets in the order of their groups.
type orderSink struct {
	t     *testing.T
	seq   uint64
	begun bool
	bytes int
}

func (s *orderSink) beginGroup(h *relaywire.GroupHeader) {
	if s.begun && h.Seq <= s.seq {
		s.t.Fatalf("group stream %d begins after %d", h.Seq, s.seq)
	}
	s.seq, s.begun = h.Seq, true
}

func (s *orderSink) packet(p *media.Packet) error {
	if !s.begun {
		s.t.Fatal("a packet comes before its group stream's header")
	}
	s.bytes += len(p.Body)
	return nil
}

// Whatever order an owner sends group streams in, packets go out in theirs, and
// what is held is bounded.
func FuzzReorder(f *testing.F) {
	f.Add([]byte{0, 0, 4, 0, 1, 0, 2, 0, 1, 1, 1, 2, 3, 0})
	f.Add([]byte{1, 5, 2, 5, 1, 0, 4, 0, 2, 0, 3, 5, 0, 9})
	f.Add([]byte{4, 0, 1, 200, 2, 200, 1, 255, 3, 200})
	f.Fuzz(func(t *testing.T, b []byte) {
		sink := &orderSink{t: t}
		r := newReorder(sink)
		opened := map[uint64]bool{}
		for ; len(b) >= 2; b = b[2:] {
			seq := uint64(b[1])
			var err error
			switch b[0] % 5 {
			case 0:
				err = r.skip(seq)
			case 1:
				opened[seq] = true
				err = r.open(&relaywire.GroupHeader{Seq: seq})
			case 2: // packets follow their header on one stream
				if opened[seq] {
					err = r.put(seq, &media.Packet{Body: make([]byte, 1+int(b[1])<<8)})
				}
			case 3:
				if opened[seq] {
					err = r.finish(seq)
				}
			case 4:
				err = r.start()
			}
			if err != nil {
				if !errors.Is(err, errReorder) {
					t.Fatal(err)
				}
				return
			}
		}
		held := 0
		for _, g := range r.held {
			for i := range g.packets {
				held += len(g.packets[i].Body)
			}
		}
		if held != r.bytes || held > media.MaxReorderBytes || len(r.held) > media.MaxReorderGroups+1 {
			t.Fatalf("%d bytes are held in %d groups, counted are %d", held, len(r.held), r.bytes)
		}
	})
}

// A push reads the same whether its bytes come at once or one by one.
func FuzzPushReader(f *testing.F) {
	b := relaywire.AppendMessage(nil, relaywire.PushRefuse{Reason: relaywire.PushBusy, Text: "busy"})
	b = relaywire.AppendPushMessage(b, relaywire.PushMessage{Type: media.TypeVideo, Timestamp: 1 << 31, Body: make([]byte, 300)})
	b = relaywire.AppendMessage(b, relaywire.PushAck{Taken: 1 << 40})
	f.Add(relaywire.AppendMessage(b, relaywire.PushClose{Reason: relaywire.PushReplaced, Text: "x"}))
	f.Add([]byte("\x43\xff\xff\xff\xff\x7f"))
	f.Fuzz(func(t *testing.T, b []byte) {
		read := func(r io.Reader) (n int, last error) {
			p := newPushReader(r, pushReadSize)
			for {
				if _, last = p.next(); last != nil {
					return n, last
				}
				n++
			}
		}
		whole, werr := read(&onlyReader{b})
		parts, perr := read(iotest.OneByteReader(&onlyReader{b}))
		if whole != parts || errors.Is(werr, io.EOF) != errors.Is(perr, io.EOF) {
			t.Errorf("%d messages and %v at once, %d and %v one by one", whole, werr, parts, perr)
		}
	})
}

// What an owner opens unidirectional streams with is understood, or refused.
func FuzzStreamHeads(f *testing.F) {
	f.Add(relaywire.AppendGroupHeader(nil, &relaywire.GroupHeader{Subscription: 1, Seq: 2}))
	f.Add(relaywire.AppendGroupHeader(nil, &relaywire.GroupHeader{
		Subscription: 1, Times: &relaywire.Times{Hop: 2, Sent: 1 << 50, SkewKnown: true, Skew: -1, Bound: 300},
	}))
	f.Add([]byte{byte(relaywire.StreamSession), 1})
	f.Add(relaywire.AppendIndexesHeader(nil, relaywire.IndexesHeader{Subscription: 1}))
	name := hls.Name{Kind: hls.NameTS, Epoch: 2, MSN: 3}
	f.Add(relaywire.AppendPieceHeader(nil, relaywire.PieceHeader{Subscription: 1, Name: name, Size: 4}))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, v := range []relaywire.Version{relaywire.V1, relaywire.V2} {
			l := &link{version: v, intakes: map[uint64]*intake{}}
			in, read, err := l.begin(&inbox{r: iotest.OneByteReader(&onlyReader{b})})
			if in != nil || err == nil && read == nil {
				t.Errorf("a subscription that is not there: %v, %v", in, err)
			}
			known := errors.Is(err, io.EOF) || errors.Is(err, relaywire.ErrMalformed) || errors.Is(err, errUnknownKind)
			if err != nil && !known {
				t.Errorf("%v", err)
			}
		}
	})
}

// onlyReader gives its bytes and io.EOF.
type onlyReader struct{ b []byte }

func (r *onlyReader) Read(b []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b, r.b)
	r.b = r.b[n:]
	return n, nil
}
