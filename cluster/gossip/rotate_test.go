package gossip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// keyNode is a node of a rotation: a ring, and what is on its disk. It is used
// under the mutex of its keyNet.
type keyNode struct {
	keeper *Keeper
	gossip *Gossip // has nothing but keys
	file   *keyFile
	fail   func(s Step) error // instead of a step
	full   bool               // the disk
}

func (n *keyNode) keys() [][]byte { return n.gossip.Keys() }

// keyFile is the file of a node, or of all.
type keyFile struct{ keys [][]byte }

func (n *keyNode) disk() [][]byte { return n.file.keys }

func (n *keyNode) save(keys [][]byte) error {
	if n.full {
		return errors.New("no space left on device")
	}
	n.file.keys = cloneAll(keys)
	return nil
}

// keyNet is the nodes of a test, by name.
type keyNet struct {
	t     *testing.T
	nodes map[string]*keyNode

	mu    sync.Mutex
	steps []string // node and action, in the order that they were asked for
}

func key(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func newKeyNet(t *testing.T, rings map[string][][]byte) *keyNet {
	t.Helper()
	net := &keyNet{t: t, nodes: map[string]*keyNode{}}
	for name, ring := range rings {
		k, err := newKeys(ring)
		if err != nil {
			t.Fatal(err)
		}
		n := &keyNode{gossip: &Gossip{keys: k}, file: &keyFile{cloneAll(ring)}}
		n.keeper = NewKeeper(n.gossip, n.save)
		net.nodes[name] = n
	}
	return net
}

func three(t *testing.T) *keyNet {
	t.Helper()
	return newKeyNet(t, map[string][][]byte{"a": {key(1)}, "b": {key(1)}, "c": {key(1)}})
}

func (net *keyNet) plan(by string) Plan {
	return Plan{
		ID: "by-" + by, By: by, Nodes: slices.Collect(maps.Keys(net.nodes)), Ask: net.ask,
		Unchanged: func() error { return nil },
	}
}

// ask does a step, and checks after each that all nodes understand each other,
// now and after a restart of any of them.
func (net *keyNet) ask(_ context.Context, node string, s Step) (StepAnswer, error) {
	net.mu.Lock()
	defer net.mu.Unlock()
	net.steps = append(net.steps, node+" "+string(s.Do))
	n := net.nodes[node]
	if n.fail != nil {
		if err := n.fail(s); err != nil {
			return StepAnswer{}, err
		}
	}
	a, err := n.keeper.Do(s, time.Now())
	for from, x := range net.nodes {
		for to, y := range net.nodes {
			for _, used := range [][]byte{x.keys()[0], x.disk()[0]} {
				if !contains(y.keys(), used) || !contains(y.disk(), used) {
					net.t.Errorf("after %s %s: %s does not understand %s", s.Do, node, to, from)
				}
			}
		}
	}
	return a, err
}

// same checks that all nodes have the same one key, on disk too, and gives it.
func (net *keyNet) same() []byte {
	net.t.Helper()
	var one []byte
	for name, n := range net.nodes {
		keys := n.keys()
		if len(keys) != 1 || len(n.disk()) != 1 || !bytes.Equal(keys[0], n.disk()[0]) || (one != nil && !bytes.Equal(one, keys[0])) {
			net.t.Errorf("%s has %x, on disk %x", name, keys, n.disk())
		}
		one = keys[0]
	}
	return one
}

func rotate(t *testing.T, p Plan) (r Report, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { r, err = Rotate(t.Context(), p) })
	return r, err
}

// Case: rotate-key. Three rounds, each on all nodes before the next, and at no
// time two nodes that do not understand each other.
func TestRotate(t *testing.T) {
	net := three(t)
	r, err := rotate(t, net.plan("b"))
	if err != nil {
		t.Fatal(err)
	}
	if got := net.same(); bytes.Equal(got, key(1)) || len(got) != rotatedKeySize {
		t.Errorf("the key is %x", got)
	}
	if got := fmt.Sprint(r); got != "{[a b c] [{add 3} {use 3} {keep 3}] []}" {
		t.Errorf("report %s", got)
	}
	var order []string
	for _, s := range net.steps {
		_, do, _ := strings.Cut(s, " ")
		order = append(order, do)
	}
	want := "begin begin begin add add add use use use keep keep keep end end end"
	if strings.Join(order, " ") != want {
		t.Errorf("steps %v", order)
	}
	first := net.same()
	if _, err = rotate(t, net.plan("c")); err != nil || bytes.Equal(net.same(), first) {
		t.Errorf("a second rotation: %v", err)
	}
}

