package consensus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tmms/cluster/state"
)

func flip(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func newest(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, snapDir, "*"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no snapshot: %v", err)
	}
	return found[len(found)-1]
}

func damages() map[string]func(t *testing.T, dir string) {
	return map[string]func(t *testing.T, dir string){
		"state": func(t *testing.T, dir string) {
			t.Helper()
			flip(t, filepath.Join(newest(t, dir), "state.bin"))
		},
		"meta": func(t *testing.T, dir string) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(newest(t, dir), "meta.json"), []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	}
}

// Case: corrupt-snapshot. Requirement: C5 (the log, from the older snapshot on, has
// everything: nothing is lost, and the damaged snapshot is out of the way).
func TestDamagedSnapshotFallsBack(t *testing.T) {
	for name, damage := range damages() {
		for _, older := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " older ", older), func(t *testing.T) {
				dir := t.TempDir()
				n := start(t, Config{DataDir: dir}, Deps{}).waitReady(t)
				for i := range 3 {
					if _, err := n.Claim(t.Context(), key(fmt.Sprint("s", i))); err != nil {
						t.Fatal(err)
					}
					if i == 1 || older && i == 0 {
						if _, err := n.Snapshot(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
				}
				want := n.Placements()
				n.end(t)
				damage(t, dir)
				if err := os.Mkdir(filepath.Join(dir, snapDir, "9-9-9.tmp"), 0o700); err != nil { // left by a full disk
					t.Fatal(err)
				}
				again := start(t, Config{DataDir: dir}, Deps{}).waitReady(t)
				if got := again.Placements(); fmt.Sprint(got) != fmt.Sprint(want) || again.ID() != n.ID() {
					t.Errorf("got %+v, want %+v", got, want)
				}
				aside, err := os.ReadDir(filepath.Join(dir, damagedDir))
				if err != nil || len(aside) != 1 {
					t.Errorf("set aside: %v, %v", aside, err)
				}
				if left, _ := filepath.Glob(filepath.Join(dir, snapDir, "*.tmp")); len(left) != 0 {
					t.Errorf("left over: %v", left)
				}
				again.end(t)
			})
		}
	}
}

// Case: corrupt-snapshot (the log does not make up for it, and nobody else has it).
func TestDamagedSnapshotIsRefused(t *testing.T) {
	dir := t.TempDir()
	n := start(t, Config{DataDir: dir}, Deps{}).waitReady(t)
	if _, err := n.Claim(t.Context(), key("x")); err != nil {
		t.Fatal(err)
	}
	n.end(t)
	reseal(t, dir, []byte("not ours"))
	for range 2 { // nothing was changed by the first
		bad := start(t, Config{DataDir: dir}, Deps{})
		<-bad.done
		err := bad.stop()
		if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, snapDir)) || !strings.Contains(err.Error(), "restore a backup") {
			t.Fatalf("the error does not say which snapshot, and what to do: %v", err)
		}
	}
}

// ofLater is a backup of a node as a later release would write it.
func ofLater(t *testing.T, n *running) []byte {
	t.Helper()
	b, err := n.Backup()
	if err != nil {
		t.Fatal(err)
	}
	const version, later = 8, 1000 // where it is; one that no release has
	binary.BigEndian.PutUint32(b[version:], later)
	return b
}

// Requirement: C5 (a release that finds the snapshot of a later one ends; it does not
// take it for damaged, so nothing is set aside and the node stays who it is).
func TestSnapshotOfALaterRelease(t *testing.T) {
	dir := t.TempDir()
	n := start(t, Config{DataDir: dir}, Deps{}).waitReady(t)
	if _, err := n.Claim(t.Context(), key("x")); err != nil {
		t.Fatal(err)
	}
	b := ofLater(t, n)
	n.end(t)
	reseal(t, dir, b)
	for range 2 { // nothing was changed by the first
		old := start(t, Config{DataDir: dir}, Deps{})
		<-old.done
		if err := old.stop(); !errors.Is(err, state.ErrNewer) || !strings.Contains(err.Error(), dir) || old.ID() != n.ID() {
			t.Fatalf("%s, who was %s: %v", old.ID(), n.ID(), err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, damagedDir)); err == nil {
		t.Error("it was set aside")
	}
}

// Requirement: C5 (a release that the leader sends the snapshot of a later one ends too:
// it would be sent again and again).
func TestSentSnapshotOfALaterRelease(t *testing.T) {
	n := start(t, Config{}, Deps{}).waitReady(t)
	before := n.AppliedIndex()
	err := fsm{n.Node}.Restore(io.NopCloser(bytes.NewReader(ofLater(t, n))))
	<-n.done
	if fault := n.stop(); !errors.Is(err, state.ErrNewer) || !errors.Is(fault, state.ErrNewer) || n.AppliedIndex() != before {
		t.Errorf("%v, then %v; at index %d, was %d", err, fault, n.AppliedIndex(), before)
	}
}

// Requirement: C5 (a release that does not know the level that its own folder has seen
// ends, and a later one goes on with the folder).
func TestLevelOfALaterRelease(t *testing.T) {
	for _, snapshot := range []bool{false, true} { // else it comes from the log
		t.Run(fmt.Sprint("snapshot ", snapshot), func(t *testing.T) {
			dir := t.TempDir()
			next := Config{DataDir: dir, Level: new(state.Level + 1)}
			n := start(t, next, Deps{}).waitReady(t)
			if snapshot {
				if _, err := n.Snapshot(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			n.end(t)
			old := start(t, Config{DataDir: dir}, Deps{})
			<-old.done
			tooOld, ok := errors.AsType[*state.TooOldError](old.stop())
			if !ok || tooOld.Known != state.Level || tooOld.Current != state.Level+1 {
				t.Fatalf("got %v", tooOld)
			}
			again := start(t, next, Deps{}).waitReady(t)
			if again.ID() != n.ID() || again.FeatureLevel() != state.Level+1 {
				t.Errorf("%s, who was %s, is at %d", again.ID(), n.ID(), again.FeatureLevel())
			}
			again.end(t)
		})
	}
}
