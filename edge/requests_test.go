package edge

import (
	"maps"
	"net/http"
	"testing"

	"tmms/media/hls"
)

// requests are the counts of HTTP requests that are not 0, by "kind code"; parked ones
// by "kind parked".
func (n *node) requests() map[string]float64 {
	n.tb.Helper()
	families, err := n.registry.Gather()
	if err != nil {
		n.tb.Fatal(err)
	}
	counts := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{"code": "parked"}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			switch f.GetName() {
			case "tmms_edge_http_requests_total", "tmms_edge_http_parked_requests_total":
				if v := m.GetCounter().GetValue(); v > 0 {
					counts[labels["kind"]+" "+labels["code"]] = v
				}
			}
		}
	}
	return counts
}

func TestRequestsAreCounted(t *testing.T) {
	n := startNode(t)
	p := n.publish(testKey("live", "test"))
	p.group()
	x := index(1, 100, 2, false)
	p.w.PublishIndex(x)

	for range 3 {
		n.get("/live/test.m3u8")
		n.get("/live/test/live.m3u8")
		n.get("/live/test/" + hls.SegmentName(7, 100))
	}
	n.do(http.MethodGet, "/live/test/live.m3u8", http.Header{"If-None-Match": {x.ETag()}})
	n.do(http.MethodGet, "/live/test/"+hls.SegmentName(7, 100), http.Header{"Range": {"bytes=0-9"}})
	n.get("/live/test/7-99.ts")
	n.get("/live/test/7-100.1.m4s")
	n.get("/live/test/init-7-1.mp4")
	n.get("/live/test/ll.m3u8")
	n.get("/live/test.flv")
	n.get("/")
	n.get("/no/such/page/at/all")
	n.do(http.MethodOptions, "/live/test.m3u8", nil)
	n.do(http.MethodPost, "/live/test.m3u8", nil)
	// A request that is no request, and one that turns a connection into a WebSocket.
	c := n.dial(n.url[len("http://"):])
	if _, err := c.Write([]byte("what?\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	n.do(http.MethodGet, "/live/test.flv", http.Header{
		"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="},
	})
	// One that has to wait is counted at once, and answered later.
	answered := make(chan int, 1)
	go func() { answered <- n.get("/live/test/" + hls.SegmentName(7, 102)).StatusCode }()
	eventually(t, "a request is parked", func() bool { return n.requests()["segment parked"] == 1 })
	p.w.PublishIndex(index(2, 100, 3, false))
	if code := <-answered; code != http.StatusOK {
		t.Errorf("the one that waited: %d", code)
	}

	want := map[string]float64{
		"multivariant 2xx": 3, "playlist 2xx": 3, "playlist 3xx": 1, "segment 2xx": 5, "segment 4xx": 1, "segment parked": 1,
		"part 4xx": 1, "init 4xx": 1, "low_latency 4xx": 1, "flv 2xx": 1, "ws 1xx": 1, "page 2xx": 1, "other 4xx": 3, "other 2xx": 1,
	}
	eventually(t, "all are counted", func() bool { return maps.Equal(n.requests(), want) })
}
