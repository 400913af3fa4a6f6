package web

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// What all of a crowd ask for at once goes out in pieces: no tick sends more than
// the loop's allowance, beside live viewers a smaller one, and all get all.
func TestBodiesShareTheLoop(t *testing.T) {
	for _, live := range []bool{false, true} {
		t.Run(fmt.Sprint("live ", live), func(t *testing.T) {
			st := startStation(t)
			if live {
				st.ask("GET /live/none.flv HTTP/1.1\r\nHost: x\r\n\r\n")
				until(t, "there is a viewer, and a tick knows of it", func() bool {
					known := make(chan bool, 1)
					return st.loop.Post(func() {
						known <- st.web.fanout.Len() == 1 && st.web.bodies == newAllowance(false)
						st.loop.Wake()
					}) && <-known
				})
			}
			const readers, path = 200, "/assets/hls.min.js"
			want := string(st.web.server.assets[path].data)
			var wg sync.WaitGroup
			var good atomic.Int64
			for range readers {
				_, br := st.ask("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
				wg.Go(func() {
					resp, err := http.ReadResponse(br, nil)
					if err != nil {
						t.Error(err)
						return
					}
					defer resp.Body.Close()
					b, err := io.ReadAll(resp.Body)
					if err == nil && string(b) == want {
						good.Add(1)
					}
				})
			}
			wg.Wait()
			if n := good.Load(); n != readers {
				t.Errorf("%d of %d readers got all", n, readers)
			}
			limit := int64(newAllowance(!live).bytes + pieceSize)
			if n := st.mostSent.Load(); n == 0 || n > limit {
				t.Errorf("%d bytes from one tick to the next, the limit is %d", n, limit)
			}
			t.Logf("%d bytes at most from one tick to the next", st.mostSent.Load())
		})
	}
}
