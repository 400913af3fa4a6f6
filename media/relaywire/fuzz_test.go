package relaywire

import (
	"bytes"
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"

	"tmms/media/hls"
)

// known fails the test unless err is one that a parser may give.
func known(t *testing.T, n int, err error) bool {
	t.Helper()
	if err == nil {
		return true
	}
	if n != 0 || errors.Is(err, ErrShort) == errors.Is(err, ErrMalformed) {
		t.Fatalf("%d bytes, %v", n, err)
	}
	return false
}

func FuzzMessage(f *testing.F) {
	for _, m := range messageCases() {
		f.Add(AppendMessage(nil, m))
	}
	for _, m := range sessionCases() {
		f.Add(AppendMessage(nil, m))
	}
	f.Add(AppendMessage(nil, Update{HLS: true, Standby: true}))
	f.Add([]byte{byte(TypeIdle), 2, 1, 2}) // a later version's fields
	f.Fuzz(func(t *testing.T, b []byte) {
		agrees(t, b, V1.ParseMessage, V2.ParseMessage)
		m, n, err := ParseMessage(b)
		if !known(t, n, err) {
			return
		}
		again, _, err := ParseMessage(AppendMessage(nil, m))
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Fatalf("%+v becomes %+v, %v", m, again, err)
		}
	})
}

func FuzzGroup(f *testing.F) {
	headers := groupCases()
	maps.Copy(headers, timesCases())
	for _, h := range headers {
		b := AppendGroupHeader(nil, &h)[1:]
		packets := h.Packets()
		for _, p := range packetCases() {
			b = packets.Append(b, &p)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		agrees(t, b, V1.ParseGroupHeader, V2.ParseGroupHeader)
		h, n, err := ParseGroupHeader(b)
		if !known(t, n, err) {
			return
		}
		same := AppendGroupHeader(nil, &h)[1:]
		in, out := h.Packets(), h.Packets()
		for at := n; ; {
			p, size, perr := in.Parse(b[at:])
			if !known(t, size, perr) {
				break
			}
			at += size
			same = out.Append(same, &p)
		}
		if in != out {
			t.Fatalf("the coders differ: %+v, %+v", in, out)
		}
		h2, n, err := ParseGroupHeader(same)
		if err != nil || !reflect.DeepEqual(h, h2) {
			t.Fatalf("%+v becomes %+v, %v", h, h2, err)
		}
		again := AppendGroupHeader(nil, &h2)[1:]
		in, out = h.Packets(), h.Packets()
		for at := n; at < len(same); {
			p, size, perr := in.Parse(same[at:])
			if perr != nil {
				t.Fatal(perr)
			}
			at += size
			again = out.Append(again, &p)
		}
		if !bytes.Equal(same, again) {
			t.Fatal("what was parsed is appended otherwise")
		}
	})
}

// FuzzIndexes reads one index after another.
func FuzzIndexes(f *testing.F) {
	small := lowLatency(1)
	small.Segments = []*hls.Segment{testParts(1, 2), testSegment(2)}
	small.Inits = []*hls.Init{{Epoch: 5, Version: 1, Data: []byte{1, 2}}, {Epoch: 6, Version: 1, Data: []byte{3}}}
	small.Open, small.Cut, small.Resume = testOpen(3, 2), 1<<40, []byte("resume")
	cases := indexCases()
	cases["small"] = small
	for _, x := range cases {
		r := Indexes{Standby: true}
		b, err := r.Append(nil, x)
		if err != nil {
			f.Fatal(err)
		}
		if len(b) > 300 {
			continue // it would be minimized for minutes
		}
		f.Add(b)
		if x.Open == nil {
			continue
		}
		more := *x
		more.Version++
		more.Open = testOpen(x.Open.MSN, len(x.Open.Parts)+1)
		if b, err = r.Append(b, &more); err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		more.Listing++
		more.Inits = append(slices.Clone(more.Inits), &hls.Init{Epoch: 7, Version: 1, Data: []byte{4}})
		if b, err = r.Append(b, &more); err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var parsed, in Indexes
		again := Indexes{Standby: true}
		for {
			x, n, err := parsed.Parse(b)
			if !known(t, n, err) {
				return
			}
			b = b[n:]
			same, err := again.Append(nil, x)
			if err != nil {
				t.Fatal(err)
			}
			y, _, err := in.Parse(same)
			if err != nil || !reflect.DeepEqual(x, y) {
				t.Fatalf("%+v becomes %+v, %v", x, y, err)
			}
			x.AppendMedia(nil, "")
			x.AppendMultivariant(nil, "s", "")
			x.AppendLowLatency(nil, "", true)
		}
	})
}

func FuzzHeaders(f *testing.F) {
	for _, h := range pieceCases() {
		f.Add(AppendPieceHeader(nil, h)[1:])
	}
	f.Add(AppendHello(nil, StreamPush))
	f.Add([]byte{byte(StreamSession), byte(V2)})
	f.Fuzz(func(t *testing.T, b []byte) {
		agrees(t, b, V1.ParseHello, V2.ParseHello)
		if h, n, err := ParsePieceHeader(b); known(t, n, err) {
			if again, _, err := ParsePieceHeader(AppendPieceHeader(nil, h)[1:]); err != nil || again != h {
				t.Fatalf("%+v becomes %+v, %v", h, again, err)
			}
		}
		if h, n, err := ParseIndexesHeader(b); known(t, n, err) {
			if again, _, err := ParseIndexesHeader(AppendIndexesHeader(nil, h)[1:]); err != nil || again != h {
				t.Fatalf("%+v becomes %+v, %v", h, again, err)
			}
		}
		_, n, err := ParseHello(b)
		known(t, n, err)
	})
}
