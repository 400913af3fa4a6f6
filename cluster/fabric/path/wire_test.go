package path

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"tmms/media"
)

// wireCase is a packet with what it says.
type wireCase struct {
	name  string
	bytes []byte
	want  any
}

func wireCases() []wireCase {
	source, repair := Source{Seq: 7, Sent: 513}, Repair{First: 1 << 31, Count: 256, Seed: 9, Sent: 3, RoundTrip: 400}
	report := Report{
		Top: 5, Echo: 6, Held: 7, Received: 8, Lost: 9, Runs: 10, Repaired: 11, Resent: 12, Unrepaired: 13, Crowded: 14,
		Worst: 15, Queue: 16, Congested: true,
	}
	ranges := []Range{{First: 3, N: 1}, {First: 9, N: 512}}
	return []wireCase{
		{"source", append(source.append(nil, KindSource, 1), "packet"...), source},
		{"resend", append(source.append(nil, KindResend, 1), "packet"...), source},
		{"repair", append(repair.append(nil, 1), "combination"...), repair},
		{"request", appendRequest(nil, 1, ranges), ranges},
		{"report", report.append(nil, 1), report},
		{"probe", AppendProbe(nil, 1, Probe{First: 2, Size: 100}), Probe{First: 2, Size: 100}},
		{"answer", AppendAnswer(nil, 1, Probe{First: 2, Size: 100}), Probe{First: 2, Size: 100}},
	}
}

// parse parses any packet.
func parse(b []byte) (got any, err error) {
	kind, _, err := Open(b)
	if err != nil {
		return nil, err
	}
	switch kind {
	case KindSource, KindResend:
		got, _, err = ParseSource(b)
	case KindRepair:
		got, _, err = ParseRepair(b)
	case KindRequest:
		got, err = ParseRequest(b, nil)
	case KindReport:
		got, err = ParseReport(b)
	case KindProbe:
		got, err = ParseProbe(b)
	case KindAnswer:
		got, err = ParseAnswer(b)
	default:
		err = ErrMalformed
	}
	return got, err
}

func same(a, b any) bool {
	if x, ok := a.([]Range); ok {
		y, ok := b.([]Range)
		return ok && slices.Equal(x, y)
	}
	return a == b
}

func TestPacketsSayWhatWasPutIn(t *testing.T) {
	for _, c := range wireCases() {
		t.Run(c.name, func(t *testing.T) {
			if !Ours(c.bytes) {
				t.Errorf("the first byte %#x is a QUIC packet's", c.bytes[0])
			}
			if _, id, err := Open(c.bytes); err != nil || id != 1 {
				t.Errorf("id %d, %v", id, err)
			}
			got, err := parse(c.bytes)
			if err != nil || !same(got, c.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
}

func TestCutPacketsAreMalformed(t *testing.T) {
	headers := map[string]int{"source": SourceSize, "resend": SourceSize, "repair": repairSize + lengthSize - 1}
	for _, c := range wireCases() {
		end := len(c.bytes) - 1
		if h, ok := headers[c.name]; ok {
			end = h
		}
		for n := range end + 1 {
			if _, err := parse(c.bytes[:n]); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: %d of %d bytes: %v", c.name, n, len(c.bytes), err)
			}
		}
	}
}

func TestBoundsOfFieldsAreHeld(t *testing.T) {
	tooLong := append(Source{}.append(nil, KindSource, 1), make([]byte, media.MaxFabricPacket+1)...)
	repair := func(count int) []byte { return append(Repair{Count: count}.append(nil, 1), 0, 0) }
	for name, b := range map[string][]byte{
		"source of too many bytes":   tooLong,
		"repair of no source":        repair(0),
		"repair of too many sources": repair(media.MaxFabricRepairWindow + 1),
		"request of no source":       appendRequest(nil, 1, []Range{{First: 1, N: 0}}),
		"request of too many":        appendRequest(nil, 1, []Range{{First: 1, N: maxHoles + 1}}),
		"request of too many ranges": appendRequest(nil, 1, make([]Range, maxRanges+1)),
	} {
		if _, err := parse(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range wireCases() {
		f.Add(c.bytes)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parse(b)
		if err != nil && !errors.Is(err, ErrMalformed) {
			t.Fatalf("%v is not ErrMalformed", err)
		}
		if r, ok := got.([]Range); ok && err == nil && !bytes.Equal(appendRequest(nil, 0, r)[idSize:], b[idSize:]) {
			t.Fatalf("%x comes out as %+v", b, r)
		}
	})
}
