package origin_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"tmms/media"
)

// slice is a picture of so many bytes, of what avcDelta is one.
func slice(size int) string {
	b := binary.BigEndian.AppendUint32([]byte(avcDelta[:5]), uint32(size))
	return string(append(b, 0x41)) + strings.Repeat("x", size-1)
}

// Requirement: S6 (the standby's part: of a large segment it has what there is before
// its end, beside the packets, and the same bytes then).
func TestStandbyHasTheOpenSegment(t *testing.T) {
	for _, app := range []string{"hls", "ll"} {
		t.Run(app, func(t *testing.T) {
			s := &story{t: t, group: newGroup(t), nodes: map[string]*clusterNode{}, epochs: map[uint64]string{}}
			for _, line := range []string{"app " + app, "origins a b", "publish at a 5600", "standby b"} {
				s.step(line)
			}
			before := s.standby.metric("tmms_relay_bytes_total")
			packets := 0
			for at := s.at; at < 6000; at += 40 { // without a keyframe the segment goes on
				s.client.send(media.TypeVideo, at, slice(150_000))
				packets += 150_000
			}
			want := 2 * packets
			if app == "ll" { // there is all of it in fragmented MP4 too, but for a part and what is not shown of it
				want += packets / 4
			}
			waitFor(t, "the segment beside the packets", func() bool {
				s.named() // a machine under load may be too slow for it
				return s.standby.metric("tmms_relay_bytes_total")-before > 0.95*float64(want)
			})
			x := s.owner().live("test").Index()
			s.at = 6000
			s.send(8400) // a keyframe at 6 s and 8 s
			s.inSync()
			mine, its := s.owner().live("test").Index(), s.standby.live("test").Index()
			for msn := x.Segments[len(x.Segments)-1].MSN + 1; msn < mine.NextMSN(); msn++ {
				a, b := mine.Lookup(mine.Epoch, msn), its.Lookup(mine.Epoch, msn)
				if a == nil {
					break // it is open
				}
				if b == nil || !bytes.Equal(bytes.Join(a.TS.Chunks, nil), bytes.Join(b.TS.Chunks, nil)) {
					t.Errorf("segment %d of the standby is %+v", msn, b)
				}
			}
		})
	}
}
