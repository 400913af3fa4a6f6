package shape

import (
	"slices"
	"testing"
	"time"
)

// settings are texts and what they make of the defaults; ok false: refused.
func settings() []struct {
	text string
	want Params
	ok   bool
} {
	with := func(change func(*Params)) Params {
		p := DefaultParams()
		change(&p)
		return p
	}
	same := DefaultParams()
	return []struct {
		text string
		want Params
		ok   bool
	}{
		{"delay 50ms", with(func(p *Params) { p.Delay = 50 * time.Millisecond }), true},
		{"loss 1%", with(func(p *Params) { p.Loss = 0.01 }), true},
		{"loss 0.25 burst 10", with(func(p *Params) { p.Loss, p.Burst = 0.25, 10 }), true},
		{"rate 30M, queue=50", with(func(p *Params) { p.RateBPS, p.Queue = 30_000_000, 50 }), true},
		{"rate 2.5G", with(func(p *Params) { p.RateBPS = 2_500_000_000 }), true},
		{"rate 800k\n", with(func(p *Params) { p.RateBPS = 800_000 }), true},
		{"rate 0", same, true},
		{"jitter 5ms delay 10ms", with(func(p *Params) { p.Jitter, p.Delay = 5*time.Millisecond, 10*time.Millisecond }), true},
		{"", same, false},
		{"delay", same, false},
		{"delay 50ms loss", same, false},
		{"delay 50", same, false},
		{"delay -1ms", same, false},
		{"delay 11s", same, false},
		{"jitter 1ms", same, false}, // more than the delay
		{"loss 101%", same, false},
		{"loss 2", same, false},
		{"loss NaN", same, false},
		{"loss -1%", same, false},
		{"loss %", same, false},
		{"burst 0", same, false},
		{"burst 1001", same, false},
		{"rate 100", same, false},
		{"rate 11G", same, false},
		{"rate -5M", same, false},
		{"rate NaN", same, false},
		{"rate Inf", same, false},
		{"queue 0", same, false},
		{"queue 16385", same, false},
		{"speed 3", same, false},
		{"delay 50ms loss 2", same, false}, // all or nothing
	}
}

func TestParams(t *testing.T) {
	for _, tc := range settings() {
		p := DefaultParams()
		if err := p.Set(tc.text); (err == nil) != tc.ok || p != tc.want {
			t.Errorf("%q: %+v, %v", tc.text, p, err)
		}
	}
	if err := (Params{Delay: -1, Loss: 2, Queue: -1, RateBPS: 1}).Validate(); err == nil {
		t.Error("every parameter is out of range, and Validate takes them")
	}
}

// Whatever is taken is in range and has a text that gives the same.
func FuzzParams(f *testing.F) {
	for _, tc := range settings() {
		f.Add(tc.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p := DefaultParams()
		if err := p.Set(text); err != nil {
			if p != DefaultParams() {
				t.Errorf("%q is refused and changes %+v", text, p)
			}
			return
		}
		if err := p.Validate(); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		var again Params
		if err := again.Set(p.String()); err != nil {
			t.Errorf("%q becomes %q: %v", text, p, err)
		}
		if diff := again.Loss - p.Loss; diff < -1e-12 || diff > 1e-12 {
			t.Errorf("%q: loss %g, then %g", text, p.Loss, again.Loss)
		}
		again.Loss = p.Loss
		if again != p {
			t.Errorf("%q: %+v, then %+v", text, p, again)
		}
	})
}

func TestArguments(t *testing.T) {
	cfg := Config{A: End{Namespace: "x"}, B: End{Namespace: "y", Device: "d"}, AtoB: DefaultParams(), BtoA: DefaultParams(), Seed: 9}
	argv := cfg.arguments()
	for _, want := range []string{"shape", "x", "y", "shape0", "9", DefaultParams().String()} {
		if !slices.Contains(argv, want) {
			t.Errorf("%q is not among %q", want, argv)
		}
	}
}
