package relaywire

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// longestShown is the number of bytes up to which testdata/version1.txt has the
// bytes themselves, else their SHA-256.
const longestShown = 400

// version1 are the bytes of everything that version 1 sends, by name.
func version1(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{
		"hello subscribe": AppendHello(nil, StreamSubscribe),
		"hello push":      AppendHello(nil, StreamPush),
		"indexes header":  AppendIndexesHeader(nil, IndexesHeader{Subscription: 300}),
	}
	for name, m := range messageCases() {
		all["message "+name] = AppendMessage(nil, m)
	}
	for name, c := range pushCases() {
		all["push "+name] = AppendMessage(nil, c.m)
	}
	for name, h := range groupCases() {
		all["group "+name] = AppendGroupHeader(nil, &h)
	}
	h := GroupHeader{ID: id(3, 4, 5), Run: 6}
	packets := h.Packets()
	var b []byte
	for _, p := range packetCases() {
		b = packets.Append(b, &p)
	}
	all["packets"] = b
	for i, h := range pieceCases() {
		all["piece "+strconv.Itoa(i)] = AppendPieceHeader(nil, h)
	}
	for name, x := range indexCases() {
		all["index "+name] = appendIndex(x)
	}
	all["indexes"] = sequence(t)
	return all
}

// sequence is an index with low latency and what follows it: parts, another
// listing, an initialization section that is known.
func sequence(t *testing.T) []byte {
	t.Helper()
	x := lowLatency(2)
	var r Indexes
	var b []byte
	for i := range 4 {
		next := *x
		next.Version += uint64(i)
		next.Open = testOpen(x.NextMSN(), 4+i)
		if i == 3 {
			next.Listing, next.Open = next.Version, nil
		}
		var err error
		if b, err = r.Append(b, &next); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// shown is the line of testdata/version1.txt for some bytes.
func shown(name string, b []byte) string {
	if len(b) > longestShown {
		return fmt.Sprintf("%s: %d bytes, SHA-256 %x", name, len(b), sha256.Sum256(b))
	}
	return fmt.Sprintf("%s: %x", name, b)
}

// Version 1 never changes: nodes that speak nothing else are out there. The file
// was written by the last release that knew no other.
func TestVersion1(t *testing.T) {
	golden, err := os.ReadFile("testdata/version1.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]string{}
	for name, b := range version1(t) {
		lines[name] = shown(name, b)
	}
	n := 0
	for want := range strings.Lines(string(golden)) {
		n++
		want = strings.TrimSuffix(want, "\n")
		name, _, _ := strings.Cut(want, ":")
		if lines[name] != want {
			t.Errorf("sent  %s\nwant  %s", lines[name], want)
		}
	}
	if n < 40 {
		t.Errorf("%d lines", n)
	}
}
