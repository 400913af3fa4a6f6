package signal

import (
	"slices"
	"testing"
	"time"

	"tmms/media"
)

// arrivals are the frames of a source for a time, as they are when nothing goes wrong.
func arrivals(t *testing.T, s *Source, began time.Time, clock, d time.Duration) (list []Arrival) {
	t.Helper()
	for s.Due() < d {
		f := s.Next(began.Add(s.Due()))
		a := Arrival{Time: clock + f.Due.Truncate(time.Millisecond), Now: began.Add(f.Due + 10*time.Millisecond)}
		read := ReadAudio
		if f.Type == media.TypeVideo {
			a.Track, read = Video, Read
		}
		var ok bool
		a.Marker, ok = read(f.Body)
		if !ok || !a.Marker.Intact {
			t.Fatalf("frame at %v without a good marker", f.Due)
		}
		list = append(list, a)
	}
	return list
}

// order puts sound half a second before the picture.
func (a Arrival) order() time.Duration {
	if a.Track == Audio {
		return a.Time - 500*time.Millisecond
	}
	return a.Time
}

func TestLedger(t *testing.T) {
	began := time.Unix(1000, 0)
	fresh := func() *Source {
		s, err := NewSource(Config{BitrateBPS: 300_000, FPS: 25, GOP: 25})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	see := func(list []Arrival) Stretch {
		var l Ledger
		for _, a := range list {
			l.See(a)
		}
		return l.Cut(list[len(list)-1].Now)
	}
	t.Run("clean", func(t *testing.T) {
		s := see(arrivals(t, fresh(), began, 0, 4*time.Second))
		if s.Tracks[Video].Frames != 100 || s.Tracks[Audio].Frames < 170 || s.Lost() != 0 || s.Faults() != 0 || len(s.Seams) != 0 {
			t.Errorf("%+v", s)
		}
		if s.Silence != 40*time.Millisecond || s.Apart > time.Millisecond || s.LagP99 != 20*time.Millisecond {
			t.Errorf("silence %v, apart %v, lag %v", s.Silence, s.Apart, s.LagP99)
		}
	})
	t.Run("a gap, and one of its frames comes late", func(t *testing.T) {
		list := arrivals(t, fresh(), began, 0, time.Second)
		late := list[20]
		list = append(append(list[:20:20], list[21:30]...), late)
		s := see(list)
		c := s.Tracks[late.Track]
		if s.Lost() != 1 || c.Late != 1 || c.Repeated != 0 || len(s.Seams) != 1 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("a repeat", func(t *testing.T) {
		list := arrivals(t, fresh(), began, 0, time.Second)
		if s := see(append(list, list[5])); s.Tracks[list[5].Track].Repeated != 1 || s.Faults() != 2 { // its time is back too
			t.Errorf("%+v", s)
		}
	})
	t.Run("damage", func(t *testing.T) {
		list := arrivals(t, fresh(), began, 0, time.Second)
		list[3].Marker.Intact = false
		if s := see(list); s.Tracks[list[3].Track].Damaged != 1 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("an encoder that comes back", func(t *testing.T) {
		src := fresh()
		list := arrivals(t, src, began, 0, time.Second)
		src.Begin()
		list = append(list, arrivals(t, src, began.Add(3*time.Second), time.Second, time.Second)...)
		s := see(list)
		if s.Lost() != 0 || s.Faults() != 0 || len(s.Seams) != 2 || s.Seams[0].Step > -1900*time.Millisecond {
			t.Errorf("%+v", s)
		}
		if s.Silence < 2*time.Second || s.Apart > 2*time.Millisecond {
			t.Errorf("silence %v, apart %v", s.Silence, s.Apart)
		}
	})
	t.Run("sound is ahead where the encoder comes back", func(t *testing.T) {
		src := fresh()
		list := arrivals(t, src, began, 0, time.Second)
		src.Begin()
		list = append(list, arrivals(t, src, began.Add(3*time.Second), time.Second, 4*time.Second)...)
		slices.SortStableFunc(list, func(a, b Arrival) int { return int(a.order() - b.order()) })
		if s := see(list); s.Lost() != 0 || s.Apart > 2*time.Millisecond {
			t.Errorf("apart %v, %+v", s.Apart, s)
		}
		for i := range list {
			if list[i].Track == Video && list[i].Time >= time.Second {
				list[i].Time += 3 * time.Second // the picture alone takes another step
			}
		}
		if s := see(list); s.Apart < 3*time.Second-2*time.Millisecond {
			t.Errorf("apart %v", s.Apart)
		}
	})
	t.Run("the publisher before comes back behind another one", func(t *testing.T) {
		first, second := fresh(), fresh()
		second.Number(SourceStep)
		list := arrivals(t, first, began, 0, time.Second)
		list = append(list, arrivals(t, second, began.Add(time.Second), time.Second, time.Second)...)
		first.Begin()
		list = append(list, arrivals(t, first, began.Add(2*time.Second), 2*time.Second, time.Second)...)
		if s := see(list); s.Returned != 2 || s.Lost() != 0 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("sound is late", func(t *testing.T) {
		list := arrivals(t, fresh(), began, 0, time.Second)
		for i := range list {
			if list[i].Track == Audio {
				list[i].Time += 70 * time.Millisecond
			}
		}
		if s := see(list); s.Apart < 69*time.Millisecond || s.Apart > 72*time.Millisecond {
			t.Errorf("apart %v", s.Apart)
		}
	})
	t.Run("a viewer that begins anew", func(t *testing.T) {
		var l Ledger
		list := arrivals(t, fresh(), began, 0, 2*time.Second)
		for i, a := range list {
			if i == 40 {
				l.Rejoin()
			}
			if i < 30 || i > 60 {
				l.See(a)
			}
		}
		s := l.Cut(list[len(list)-1].Now)
		if s.Lost() != 0 || len(s.Seams) != 0 || s.Silence > 45*time.Millisecond {
			t.Errorf("%+v", s)
		}
	})
}

func FuzzReadElementary(f *testing.F) {
	s, err := NewSource(DefaultConfig())
	if err != nil {
		f.Fatal(err)
	}
	for range 4 {
		f.Add(append([]byte{0, 0, 0, 1}, s.Next(time.Unix(1, 0)).Body...))
	}
	f.Add([]byte("tmmsmark"))
	f.Fuzz(func(t *testing.T, unit []byte) {
		m, ok := ReadElementary(unit)
		if !ok {
			return
		}
		var l Ledger
		l.See(Arrival{Track: Video, Marker: m})
		l.See(Arrival{Track: Video, Marker: m})
		if c := l.Cut(time.Time{}).Tracks[Video]; c.Frames != 2 || c.Repeated+c.Damaged < 1 {
			t.Errorf("%+v of %+v", c, m)
		}
	})
}
