package mpegts_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	astits "github.com/asticode/go-astits"

	"tmms/media/mpegts"
)

// The program's PIDs, as a stranger sees them.
const (
	pidVideo    = 0x100
	pidAudio    = 0x101
	pidMetadata = 0x102
	pidPMT      = 0x1000
)

// unit is a PES packet as an independent demuxer sees it.
type unit struct {
	pts, dts int64 // 90 kHz, as on the wire
	data     []byte
}

// seen is what go-astits finds in a transport stream.
type seen struct {
	pcrs   []int64 // 90 kHz, in order
	pcrPID map[uint16]int
	units  map[uint16][]unit
	pmts   []*astits.PMTData
	// uncounted are the packets without payload behind the first of their PID.
	uncounted int
	jumps     int     // PCRs with discontinuity_indicator
	random    []int64 // PTS of units with random_access_indicator on video
}

// judge demuxes with go-astits and checks, by its packets, what holds for every
// stream: whole packets, continuity, PCR spacing, PCR <= DTS, tables in time.
func judge(t *testing.T, ts []byte) seen {
	t.Helper()
	if len(ts) == 0 || len(ts)%188 != 0 {
		t.Fatalf("%d bytes are not whole packets", len(ts))
	}
	s := seen{pcrPID: map[uint16]int{}, units: map[uint16][]unit{}}
	s.packets(t, ts)
	s.data(t, ts)
	return s
}

func (s *seen) packets(t *testing.T, ts []byte) {
	t.Helper()
	d := astits.NewDemuxer(context.Background(), bytes.NewReader(ts), astits.DemuxerOptPacketSize(188))
	last := map[uint16]uint8{}
	var tablesAt, pcr int64 = -1, -1
	for n := 0; ; n++ {
		p, err := d.NextPacket()
		if errors.Is(err, astits.ErrNoMorePackets) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		h, af := p.Header, p.AdaptationField
		if prev, ok := last[h.PID]; ok {
			want := prev
			if h.HasPayload {
				want = (prev + 1) & 15
			} else {
				s.uncounted++
			}
			if h.ContinuityCounter != want {
				t.Fatalf("packet %d, PID %#x: continuity counter %d, want %d", n, h.PID, h.ContinuityCounter, want)
			}
		}
		last[h.PID] = h.ContinuityCounter
		if af != nil && af.HasPCR {
			at := af.PCR.Base
			if pcr >= 0 {
				if step := (at - pcr) & (1<<33 - 1); (step > 3600 || step == 0) && !af.DiscontinuityIndicator {
					t.Fatalf("packet %d: PCR %d after %d, %d ticks apart, the limit is 3600", n, at, pcr, step)
				}
			}
			if af.DiscontinuityIndicator {
				s.jumps++
				tablesAt = at // the tables stand in front of the jump
			}
			pcr = at
			s.pcrs = append(s.pcrs, at)
			s.pcrPID[h.PID]++
		}
		if h.PID == pidPMT {
			tablesAt = pcr
		}
		if pcr >= 0 && tablesAt >= 0 && (pcr-tablesAt)&(1<<33-1) > 45000 {
			t.Fatalf("packet %d: PCR %d, last tables at %d: more than 500 ms", n, pcr, tablesAt)
		}
		if h.PayloadUnitStartIndicator && h.PID >= pidVideo && h.PID <= pidMetadata {
			pts, dts := stamps(p.Payload)
			if ahead := (dts - pcr) & (1<<33 - 1); pcr >= 0 && ahead > 1<<32 {
				t.Fatalf("packet %d: PCR %d is above DTS %d", n, pcr, dts)
			}
			if af != nil && af.RandomAccessIndicator && h.PID == pidVideo {
				s.random = append(s.random, pts)
			}
		}
	}
}

// stamps reads PTS and DTS off a PES header.
func stamps(b []byte) (pts, dts int64) {
	read := func(b []byte) int64 {
		return int64(b[0]>>1&7)<<30 | int64(b[1])<<22 | int64(b[2]>>1)<<15 | int64(b[3])<<7 | int64(b[4]>>1)
	}
	pts = read(b[9:])
	if dts = pts; b[7]&0x40 != 0 {
		dts = read(b[14:])
	}
	return pts, dts
}

