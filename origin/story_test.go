package origin_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tmms/cluster/relay"
	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/hls"
	"tmms/media/rtmp"
)

var update = flag.Bool("update", false, "write the traces of the stories")

// story plays a script against nodes of one process, and writes down what viewers
// have: a line for each step says where they are, the end what it was. Epochs are
// e1, e2 and so on, segments are numbered from the first. Media comes as fast as
// the viewers take it, so that no clock has a say.
type story struct {
	t       *testing.T
	group   *group
	key     media.StreamKey
	nodes   map[string]*clusterNode
	names   []string
	viewers []*storyViewer
	client  *client
	standby *clusterNode
	at      uint32 // raw time of the publisher
	asked   int    // publishers to hold
	epochs  map[uint64]string
	out     bytes.Buffer
}

// storyViewer reads a stream at a node, with HLS.
type storyViewer struct {
	name  string
	feed  *relay.Feed
	life  *relay.Live // the first one
	seen  map[uint64]*hls.Segment
	first uint64
	last  *hls.Index
}

// TestStories compares what happens when owners die, or hand their streams over,
// with what was written down.
//
// Requirement: S6 (viewers of every kind stay, one clock, numbers without a hole, a
// repeat or a changed URI, one discontinuity for each owner).
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/takeover/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no stories: ", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			script, want, _ := strings.Cut(string(b), "----\n")
			s := &story{t: t, group: newGroup(t), nodes: map[string]*clusterNode{}, epochs: map[uint64]string{}}
			s.group.ahead = time.Hour
			defer s.close()
			defer func() {
				for _, n := range s.names {
					if t.Failed() {
						t.Log("log of", n, s.nodes[n].log.String())
					}
				}
			}()
			for line := range strings.Lines(script) {
				if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
					s.step(line)
				}
			}
			s.end()
			if *update {
				if err := os.WriteFile(file, []byte(script+"----\n"+s.out.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			} else if got := s.out.String(); got != want {
				t.Errorf("the trace is\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func (s *story) step(line string) {
	s.t.Helper()
	fmt.Fprintln(&s.out, ">", line)
	words := strings.Fields(line)
	switch words[0] {
	case "app":
		s.key = media.StreamKey{Domain: "default", App: words[1], Stream: "test"}
		return
	case "origins":
		for _, name := range words[1:] {
			s.nodes[name] = s.group.start(name)
			s.names = append(s.names, name)
		}
		return
	case "viewer":
		s.view(words[1], s.nodes[words[3]])
		return
	case "publish":
		if words[1] == "at" {
			s.connect(s.nodes[words[2]])
		}
		s.publish(words[len(words)-1])
	case "leave":
		s.client.quit()
		waitFor(s.t, "grace", func() bool { return s.owner().live("test").State() == relay.StateGrace })
		s.settle()
	case "standby":
		s.standby = s.nodes[words[1]]
		s.inSync()
		s.settle()
	case "kill":
		s.inSync()
		s.nodes[words[1]].kill(s.group)
		s.client.quit()
		return
	case "failover":
		s.group.fail(s.nodes[words[1]].id)
		s.adopted("grace")
	case "handover":
		s.inSync()
		s.handOver(s.nodes[words[1]])
	case "expire":
		s.nodes[words[1]].stop()
		s.group.apply(state.DropOrphans{Orphans: []state.Orphan{{Key: state.Key(s.key), Epoch: s.placement().Epoch}}})
		for _, v := range s.viewers {
			waitFor(s.t, "the end", func() bool { return v.life.State() == relay.StateEnded })
		}
	default:
		s.t.Fatalf("no such step: %s", line)
	}
	s.tell()
}

// inSync waits until the standby is; a machine under load may be too slow for it for
// a while.
func (s *story) inSync() {
	s.t.Helper()
	waitFor(s.t, "the standby in sync", func() bool { return s.named().InSync })
}

// named is the placement; the standby is named anew if it was taken out.
func (s *story) named() state.Placement {
	now := s.placement()
	if now.Standby == "" {
		s.group.apply(state.SetStandby{Key: state.Key(s.key), Epoch: now.Epoch, To: s.standby.id})
	}
	return now
}

func (s *story) placement() state.Placement {
	p, _ := member{group: s.group}.Placement(s.key)
	return p
}

// owner is the node that the stream is at.
func (s *story) owner() *clusterNode {
	s.t.Helper()
	now := s.placement()
	for _, n := range s.nodes {
		if n.id == now.Owner {
			return n
		}
	}
	s.t.Fatalf("nobody owns the stream: %+v", now)
	return nil
}

// view has a viewer at a node.
func (s *story) view(name string, at *clusterNode) {
	s.t.Helper()
	feed, err := at.hub.Open(s.key)
	if err != nil {
		s.t.Fatal(err)
	}
	feed.WantHLS(true)
	s.viewers = append(s.viewers, &storyViewer{name: name, feed: feed, seen: map[uint64]*hls.Segment{}})
}

func (s *story) close() {
	for _, v := range s.viewers {
		v.feed.WantHLS(false)
		v.feed.Close()
	}
}

// connect begins another connection of the publisher, whose clock begins anew.
func (s *story) connect(to *clusterNode) {
	s.t.Helper()
	s.client = dial(s.t, to.rtmp, "rtmp://h/"+s.key.App+"/test", rtmp.OrderFFmpeg).ready()
	s.at = 0
	s.client.send(media.TypeData, 0, onMetaData)
	s.client.send(media.TypeVideo, 0, avcConfig)
	s.client.send(media.TypeAudio, 0, audioConfig)
}

// publish sends so many ms, in steps that everybody follows.
func (s *story) publish(ms string) {
	s.t.Helper()
	n, err := strconv.Atoi(ms)
	if err != nil {
		s.t.Fatal(err)
	}
	s.send(s.at + uint32(n))
}

// send sends media up to a time.
func (s *story) send(end uint32) {
	s.t.Helper()
	for s.at < end {
		before := int64(0)
		if l := s.owner().live("test"); l != nil {
			before = l.Packets()
		}
		sent := int64(0)
		for until := min(s.at+400, end); s.at < until; {
			s.frame()
			sent++
		}
		s.owner().waitPackets("test", before+sent) // the sound, at least
		s.settle()
	}
}

// frame sends 20 ms.
func (s *story) frame() {
	switch {
	case s.at%1000 == 0:
		s.client.send(media.TypeVideo, s.at, avcKey)
	case s.at%40 == 0:
		s.client.send(media.TypeVideo, s.at, avcDelta)
	}
	s.client.send(media.TypeAudio, s.at, audioFrame)
	s.at += 20
}

// handOver empties a node while its publisher goes on: once that was told to hold the
// next keyframe comes.
func (s *story) handOver(from *clusterNode) {
	s.t.Helper()
	done := make(chan int, 1)
	go func() { done <- from.HandOver(s.t.Context()) }()
	s.asked++
	waitFor(s.t, "the publisher is to hold", func() bool {
		n := 0
		for _, node := range s.nodes {
			n += strings.Count(node.log.String(), `msg="publisher is to hold"`)
		}
		return n == s.asked
	})
	s.send(s.at + (1000-s.at%1000)%1000)
	s.frame()
	if left := <-done; left != 0 {
		s.t.Fatalf("%d streams are left", left)
	}
	s.adopted("live")
	waitFor(s.t, "the keyframe at the new owner", func() bool {
		list := entries(s.owner().live("test"))
		return list[len(list)-1].ID.Epoch == s.placement().Epoch
	})
	s.settle()
}

// settle waits until everybody has what the owner has.
func (s *story) settle() {
	s.t.Helper()
	same := func() bool {
		owner := s.owner().live("test")
		if owner == nil {
			return false
		}
		lives := []*relay.Live{}
		for _, v := range s.viewers {
			lives = append(lives, v.feed.Live())
		}
		for _, n := range s.nodes {
			if now := s.placement(); n.id == now.Standby {
				lives = append(lives, n.live("test"))
			}
		}
		made := owner.Made()
		for _, l := range lives {
			if l == nil || l.LastDTS() != owner.LastDTS() || l.Epoch() != owner.Epoch() || l.State() != owner.State() {
				return false
			}
			if x := l.Index(); made != nil && (x == nil || x.Epoch != made.Epoch || x.Version != made.Version) {
				return false
			}
		}
		return true
	}
	for last, since := int64(-1), time.Now(); ; { // until nothing comes any more
		waitFor(s.t, "all have the same", same)
		n := s.owner().live("test").Packets()
		if n != last {
			last, since = n, time.Now()
		}
		if time.Since(since) > 40*time.Millisecond {
			break
		}
		tick := time.NewTimer(5 * time.Millisecond)
		<-tick.C
	}
	s.look()
}

// adopted waits until the stream is at its new owner, in that state.
func (s *story) adopted(phase string) {
	s.t.Helper()
	waitFor(s.t, "the takeover", func() bool {
		list := s.owner().Streams()
		return len(list) == 1 && list[0].Epoch == s.placement().Epoch && list[0].State == phase
	})
	s.settle()
}

// look notes what the viewers see of HLS.
func (s *story) look() {
	s.t.Helper()
	for _, v := range s.viewers {
		l := v.feed.Live()
		if v.life == nil {
			v.life = l
		}
		if l != v.life {
			s.t.Errorf("viewer %s has another life of the stream", v.name)
		}
		x := l.Index()
		if x == nil {
			continue
		}
		v.last = x
		for _, seg := range x.Segments {
			old := v.seen[seg.MSN]
			if old == nil && len(v.seen) == 0 {
				v.first = seg.MSN
			}
			if old != nil && (old.Epoch != seg.Epoch || old.Duration != seg.Duration || len(old.Parts) != len(seg.Parts)) {
				s.t.Errorf("viewer %s: segment %d is %+v, was %+v", v.name, seg.MSN, seg, old)
			}
			v.seen[seg.MSN] = seg
		}
	}
}

func (s *story) epoch(n uint64) string {
	if s.epochs[n] == "" {
		s.epochs[n] = fmt.Sprint("e", len(s.epochs)+1)
	}
	return s.epochs[n]
}

// tell writes down where the viewers are.
func (s *story) tell() {
	for _, v := range s.viewers {
		fmt.Fprintf(&s.out, "%s: %s in %s at %d ms", v.name, v.life.State(), s.epoch(v.life.Epoch()), v.life.LastDTS())
		if x := v.life.Index(); x != nil {
			last, _ := x.LastMSN()
			fmt.Fprintf(&s.out, ", %d segments up to %d", len(x.Playlist()), last-v.first)
			if x.Open != nil {
				fmt.Fprintf(&s.out, " and %d parts", len(x.Open.Parts))
			}
		}
		s.out.WriteByte('\n')
	}
}

// end writes down what the viewers had in all.
func (s *story) end() {
	s.t.Helper()
	for _, v := range s.viewers {
		fmt.Fprintf(&s.out, "viewer %s\n", v.name)
		oneClock(s.t, v.life)
		s.packets(v.life)
		s.segments(v)
	}
}

// packets writes the runs of the log: frames, from when to when.
func (s *story) packets(l *relay.Live) {
	type run struct {
		epoch uint64
		run   uint32
	}
	var at run
	var from, to media.Timestamp
	frames := 0
	joined := false
	flush := func() {
		switch {
		case frames == 0:
			return
		case !joined: // where in its first group is not said
			fmt.Fprintf(&s.out, "%s run %d: up to %d ms\n", s.epoch(at.epoch), at.run, to)
		default:
			fmt.Fprintf(&s.out, "%s run %d: %d frames, %d to %d ms\n", s.epoch(at.epoch), at.run, frames, from, to)
		}
		joined, frames = true, 0
	}
	for _, e := range entries(l) {
		if e.Kind == media.KindConfig || e.Kind == media.KindData {
			continue
		}
		if now := (run{e.ID.Epoch, e.Run}); now != at {
			flush()
			at, from = now, e.DTS
		}
		to = e.DTS
		frames++
	}
	flush()
}

// segments writes all segments in the order of their numbers, and how the playlist
// ends.
func (s *story) segments(v *storyViewer) {
	s.t.Helper()
	for msn := v.first; v.seen[msn] != nil; msn++ {
		seg := v.seen[msn]
		uri := hls.Name{Epoch: seg.Epoch, MSN: msn}.String()
		uri = strings.Replace(uri, fmt.Sprint(seg.Epoch, "-", msn), fmt.Sprint(s.epoch(seg.Epoch), "-", msn-v.first), 1)
		fmt.Fprintf(&s.out, "%s %d ms", uri, seg.Duration.Milliseconds())
		if len(seg.Parts) > 0 {
			fmt.Fprintf(&s.out, ", %d parts", len(seg.Parts))
		}
		if seg.Discontinuity {
			s.out.WriteString(", discontinuity")
		}
		s.out.WriteByte('\n')
		delete(v.seen, msn)
	}
	if len(v.seen) > 0 {
		s.t.Errorf("viewer %s: the numbers have a hole: %v", v.name, v.seen)
	}
	if x := v.last; x != nil {
		fmt.Fprintf(&s.out, "target %v, part %v, discontinuity sequence %d, ended %t\n",
			x.Target, x.PartTarget, x.DiscontinuitySequence, x.Ended)
	}
}

// Bodies of messages that HLS can carry.
const (
	avcConfig = "\x17\x00\x00\x00\x00\x01\x42\xc0\x0d\xff\xe1\x00\x16\x67\x42\xc0\x0d\xda\x05\x07\xec\x04\x40\x00\x00\x03\x00" +
		"\x40\x00\x00\x0c\x83\xc5\x0a\xa8\x01\x00\x04\x68\xce\x0f\xc8"
	avcKey   = "\x17\x01\x00\x00\x00\x00\x00\x00\x04\x65\x88\x80\x40"
	avcDelta = "\x27\x01\x00\x00\x00\x00\x00\x00\x04\x41\x9a\x02\x04"
)
