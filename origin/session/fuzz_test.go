package session

import (
	"testing"
	"time"

	"tmms/media"
	"tmms/media/rtmp"
)

// Whatever publishers send, one after the other, the stream takes it: identities
// rise, no track goes back, and everything is given back at the end. A message is
// a byte of what it is, one of how far its time is from the last one's, and, if it
// is none of the usual ones, a length and so many bytes.
func FuzzPublish(f *testing.F) {
	usual := []rtmp.Message{
		{Type: media.TypeData, Body: []byte(onMetaData)},
		{Type: media.TypeVideo, Body: []byte(avcConfig)},
		{Type: media.TypeAudio, Body: []byte(audioConfig)},
		{Type: media.TypeVideo, Body: []byte(avcKey)},
		{Type: media.TypeVideo, Body: []byte(avcDelta)},
		{Type: media.TypeAudio, Body: []byte(audioFrame)},
		{Type: media.TypeVideo, Body: []byte(vp6Key)},
		{Type: media.TypeAudio, Body: []byte(audioConfig2)},
	}
	const again, far, other = 8, 9, 10 // beside the usual
	start := []byte{0, 0, 1, 0, 2, 0}
	f.Add(append(start, 3, 0, 5, 10, 4, 40, 5, 10, 3, 250, 3, 250, 3, 250, 3, 250))
	f.Add(append(start, 3, 0, again, 0, 1, 0, 3, 0, 5, 0, far, 200, 3, 0, 5, 0, 7, 0, 5, 0))
	f.Add(append(start, 3, 0, other, 0, 5, 0x90, 'h', 'v', 'c', '1', other, 0, 6, 0x95, 0x11, 'O', 'p', 'u', 's', 4, 1))
	f.Add(append(start, 3, 0, other+1, 3, 2, 0xAF, 0x00, 6, 0, other+2, 0, 3, 2, 0, 10))
	f.Fuzz(func(t *testing.T, b []byte) {
		g := newRig(t)
		app := testApp()
		app.HLS.Enabled = true
		p, _ := g.attach(app, "")
		at, now := uint32(0), time.Now()
		for n := 0; len(b) >= 2 && n < 4096; n++ {
			what, step := b[0]%13, uint32(b[1])
			b = b[2:]
			at += step
			now = now.Add(time.Duration(step) * time.Millisecond)
			m := rtmp.Message{Type: media.TypeVideo, Timestamp: at}
			switch {
			case int(what) < len(usual):
				m.Type, m.Body = usual[what].Type, usual[what].Body
			case what == again:
				p.Detach(errGone)
				p, _ = g.attach(app, "")
				continue
			case what == far:
				at += step << 24
				continue
			default:
				if len(b) == 0 {
					continue
				}
				m.Type = [...]media.Type{media.TypeVideo, media.TypeAudio, media.TypeData}[what-other]
				size := min(int(b[0]), len(b)-1)
				m.Body, b = b[1:1+size], b[1+size:]
			}
			if err := p.Write(m, now); err != nil {
				t.Fatal(err)
			}
		}
		list := entries(t, g.live())
		type track struct {
			typ media.Type
			id  media.TrackID
		}
		last := map[track]media.Timestamp{}
		for i, e := range list {
			if i > 0 && list[i-1].ID.Compare(e.ID) >= 0 {
				t.Fatalf("packet %d is %v after %v", i, e.ID, list[i-1].ID)
			}
			if k := (track{e.Type, e.Track}); e.Kind != media.KindConfig && e.Kind != media.KindData {
				if e.DTS < last[k] {
					t.Fatalf("%s goes back from %d to %d", e.Type, last[k], e.DTS)
				}
				last[k] = e.DTS
			}
		}
		g.Close(t.Context())
		g.empty()
	})
}
