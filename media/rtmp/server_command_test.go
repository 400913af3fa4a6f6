package rtmp

import (
	"fmt"
	"slices"
	"testing"

	"tmms/media"
	"tmms/media/amf0"
)

type step struct {
	in      []byte
	events  []string
	replies []string
}

func connectStep() step {
	return step{in: connectCall(), replies: []string{
		"window 2500000", "bandwidth 2500000", "chunk size 65536", "_result 1 NetConnection.Connect.Success",
	}}
}

type script struct {
	name  string
	steps []step
}

func commandScripts() []script {
	null := amf0.Null()
	start := []string{"onStatus 0 NetStream.Publish.Start"}
	startFC := []string{"onFCPublish 0 NetStream.Publish.Start", "onStatus 0 NetStream.Publish.Start"}
	playReplies := []string{"user 0 1", "onStatus 0 NetStream.Play.Reset", "onStatus 0 NetStream.Play.Start"}
	create := step{in: call(0, "createStream", 4, null), replies: []string{"_result 4 1"}}
	release := step{in: call(0, "releaseStream", 2, null, text("cam")), replies: []string{"_result 2"}}
	fcPublish := step{in: call(0, "FCPublish", 3, null, text("cam")), replies: []string{"_result 3"}}
	publish := step{in: publishCall(5), events: []string{"publish live/cam"}, replies: start}
	publishFC := step{in: publishCall(5), events: []string{"publish live/cam"}, replies: startFC}
	video := step{in: videoMessage(1, 10, 200), events: []string{"video 10 200b"}}
	lost := step{in: videoMessage(1, 10, 200)}
	play := step{in: call(1, "play", 5, null, text("cam")), events: []string{"play live/cam"}, replies: playReplies}
	return []script{
		{"ffmpeg", []step{connectStep(), release, fcPublish, create, publishFC, video}},
		{"createStream first", []step{connectStep(), create, release, fcPublish, publishFC, video}},
		{"FCPublish alone", []step{connectStep(), fcPublish, create, publishFC, video}},
		{"minimal", []step{connectStep(), create, publish, video}},
		{"no createStream", []step{connectStep(), publish, video}},
		{"all at once", []step{{
			in:     slices.Concat(connectCall(), release.in, fcPublish.in, create.in, publishFC.in, video.in),
			events: []string{"publish live/cam", "video 10 200b"},
			replies: slices.Concat(connectStep().replies, release.replies, fcPublish.replies, create.replies,
				startFC),
		}}},
		{"FCUnpublish, then publish again", []step{
			connectStep(), release, fcPublish, create, publishFC, video,
			{
				in: call(0, "FCUnpublish", 6, null, text("cam")), events: []string{"unpublish"},
				replies: []string{
					"onFCUnpublish 0 NetStream.Unpublish.Success", "_result 6",
					"onStatus 0 NetStream.Unpublish.Success",
				},
			},
			lost,
			{in: call(0, "deleteStream", 7, null, amf0.Number(1))},
			create, publish, video,
		}},
		{"deleteStream, then publish again", []step{
			connectStep(), create, publish, video,
			{
				in: call(0, "deleteStream", 0, null, amf0.Number(1)), events: []string{"unpublish"},
				replies: []string{"onStatus 0 NetStream.Unpublish.Success"},
			},
			lost, create, publish, video,
		}},
		{"closeStream, then publish again", []step{
			connectStep(), create, publish,
			{
				in: call(1, "closeStream", 0, null), events: []string{"unpublish"},
				replies: []string{"onStatus 0 NetStream.Unpublish.Success"},
			},
			lost, publish, video,
		}},
		{"closeStream of another stream", []step{connectStep(), create, publish, {in: call(2, "closeStream", 0, null)}, video}},
		{"createStream gives the smallest free id", []step{
			connectStep(), create,
			{in: call(0, "createStream", 5, null), replies: []string{"_result 5 2"}},
			{in: call(0, "createStream", 6, null), replies: []string{"_result 6 3"}},
			{in: call(0, "deleteStream", 7, null, amf0.Number(2))},
			{in: call(0, "createStream", 8, null), replies: []string{"_result 8 2"}},
			{in: call(0, "deleteStream", 9, null, amf0.Number(1e9))},
			{in: call(0, "createStream", 10, null), replies: []string{"_result 10 4"}},
		}},
		{"createStream has an end", []step{connectStep(), {
			in: slices.Concat(createCalls(media.MaxNetStreams), call(0, "deleteStream", 0, null, amf0.Number(3)),
				createCalls(2)),
			replies: append(createReplies(media.MaxNetStreams), "_result 1 3", "_error 2 NetConnection.Call.Failed"),
		}}},
		{"FCUnpublish without a publish", []step{connectStep(), {
			in:      call(0, "FCUnpublish", 6, null, text("cam")),
			replies: []string{"onFCUnpublish 0 NetStream.Unpublish.Success", "_result 6"},
		}, {in: call(0, "pause", 7, null, amf0.Bool(true))}}},
		{"a second publish is refused", []step{
			connectStep(), create, publish,
			{in: publishCall(6), replies: []string{"onStatus 0 NetStream.Publish.BadName"}},
			{in: call(1, "play", 6, null, text("cam")), replies: []string{"onStatus 0 NetStream.Play.Failed"}},
			video,
		}},
		{"harmless commands", []step{
			connectStep(),
			{in: call(0, "_checkbw", 2, null), replies: []string{"_result 2"}},
			{in: call(0, "getStreamLength", 3, null, text("cam")), replies: []string{"_result 3 0"}},
			{in: call(0, "makeCoffee", 4, null), replies: []string{"_error 4 NetConnection.Call.Failed"}},
			{in: call(0, "makeCoffee", 0, null)},
			{in: call(0, "_result", 9, null)},
			{in: call(0, "_error", 9, null)},
			{in: call(0, "onStatus", 9, null)},
			{in: call(0, "FCSubscribe", 5, null, text("cam")), replies: []string{"onFCSubscribe 0 NetStream.Play.Start"}},
			{in: connectCall(), replies: []string{"_error 1 NetConnection.Connect.Rejected"}},
			create, publish, video,
		}},
		{"play and what players do", []step{
			connectStep(), create, play,
			{
				in: call(1, "pause", 6, null, amf0.Bool(true), amf0.Number(100)), events: []string{"pause true"},
				replies: []string{"onStatus 0 NetStream.Pause.Notify", "user 1 1"},
			},
			{
				in: call(1, "pause", 6, null, amf0.Bool(true), amf0.Number(100)), events: []string{"pause true"},
				replies: []string{"onStatus 0 NetStream.Pause.Notify"}, // it was paused already
			},
			{
				in: call(1, "pause", 7, null, amf0.Bool(false), amf0.Number(100)), events: []string{"pause false"},
				replies: []string{"user 0 1", "onStatus 0 NetStream.Unpause.Notify"},
			},
			{
				in: call(1, "pause", 7, null, amf0.Bool(false), amf0.Number(100)), events: []string{"pause false"},
				replies: []string{"onStatus 0 NetStream.Unpause.Notify"},
			},
			{in: call(1, "seek", 8, null, amf0.Number(1)), replies: []string{"onStatus 0 NetStream.Seek.Failed"}},
			{in: call(1, "receiveAudio", 0, null, amf0.Bool(false))},
			{in: call(1, "receiveVideo", 0, null, amf0.Bool(true))},
			lost,
			{in: call(1, "closeStream", 0, null), events: []string{"stop"}},
			play,
			{in: call(0, "deleteStream", 0, null, amf0.Number(1)), events: []string{"stop"}},
		}},
		{"AMF3 commands", []step{
			connectStep(), create,
			{in: amf3(publish.in), events: publish.events, replies: publish.replies},
			video,
		}},
	}
}

func createCalls(n int) []byte {
	var b []byte
	for i := range n {
		b = append(b, call(0, "createStream", float64(1+i), amf0.Null())...)
	}
	return b
}

func createReplies(n int) []string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("_result %d %d", 1+i, 1+i))
	}
	return list
}

// amf3 wraps a command of one chunk in a message of type 17.
func amf3(b []byte) []byte {
	return appendMessage(nil, csidCommand, header{typ: typeCommandAMF3, streamID: 1}, append([]byte{0}, b[12:]...), 4096)
}

// Every order of commands that encoders use, and every hole in it.
func TestFCOrder(t *testing.T) {
	for _, sc := range commandScripts() {
		t.Run("fc-order/"+sc.name, func(t *testing.T) {
			p := newPeer(t, ServerConfig{})
			for i, s := range sc.steps {
				if got := p.feed(s.in); !slices.Equal(got, s.events) {
					t.Fatalf("step %d: events %q, want %q", i, got, s.events)
				}
				if got := p.replies(); !slices.Equal(got, s.replies) {
					t.Fatalf("step %d: replies %q, want %q", i, got, s.replies)
				}
			}
		})
	}
}
