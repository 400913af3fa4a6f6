package faults

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tmms/bench/signal"
)

// A seed gives the same faults again, all kinds of them, and lasting as long as they may.
func TestDraw(t *testing.T) {
	one, two := rand.New(rand.NewPCG(7, 0)), rand.New(rand.NewPCG(7, 0))
	seen := map[string]bool{}
	for range 1000 {
		p := draw(one)
		if p != draw(two) {
			t.Fatalf("%+v is not drawn again", p)
		}
		if p.hold < shortestHold || p.hold > longestHold {
			t.Errorf("%+v lasts too short or too long", p)
		}
		seen[p.kind] = true
	}
	for _, kind := range kinds() {
		if !seen[kind] {
			t.Errorf("%s is never drawn", kind)
		}
	}
}

func TestValidate(t *testing.T) {
	good := Config{Kills: 1, Cases: CaseNames()}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for _, bad := range []Config{{}, {Kills: 1, Cases: []string{"earthquake"}}, {Kills: 1, Random: -1}} {
		if bad.Validate() == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

// What a case has measured and seen decides.
func TestResult(t *testing.T) {
	r := &Result{}
	for i := range 100 {
		r.took("new leader", time.Duration(i+1)*10*time.Millisecond, time.Second).HalfMax = 510
	}
	if r.Close(); !r.Pass || r.Measured[0].P50 != 510 || r.Measured[0].P99 != 1000 || r.Measured[0].N != 100 {
		t.Errorf("%+v of %+v", *r.Measured[0], r)
	}
	r.took("new leader", 1001*time.Millisecond, time.Second)
	if r.Close(); r.Pass || len(r.Faults) != 1 || !strings.Contains(r.Faults[0], "1001 ms, the limit is 1000 ms") {
		t.Errorf("%q", r.Faults)
	}
	viewer := Sight{Name: "v", Edge: "e1"}
	viewer.Tracks[signal.Video].Lost = 1
	r = &Result{}
	if r.gapless([]Sight{viewer}, "e1"); len(r.Faults) != 0 {
		t.Errorf("%q", r.Faults)
	}
	viewer.Opened, viewer.Apart, viewer.Tracks[signal.Audio].Back = 1, time.Second, 1
	viewer.Seams = []signal.Seam{{Forward: 3 * time.Second}}
	viewer.List.Anew, viewer.List.Faults = 1, []string{"MEDIA-SEQUENCE fell"}
	for _, judge := range []func(*Result){
		func(r *Result) { r.gapless([]Sight{viewer}) }, func(r *Result) { r.Resumed([]Sight{viewer}, time.Second) },
	} {
		r = &Result{}
		judge(r)
		for _, want := range []string{"audio", "the clock gains 3s", "1s apart", "MEDIA-SEQUENCE", "disconnected", "1 times anew"} {
			if !slices.ContainsFunc(r.Faults, func(f string) bool { return strings.Contains(f, want) }) {
				t.Errorf("%q is not in %q", want, r.Faults)
			}
		}
	}
	var text strings.Builder
	r.took("t", time.Second, 0)
	r.Close()
	(&Report{Cases: []*Result{r}, Seed: 3}).Text(&text)
	for _, want := range []string{"FAIL", "seed 3", "linearizable"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
}

// The clock of a process is moved, and its other clock is not. It needs to trace a
// process, which a child of one's own is.
func TestSkewedClock(t *testing.T) {
	if os.Getenv("FAULTS_CLOCK") != "" { // in the child
		began := time.Now()
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			fmt.Println(time.Now().Unix(), time.Since(began) < time.Minute)
		}
		return
	}
	p := &process{cmd: exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSkewedClock$")}
	p.cmd.Env = append(os.Environ(), "FAULTS_CLOCK=1")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	begun := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		begun <- p.begin()
	}()
	if err := <-begun; err != nil {
		t.Fatal(err)
	}
	for _, by := range []time.Duration{0, time.Hour, -time.Hour, 0} {
		if err := p.clock.Move(by); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(in, "\n"); err != nil {
			t.Fatal(err)
		}
		var unix int64
		var steady bool
		if _, err := fmt.Fscan(out, &unix, &steady); err != nil {
			t.Fatal(err)
		}
		if off := time.Until(time.Unix(unix, 0)) - by; off.Abs() > time.Minute || !steady {
			t.Errorf("the clock is %v from %v off, the other one steady: %v", off, by, steady)
		}
	}
	in.Close()
	if err := p.cmd.Wait(); err != nil {
		t.Error(err)
	}
}