func (s *seen) data(t *testing.T, ts []byte) {
	t.Helper()
	if len(s.pcrs) == 0 {
		t.Fatal("no PCR at all")
	}
	d := astits.NewDemuxer(context.Background(), bytes.NewReader(ts), astits.DemuxerOptPacketSize(188))
	for {
		data, err := d.NextData()
		if errors.Is(err, astits.ErrNoMorePackets) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case data.PMT != nil:
			s.pmts = append(s.pmts, data.PMT)
		case data.PES != nil:
			h := data.PES.Header.OptionalHeader
			u := unit{pts: h.PTS.Base, dts: h.PTS.Base, data: data.PES.Data}
			if h.DTS != nil {
				u.dts = h.DTS.Base
			}
			s.units[data.PID] = append(s.units[data.PID], u)
		}
	}
	for pid, units := range s.units {
		for i := 1; i < len(units); i++ {
			if step := (units[i].dts - units[i-1].dts) & (1<<33 - 1); step == 0 || step > 1<<32 {
				t.Fatalf("PID %#x: DTS %d after %d does not grow", pid, units[i].dts, units[i-1].dts)
			}
		}
	}
}

// streamTypes are those of the last PMT.
func (s *seen) streamTypes() []byte {
	var types []byte
	for _, e := range s.pmts[len(s.pmts)-1].ElementaryStreams {
		types = append(types, byte(e.StreamType))
	}
	return types
}

// continuity asks dvbinfo for discontinuities.
func continuity(t *testing.T, file string) (faults []string) {
	t.Helper()
	for line := range strings.Lines(dvbinfo(t, file)) {
		if strings.Contains(line, "discontinuity") {
			faults = append(faults, strings.TrimSpace(line))
		}
	}
	return faults
}

// dvbinfo gives what it prints, which goes to both outputs.
func dvbinfo(t *testing.T, file string) string {
	t.Helper()
	out := tool(t, nil, "sh", "-c", `dvbinfo -s packet -f "$1" 2>&1`, "sh", file)
	if !strings.Contains(out, "Number of packets") {
		t.Fatalf("dvbinfo printed no summary: %q", out[max(0, len(out)-300):])
	}
	return out
}

// probed is what ffprobe finds.
type probed struct {
	Packets []struct {
		Type string `json:"codec_type"`
		PTS  int64  `json:"pts"`
		DTS  int64  `json:"dts"`
	}
	Frames []struct {
		Type string `json:"media_type"`
	}
	Streams []struct {
		Codec    string `json:"codec_name"`
		Type     string `json:"codec_type"`
		Width    int
		Height   int
		Rate     string `json:"sample_rate"`
		Channels int
		Count    string `json:"nb_read_frames"`
	}
}

// probe runs ffprobe, which decodes everything and must not complain.
func probe(t *testing.T, file string) probed {
	t.Helper()
	out := tool(t, nil, "sh", "-c", `ffprobe -v warning -show_streams -show_packets -count_frames -of json "$1" 2>"$1.err"
		cat "$1.err" >&2; test ! -s "$1.err"`, "sh", file)
	var p probed
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// codecs are the streams as "h264 video".
func (p probed) codecs() []string {
	var c []string
	for _, s := range p.Streams {
		c = append(c, s.Codec+" "+s.Type)
	}
	slices.Sort(c)
	return c
}

// count is how many frames of a type ffprobe decoded.
func (p probed) count(typ string) int {
	for _, s := range p.Streams {
		if s.Type == typ {
			n, _ := strconv.Atoi(s.Count)
			return n
		}
	}
	return 0
}

// wire is a source time in ms as it stands in the stream.
func wire(ms int64) int64 { return (ms*mpegts.TicksPerMS + mpegts.TimeOffset) & (1<<33 - 1) }

// experts gives what tshark's dissectors find worth a warning, or worse.
func experts(t *testing.T, file string) (faults []string) {
	t.Helper()
	out := tool(t, nil, "tshark", "-r", file, "-q", "-z", "expert,warn")
	for line := range strings.Lines(out) {
		if line = strings.TrimSpace(line); line != "" {
			faults = append(faults, line)
		}
	}
	return faults
}