// Nodes of one machine may have one key file between them.
func TestRotateSharedFile(t *testing.T) {
	net := three(t)
	for _, n := range net.nodes {
		n.file = net.nodes["a"].file
	}
	net.nodes["c"].fail = failAt(ActionAdd)
	if _, err := rotate(t, net.plan("a")); !errors.Is(err, ErrRotationStopped) || !bytes.Equal(net.same(), key(1)) {
		t.Errorf("with a node that fails: %v", err)
	}
	net.nodes["c"].fail = nil
	if _, err := rotate(t, net.plan("a")); err != nil || bytes.Equal(net.same(), key(1)) {
		t.Errorf("got %v", err)
	}
}

func failAt(action Action) func(Step) error {
	return func(s Step) error {
		if s.Do == action {
			return errors.New("no answer")
		}
		return nil
	}
}

// A node that does not answer, or cannot write its file, stops the rotation
// before the new key is used: every node has what it had.
func TestRotateStopsBeforeUse(t *testing.T) {
	for name, spoil := range map[string]func(p *Plan, n *keyNode){
		"down":       func(_ *Plan, n *keyNode) { n.fail = func(Step) error { return errors.New("no answer") } },
		"down-later": func(_ *Plan, n *keyNode) { n.fail = failAt(ActionAdd) },
		"disk-full":  func(_ *Plan, n *keyNode) { n.full = true },
		"newcomer": func(p *Plan, _ *keyNode) {
			p.Unchanged = func() error { return errors.New("c has come meanwhile") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			net := three(t)
			p := net.plan("a")
			spoil(&p, net.nodes["c"])
			_, err := rotate(t, p)
			if !errors.Is(err, ErrRotationStopped) || !strings.Contains(err.Error(), "nothing has changed") ||
				!strings.Contains(err.Error(), "c") {
				t.Errorf("got %v", err)
			}
			if !bytes.Equal(net.same(), key(1)) {
				t.Error("the key has changed")
			}
			net.nodes["c"].fail, net.nodes["c"].full = nil, false
			if _, err := rotate(t, net.plan("b")); err != nil {
				t.Errorf("the next one: %v", err)
			}
		})
	}
}

// The answer of a node is lost after it did what it was asked, or the undoing
// fails: the nodes understand each other, and the next rotation makes it good.
func TestRotateAfterHalfOfOne(t *testing.T) {
	for _, action := range []Action{ActionAdd, ActionUse, ActionKeep} {
		t.Run(string(action), func(t *testing.T) {
			net := three(t)
			lost := func(s Step) error {
				if s.Do != action {
					return nil
				}
				s.Rotation = "by-a"
				if _, err := net.nodes["b"].keeper.Do(s, time.Now()); err != nil {
					t.Error(err)
				}
				return errors.New("the answer was lost")
			}
			net.nodes["b"].fail = lost
			net.nodes["c"].fail = func(s Step) error { // what would undo it fails too
				if s.Do == ActionKeep {
					return errors.New("no answer")
				}
				return nil
			}
			_, err := rotate(t, net.plan("a"))
			if !errors.Is(err, ErrRotationStopped) {
				t.Fatalf("got %v", err)
			}
			t.Log(err)
			net.nodes["b"].fail, net.nodes["c"].fail = nil, nil
			r, err := rotate(t, net.plan("c"))
			if err != nil || len(r.Rounds) != 4 || r.Rounds[0] != (Round{"settle", 3}) {
				t.Errorf("the next one: %+v, %v", r, err)
			}
			if bytes.Equal(net.same(), key(1)) {
				t.Error("the key has not changed")
			}
		})
	}
}

