package edge

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"testing"

	astits "github.com/asticode/go-astits"

	"tmms/cluster/relay"
	"tmms/media"
)

// publishReal publishes configurations that TS can be made of.
func (n *node) publishReal(stream string) *publisher {
	n.tb.Helper()
	w, err := n.hub.Publish(testKey("live", stream), 7, relay.LiveOptions{})
	if err != nil {
		n.tb.Fatal(err)
	}
	p := &publisher{tb: n.tb, w: w, id: media.PacketID{Epoch: 7}}
	n.tb.Cleanup(p.end)
	p.push(media.TypeAudio, media.KindConfig, []byte{0xAF, 0, 0x12, 0x10})
	avc, err := hex.DecodeString("17000000000142c00dffe100166742c00dda0507ec0440000003004000000c83c50aa801000468ce0fc8")
	if err != nil {
		n.tb.Fatal(err)
	}
	p.push(media.TypeVideo, media.KindConfig, avc)
	return p
}

// seconds pushes seconds of a picture with sound.
func (p *publisher) seconds(n int) {
	for i := range 25 * n {
		kind, head := media.KindDelta, []byte{0x27, 1, 0, 0, 0, 0, 0, 4, 0, 0x41}
		if i%25 == 0 {
			kind, head = media.KindKey, []byte{0x17, 1, 0, 0, 0, 0, 0, 4, 0, 0x65}
		}
		p.push(media.TypeVideo, kind, append(head, make([]byte, 1023)...))
		for range 2 {
			p.push(media.TypeAudio, media.KindAudio, append([]byte{0xAF, 1}, make([]byte, 150)...))
			p.dts += 20
		}
	}
}

// countTS demuxes with go-astits: units by PID. It fails on a counter that does
// not continue.
func countTS(t *testing.T, b []byte) map[uint16]int {
	t.Helper()
	units, last := map[uint16]int{}, map[uint16]uint8{}
	d := astits.NewDemuxer(context.Background(), bytes.NewReader(b), astits.DemuxerOptPacketSize(188))
	for {
		p, err := d.NextPacket()
		if errors.Is(err, astits.ErrNoMorePackets) {
			return units
		}
		if err != nil {
			t.Fatal(err)
		}
		h := p.Header
		if prev, ok := last[h.PID]; ok && h.HasPayload && h.ContinuityCounter != (prev+1)&15 {
			t.Fatalf("PID %#x: counter %d after %d", h.PID, h.ContinuityCounter, prev)
		}
		last[h.PID] = h.ContinuityCounter
		if h.PayloadUnitStartIndicator {
			units[h.PID]++
		}
	}
}

func TestStreamPlaysAsTS(t *testing.T) {
	n := startNode(t)
	early := n.dial(n.http)
	if _, err := early.Write([]byte("GET /live/test.ts HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it waits", func() bool { return n.viewers() == 1 })
	p := n.publishReal("test")
	p.seconds(1)
	waited, err := http.ReadResponse(bufio.NewReader(early), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer waited.Body.Close()
	first, second := n.get("/live/test.ts"), n.get("/live/test.ts?token=x")
	for _, resp := range []*reply{first, second} {
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "video/mp2t" || resp.ContentLength != -1 ||
			!resp.Close || resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Fatalf("%s %v", resp.Status, resp.Header)
		}
	}
	if head := n.do(http.MethodHead, "/live/test.ts", nil); head.StatusCode != http.StatusOK ||
		head.Header.Get("Content-Type") != "video/mp2t" {
		t.Errorf("HEAD: %s %v", head.Status, head.Header)
	}
	if v := n.gather()["tmms_edge_viewers ts"]; v != 3 {
		t.Errorf("%v viewers by TS, want 3", v)
	}
	p.seconds(2)
	p.end()
	a, b := readAll(t, first.Body), readAll(t, second.Body)
	if !bytes.Equal(a, b) {
		t.Error("two viewers of one group got different bytes")
	}
	units := countTS(t, a)
	if units[0x100] != 75 || units[0x101] < 40 || a[1] != 0x40 || a[2] != 0 {
		t.Errorf("units %v", units)
	}
	if units = countTS(t, readAll(t, waited.Body)); units[0x100] != 75 {
		t.Errorf("who came first has units %v", units)
	}
	eventually(t, "all bytes to be counted", func() bool { return n.gather()["tmms_edge_sent_bytes_total ts"] >= float64(3*len(a)) })
}

func TestTSIsRefusedWhereThereIsNothingToPlay(t *testing.T) {
	n := startNode(t)
	p := n.publish(testKey("live", "hevc"))
	p.push(media.TypeVideo, media.KindConfig, []byte{0x1C, 0, 0, 0, 0, 1})
	p.push(media.TypeAudio, media.KindConfig, []byte("\x90Opus"))
	p.push(media.TypeVideo, media.KindKey, append([]byte{0x1C, 1, 0, 0, 0}, make([]byte, 90)...))
	resp := n.get("/live/hevc.ts")
	if body := readAll(t, resp.Body); resp.StatusCode != http.StatusUnsupportedMediaType || !bytes.Contains(body, []byte("/APP/STREAM.flv")) {
		t.Errorf("%s %q", resp.Status, body)
	}
	if resp = n.get("/mute/x.ts"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("switched off: %s", resp.Status)
	}
	eventually(t, "nobody is left", func() bool { return n.viewers() == 0 })
}
