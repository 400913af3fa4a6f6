package relay

import (
	"context"
	"testing"
	"time"

	"tmms/cluster/fabric"
	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/relaywire"
)

// TestReplayedEpoch: an owner that says an older epoch than the placement's is not
// listened to, and groups of an older epoch that come again are dropped.
//
// CASES.md, hostile input; issue 6, line 7.
func TestReplayedEpoch(t *testing.T) {
	w := newWorld(t)
	epochs := make(chan uint64, 2) // what the owner says, in turn
	epochs <- 6
	epochs <- 8
	owner := w.startWith("h", func(_ *member, ctx context.Context, session *fabric.Session) {
		for {
			control, err := session.Accept(ctx)
			if err != nil {
				return
			}
			request, ok := subscribed(control)
			if !ok {
				continue
			}
			epoch := <-epochs
			_, _ = control.Write(relaywire.AppendMessage(nil, relaywire.Ok{Epoch: epoch, Keep: time.Minute, MaxBytes: 1 << 20}))
			for seq, id := range []media.PacketID{{Epoch: epoch}, {Epoch: 7, Group: 99}, {Epoch: epoch}, {Epoch: epoch, Group: 1}} {
				sendGroup(ctx, t, session, relaywire.GroupHeader{Subscription: request.ID, Seq: uint64(seq), ID: id})
			}
		}
	})
	edge := w.join("b", quick())
	w.place(key("a"), &state.Placement{Epoch: 8, Owner: owner.id})
	feed := edge.open(key("a"))
	defer feed.Close()
	last := media.PacketID{Epoch: 8, Group: 1, Index: 2}
	eventually(t, "the last group", func() bool { live := feed.Live(); return live != nil && lastOf(live) == last })
	want := []media.PacketID{{Epoch: 8}, {Epoch: 8, Index: 1}, {Epoch: 8, Index: 2}, {Epoch: 8, Group: 1}, {Epoch: 8, Group: 1, Index: 1}, last}
	all := entries(feed.Live())
	if len(all) != len(want) {
		t.Fatalf("%d packets, want %d", len(all), len(want))
	}
	for i, e := range all {
		if e.ID != want[i] {
			t.Errorf("packet %d is %+v, want %+v", i, e.ID, want[i])
		}
	}
	if n := gauge(t, edge.registry, "tmms_cluster_epoch_fences_total"); n < 1 {
		t.Errorf("%v fences", n)
	}
}

// sendGroup sends a group of three packets.
func sendGroup(ctx context.Context, t *testing.T, s *fabric.Session, h relaywire.GroupHeader) {
	t.Helper()
	stream, err := s.OpenUni(ctx)
	if err != nil {
		return
	}
	b := relaywire.AppendGroupHeader(nil, &h)
	p := h.Packets()
	for i := range 3 {
		kind := media.KindDelta
		if i == 0 {
			kind = media.KindKey
		}
		body := []byte("frame")
		b = p.AppendHead(b, &media.Packet{Type: media.TypeVideo, Kind: kind, Codec: media.CodecH264}, len(body))
		b = append(b, body...)
	}
	if _, err = stream.Write(b); err != nil {
		t.Errorf("group %d: %v", h.Seq, err)
	}
	_ = stream.Close()
}