// A node without a key in common is no reason to take the others' away.
func TestRotateStranger(t *testing.T) {
	k, err := newKeys([][]byte{key(7)})
	if err != nil {
		t.Fatal(err)
	}
	net := three(t)
	p := net.plan("a")
	stranger := NewKeeper(&Gossip{keys: k}, func([][]byte) error { return nil })
	p.Nodes = append(p.Nodes, "x")
	p.Ask = func(ctx context.Context, node string, s Step) (StepAnswer, error) {
		if node == "x" {
			return stranger.Do(s, time.Now())
		}
		return net.ask(ctx, node, s)
	}
	if _, err := rotate(t, p); !errors.Is(err, ErrRotationStopped) || !strings.Contains(err.Error(), "x: does not have the key") {
		t.Errorf("got %v", err)
	}
	if !bytes.Equal(net.same(), key(1)) {
		t.Error("the key has changed")
	}
}

// A second rotation is refused while one runs, wherever it is led from; one that
// was left alone holds the others up for half a minute only.
func TestOneRotationAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := three(t)
		p := net.plan("a")
		p.Unchanged = func() error { // in the middle of it
			_, err := Rotate(t.Context(), net.plan("b"))
			if !errors.Is(err, ErrRotating) || !strings.Contains(err.Error(), "a leads it") {
				t.Errorf("the second: %v", err)
			}
			return nil
		}
		if _, err := Rotate(t.Context(), p); err != nil {
			t.Errorf("the first: %v", err)
		}
		if _, err := net.ask(t.Context(), "c", Step{Rotation: "lost", By: "b", Do: ActionBegin}); err != nil {
			t.Fatal(err)
		}
		if _, err := Rotate(t.Context(), net.plan("a")); !errors.Is(err, ErrRotating) {
			t.Errorf("while c waits for b: %v", err)
		}
		time.Sleep(rotationTerm + time.Second)
		if _, err := net.ask(t.Context(), "c", Step{Rotation: "lost", By: "b", Do: ActionAdd, Key: key(9)}); !errors.Is(err, errNotBegun) {
			t.Errorf("a step that comes too late: %v", err)
		}
		if _, err := Rotate(t.Context(), net.plan("a")); err != nil {
			t.Errorf("after the term: %v", err)
		}
	})
}

func TestKeeperRefuses(t *testing.T) {
	net := newKeyNet(t, map[string][][]byte{"a": {key(1), key(2)}})
	k := net.nodes["a"].keeper
	do := func(s Step) error {
		s.Rotation = "r"
		_, err := k.Do(s, time.Now())
		return err
	}
	if err := do(Step{Do: ActionAdd, Key: key(2)}); !errors.Is(err, errNotBegun) {
		t.Errorf("not begun: %v", err)
	}
	if err := do(Step{Do: ActionBegin}); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		step Step
		want error
	}{
		"a third key":      {Step{Do: ActionAdd, Key: key(3)}, ErrTooManyKeys},
		"a short key":      {Step{Do: ActionAdd, Key: key(3)[:8]}, ErrKeySize},
		"use unknown":      {Step{Do: ActionUse, Sum: sumOf(key(3))}, ErrUnknownKey},
		"keep what waits":  {Step{Do: ActionKeep, Sum: sumOf(key(2))}, ErrUnknownKey},
		"an unknown step":  {Step{Do: "burn"}, errAction},
		"one that is here": {Step{Do: ActionAdd, Key: key(2)}, nil},
	} {
		if err := do(tc.step); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	n := net.nodes["a"]
	if !slices.EqualFunc(n.keys(), n.disk(), bytes.Equal) || !bytes.Equal(n.keys()[0], key(1)) || len(n.disk()) != 2 {
		t.Errorf("the keys are %x, on disk %x", n.keys(), n.disk())
	}
}

// A key never shows where a step is printed.
func TestStepHidesKey(t *testing.T) {
	s := Step{Rotation: "r", Do: ActionAdd, Key: key('k')}
	text := fmt.Sprintf("%v %+v %#v %s", s, s, s, s)
	if strings.Contains(text, "kkk") || strings.Contains(text, "107") || strings.Contains(text, "6b6b") {
		t.Errorf("printed as %q", text)
	}
}
