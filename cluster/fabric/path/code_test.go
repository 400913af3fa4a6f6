package path

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/klauspost/reedsolomon"
)

// TestFieldIsTheLibrarys: scalars are multiplied here, slices by the library.
func TestFieldIsTheLibrarys(t *testing.T) {
	var f reedsolomon.LowLevel
	in, out := make([]byte, 256), make([]byte, 256)
	for i := range in {
		in[i] = byte(i)
	}
	for c := range 256 {
		f.GalMulSlice(byte(c), in, out)
		for i := range in {
			if got := mul(byte(c), byte(i)); got != out[i] {
				t.Fatalf("%d x %d is %d, the library's is %d", c, i, got, out[i])
			}
		}
		if c > 0 && mul(byte(c), inverse(byte(c))) != 1 {
			t.Fatalf("%d is not the inverse of %d", inverse(byte(c)), c)
		}
	}
}

func TestCoefficientsAreNeverZero(t *testing.T) {
	for seed := range 100 {
		for seq := range Seq(1000) {
			if coefficient(uint16(seed), seq) == 0 {
				t.Fatalf("seed %d, source %d", seed, seq)
			}
		}
	}
}

func TestVectorGivesBackItsPacket(t *testing.T) {
	var v vector
	v.set([]byte("packet"))
	if p, ok := v.packet(); !ok || string(p) != "packet" {
		t.Errorf("got %q, %v", p, ok)
	}
	v.b[v.n] = 1
	v.n++
	if p, ok := v.packet(); ok {
		t.Errorf("%q has a byte behind its end", p)
	}
}

// link carries packets of a sender to a receiver and back, with a model of loss.
type link struct {
	t         *testing.T
	rng       *rand.Rand
	s         *Sender
	r         *Receiver
	now       time.Duration
	oneWay    time.Duration
	lose      func() bool
	jitter    time.Duration // packets overtake each other within it
	double    float64       // share of packets that come twice
	noRequest bool
	flight    []flying
	made      [][]byte
	got       map[int]time.Duration // how long each was under way
	order     []int
}

type flying struct {
	at   time.Duration
	data []byte
	back bool
}

func newLink(t *testing.T, seed uint64) *link {
	t.Helper()
	budget := NewBudget(64 << 20)
	l := &link{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), oneWay: 50 * time.Millisecond,
		lose: func() bool { return false }, got: map[int]time.Duration{}, now: time.Second,
	}
	var ok bool
	if l.s, ok = NewSender(l.now, 1, 1<<32-500, budget); !ok { // the numbers wrap around
		t.Fatal("no budget")
	}
	if l.r, ok = NewReceiver(1, 1<<32-500, budget); !ok {
		t.Fatal("no budget")
	}
	return l
}

// bursts loses runs of n, so that share of the packets is lost.
func (l *link) bursts(share float64, n int) {
	left := 0
	l.lose = func() bool {
		if left == 0 && l.rng.Float64() < share/float64(n) {
			left = n
		}
		if left == 0 {
			return false
		}
		left--
		return true
	}
}

func (l *link) send(b []byte, back bool) {
	if !back && l.lose() {
		return
	}
	for again := true; again; again = l.rng.Float64() < l.double {
		at := l.now + l.oneWay
		if l.jitter > 0 {
			at += time.Duration(l.rng.Int64N(int64(l.jitter)))
		}
		l.flight = append(l.flight, flying{at, bytes.Clone(b), back})
	}
}

// run sends n packets, one each pause, and then waits for what is on its way.
func (l *link) run(n int, pause time.Duration) {
	const step = 250 * time.Microsecond
	next := l.now
	for end := l.now + time.Duration(n)*pause + 2*time.Second; l.now < end; l.now += step {
		if n > 0 && l.now >= next {
			l.source()
			n--
			next += pause
		}
		l.deliver()
		if b, ok := l.s.Flush(l.now, 2*l.oneWay, nil); ok {
			l.send(b, false)
		}
		l.feedback()
		l.take()
	}
}

// source sends a packet that says which one it is, and its repairs.
func (l *link) source() {
	p := make([]byte, 8+l.rng.IntN(1400))
	for i := range p {
		p[i] = byte(l.rng.Uint32())
	}
	p[0], p[1], p[2], p[3] = 0x40, byte(len(l.made)), byte(len(l.made)>>8), byte(len(l.made)>>16)
	l.made = append(l.made, p)
	l.send(l.s.Source(l.now, p, nil), false)
	for {
		b, ok := l.s.Repair(l.now, 2*l.oneWay, nil)
		if !ok {
			return
		}
		l.send(b, false)
	}
}

// deliver brings what has arrived.
func (l *link) deliver() {
	rest := l.flight[:0]
	var due []flying
	for _, f := range l.flight {
		if f.at <= l.now {
			due = append(due, f)
		} else {
			rest = append(rest, f)
		}
	}
	l.flight = rest
	for _, f := range due {
		l.arrive(f)
		l.take()
	}
}

func (l *link) arrive(f flying) {
	kind, _, err := Open(f.data)
	switch {
	case err != nil:
	case kind == KindRepair:
		err = l.r.Repair(l.now, f.data)
	case kind == KindRequest:
		var ranges []Range
		ranges, err = ParseRequest(f.data, nil)
		for _, r := range ranges {
			for i := range r.N {
				if b, ok := l.s.Resend(r.First+Seq(i), nil); ok {
					l.send(b, false)
				}
			}
		}
	case kind == KindReport:
		_, err = ParseReport(f.data)
	default:
		err = l.r.Source(l.now, true, f.data)
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *link) feedback() {
	b, ok := l.r.Request(l.now, nil)
	if ok && !l.noRequest {
		l.send(b, true)
	}
	if b, ok := l.r.Report(l.now, nil); ok {
		l.send(b, true)
	}
}

// take checks what the receiver gives: each packet is one that was sent, whole, and only once.
func (l *link) take() {
	for {
		p, _, ok := l.r.Next(l.now)
		if !ok {
			return
		}
		n := int(p[1]) | int(p[2])<<8 | int(p[3])<<16
		if n >= len(l.made) || !bytes.Equal(l.made[n], p) {
			l.t.Fatalf("packet %d of %d bytes was never sent so", n, len(p))
		}
		if _, twice := l.got[n]; twice {
			l.t.Fatalf("packet %d was given twice", n)
		}
		l.got[n] = l.now
		l.order = append(l.order, n)
	}
}

// inversions counts packets that were given behind a later one.
func (l *link) inversions() (n int) {
	top := -1
	for _, i := range l.order {
		if i < top {
			n++
		}
		top = max(top, i)
	}
	return n
}
