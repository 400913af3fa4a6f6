package node

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A sampler that is woken in time sees no delay.
func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDelay()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- d.run(ctx) }()
		time.Sleep(time.Minute)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		reg := prometheus.NewRegistry()
		reg.MustRegister(d.seconds)
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		h := families[0].GetMetric()[0].GetHistogram()
		least, most := uint64(time.Minute/maxSamplePause), uint64(time.Minute/minSamplePause)
		if n := h.GetSampleCount(); n < least || n > most || h.GetSampleSum() != 0 {
			t.Errorf("%d samples, %v s late in all", n, h.GetSampleSum())
		}
	})
}
