package placement

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// up makes a healthy origin.
func up(id, region, zone string, load uint8, streams int) Origin {
	return Origin{ID: id, Region: region, Zone: zone, Load: load, Streams: streams, Healthy: true}
}

func TestStandby(t *testing.T) {
	owner := up("owner", "eu", "a", 10, 3)
	dead, leaving := up("dead", "eu", "b", 0, 0), up("leaving", "eu", "b", 0, 0)
	dead.Healthy, leaving.Draining = false, true
	far, near := up("far", "eu", "b", 10, 1), up("near", "eu", "b", 10, 1)
	far.RTT, near.RTT = 90*time.Millisecond, time.Millisecond
	for _, c := range []struct {
		name       string
		candidates []Origin
		want       string
	}{
		{"nobody", nil, ""},
		{"the owner alone", []Origin{owner}, ""},
		{"the dead, the leaving and the full", []Origin{dead, leaving, up("full", "eu", "b", 250, 0)}, ""},
		{"another zone", []Origin{up("same", "eu", "a", 0, 0), up("far", "us", "a", 0, 0), up("zone", "eu", "b", 90, 9)}, "zone"},
		{"another region rather than the same zone", []Origin{up("same", "eu", "a", 0, 0), up("far", "us", "a", 90, 9)}, "far"},
		{"the same zone rather than none", []Origin{dead, up("same", "eu", "a", 90, 9)}, "same"},
		{"less load", []Origin{up("busy", "eu", "b", 120, 0), up("idle", "eu", "b", 20, 9)}, "idle"},
		{"fewer streams at about the same load", []Origin{up("more", "eu", "b", 0, 9), up("fewer", "eu", "b", 31, 8)}, "fewer"},
		{"the shorter way", []Origin{far, near}, "near"},
		{"zones that nobody has named", []Origin{up("x", "eu", "a", 0, 0)}, "x"},
	} {
		slices.Reverse(c.candidates)
		got, ok := Standby(owner, c.candidates)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestOwner(t *testing.T) {
	self, full, leaving := up("self", "eu", "a", 100, 50), up("self", "eu", "a", 245, 50), up("self", "eu", "a", 0, 0)
	leaving.Draining = true
	idle := []Origin{up("us", "us", "a", 0, 0), up("zone", "eu", "b", 0, 0), up("same", "eu", "a", 100, 9)}
	for _, c := range []struct {
		name       string
		self       Origin
		candidates []Origin
		want       string
	}{
		{"itself, though others are idle", self, idle, "self"},
		{"the nearest, when it is full", full, idle, "same"},
		{"the nearest, when it is drained", leaving, idle, "same"},
		{"itself, when the others are nearly as full", full, []Origin{up("x", "eu", "a", 210, 0)}, "self"},
		{"nobody, when it is drained and alone", leaving, []Origin{leaving}, ""},
	} {
		got, ok := Owner(c.self, c.candidates)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestStandbysSpread: streams that are placed one after the other come to lie evenly.
func TestStandbysSpread(t *testing.T) {
	owner := up("owner", "eu", "a", 10, 0)
	all := []Origin{up("b1", "eu", "b", 0, 0), up("b2", "eu", "b", 20, 0), up("c1", "eu", "c", 31, 0)}
	for i := range 300 {
		id, ok := Standby(owner, all)
		if !ok {
			t.Fatal(i)
		}
		all[slices.IndexFunc(all, func(o Origin) bool { return o.ID == id })].Streams++
	}
	for _, o := range all {
		if o.Streams != 100 {
			t.Errorf("%s has %d", o.ID, o.Streams)
		}
	}
	if a, _ := Standby(owner, all); fmt.Sprint(a) != "b1" {
		t.Errorf("a tie goes to %s", a)
	}
}
