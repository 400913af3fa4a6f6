package relaywire

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
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
	f.Fuzz(func(t *testing.T, b []byte) {
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
	for _, h := range groupCases() {
		b := AppendGroupHeader(nil, &h)[1:]
		packets := h.Packets()
		for _, p := range packetCases() {
			b = packets.Append(b, &p)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
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

func FuzzIndex(f *testing.F) {
	for name, x := range indexCases() {
		if name != "largest" { // it would be minimized for minutes
			f.Add(AppendIndex(nil, x))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x, n, err := ParseIndex(b)
		if !known(t, n, err) {
			return
		}
		again, _, err := ParseIndex(AppendIndex(nil, x))
		if err != nil || !reflect.DeepEqual(x, again) {
			t.Fatalf("%+v becomes %+v, %v", x, again, err)
		}
		x.AppendMedia(nil, "")
		x.AppendMultivariant(nil, "s", "")
	})
}

func FuzzHeaders(f *testing.F) {
	f.Add(AppendSegmentHeader(nil, SegmentHeader{1, 2, 3, 4})[1:])
	f.Add(AppendHello(nil, StreamPush))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, n, err := ParseSegmentHeader(b); known(t, n, err) {
			if again, _, err := ParseSegmentHeader(AppendSegmentHeader(nil, h)[1:]); err != nil || again != h {
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
