package control

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"testing"

	"tmms/cluster/consensus"
	"tmms/cluster/member"
	"tmms/cluster/pki"
	"tmms/cluster/state"
	"tmms/media"
)

func TestFrame(t *testing.T) {
	b, err := appendFrame(nil, request{Version: 1, Method: "hello", Body: []byte(`{}`)})
	if err != nil {
		t.Fatal(err)
	}
	var got request
	if err := readFrame(bytes.NewReader(b), 100, &got); err != nil || got.Method != "hello" {
		t.Errorf("%+v, %v", got, err)
	}
	for n := range b {
		want := io.ErrUnexpectedEOF
		if n == 0 {
			want = io.EOF
		}
		if err := readFrame(bytes.NewReader(b[:n]), 100, &got); !errors.Is(err, want) {
			t.Errorf("%d of %d bytes: %v", n, len(b), err)
		}
	}
	if err := readFrame(bytes.NewReader(b), len(b)-frameHead-1, &got); !errors.Is(err, errFrame) {
		t.Errorf("over the limit: %v", err)
	}
	huge := binary.BigEndian.AppendUint32(nil, math.MaxUint32)
	if err := readFrame(bytes.NewReader(huge), media.MaxControlFrame, &got); !errors.Is(err, errFrame) {
		t.Errorf("4 GiB: %v", err)
	}
	// The declared length takes no memory.
	long := append(binary.BigEndian.AppendUint32(nil, media.MaxControlFrame), "{"...)
	if n := testing.AllocsPerRun(10, func() { _ = readFrame(bytes.NewReader(long), media.MaxControlFrame, &got) }); n > 20 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzFrame: no bytes of a peer panic, whatever frame they are taken for.
// A command goes to followers as it is; the frame is that of any other step.
func TestCommandFrame(t *testing.T) {
	for _, c := range []member.Change{
		{Index: 1, Command: []byte(`{"v":1,"type":"release","data":{"key":{"domain":"d","app":"a","stream":"s"},"epoch":7}}`)},
		{Index: math.MaxUint64, Command: []byte(`{}`)},
	} {
		want, err := appendFrame([]byte("before"), step{Index: c.Index, Command: c.Command})
		if err != nil {
			t.Fatal(err)
		}
		if got := appendCommand([]byte("before"), c); !bytes.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

func FuzzFrame(f *testing.F) {
	key := media.StreamKey{Domain: "d", App: "a", Stream: "s"}
	for _, v := range []any{
		request{Version: 1, Method: methodWatch, Body: []byte(`{"from":7}`)},
		reply{Error: asFault(&state.OwnedError{Key: key}, "")},
		reply{Part: []byte("x"), More: true},
		step{Index: 7, Command: []byte(`{"v":1}`)},
		step{Mark: &Mark{Index: 9}},
		step{Index: 1, Part: []byte("snap")},
	} {
		b, err := appendFrame(nil, v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r reply
		if readFrame(bytes.NewReader(b), 1<<16, &r) == nil && r.Error != nil {
			if err := r.Error.asError(); err == nil || asFault(err, "") == nil {
				t.Error("an error became none")
			}
		}
		var s step
		if readFrame(bytes.NewReader(b), 1<<16, &s) == nil {
			_, _ = deliver(sink{}, s, nil)
		}
		var q request
		if readFrame(bytes.NewReader(b), 1<<16, &q) == nil {
			_, _ = decodeBody[watching](q.Body)
			_, _ = decodeBody[joining](q.Body)
			_, _ = state.Decode(q.Body)
		}
		var p proposed
		if readFrame(bytes.NewReader(b), 1<<16, &p) == nil {
			_, _ = decodeResult(state.Claim{}, p)
		}
	})
}

type sink struct{}

func (sink) Change(member.Change) error { return nil }
func (sink) Mark(Mark) error            { return nil }

// Errors come over as what callers compare with and inspect.
func TestFaults(t *testing.T) {
	key := media.StreamKey{Domain: "d", App: "a", Stream: "s"}
	for _, want := range []error{
		&state.OwnedError{Key: key, Placement: state.Placement{Epoch: 7, Owner: "n", T0MS: 3}},
		&state.StaleEpochError{Key: key, Given: 1, Current: 2},
		&state.ConflictError{Base: 1, Current: 2},
		&state.FaultsError{Faults: []state.Fault{{Path: "p", Rule: "r"}}},
	} {
		got := asFault(fmt.Errorf("claim: %w", want), "").asError()
		if fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) {
			t.Errorf("%#v became %#v", want, got)
		}
	}
	for _, want := range []error{
		member.ErrNotLeader, member.ErrUncertain, member.ErrLeaseLapsed, member.ErrForbidden, member.ErrInvalid,
		consensus.ErrQuorum, consensus.ErrTransfer, consensus.ErrLevel, state.ErrNotInitialized, state.ErrNotPlaced, ErrNoLeader, ErrBusy,
	} {
		got := asFault(fmt.Errorf("why: %w", want), "").asError()
		if !errors.Is(got, want) || got.Error() != "why: "+want.Error() {
			t.Errorf("%v became %v", want, got)
		}
	}
	remote, ok := errors.AsType[*RemoteError](asFault(member.ErrNotLeader, "origin-2").asError())
	if !ok || remote.Leader != "origin-2" {
		t.Errorf("the hint was lost: %+v", remote)
	}
	if err := asFault(member.ErrStopped, "").asError(); !errors.Is(err, member.ErrUncertain) {
		t.Errorf("another node's end: %v", err)
	}
	if err := (&fault{Code: "of a later version", Message: "m"}).asError(); err.Error() != "m" {
		t.Errorf("an unknown code: %v", err)
	}
	if err := (&fault{Code: "owned", Data: []byte("{")}).asError(); err == nil {
		t.Error("bad data became no error")
	}
}

func TestMayPropose(t *testing.T) {
	known := func(id string) (state.Node, bool) {
		n, ok := map[string]state.Node{"1": {Name: "o1"}, "2": {Name: "o2"}, "3": {Name: "e1"}}[id]
		return n, ok
	}
	origin := pki.Peer{Name: "o1", Roles: []string{pki.RoleOrigin}}
	edge := pki.Peer{Name: "e1", Roles: []string{pki.RoleEdge}}
	client := pki.Peer{Name: "x", Roles: []string{pki.RoleClient}}
	for name, c := range map[string]struct {
		peer pki.Peer
		cmd  state.Command
		want bool
	}{
		"claim":                   {origin, state.Claim{Node: "1"}, true},
		"claim of a new node":     {origin, state.Claim{Node: "9"}, true},
		"claim for another":       {origin, state.Claim{Node: "2"}, false},
		"claim by an edge":        {edge, state.Claim{Node: "3"}, false},
		"resume for another":      {origin, state.Resume{Node: "2"}, false},
		"release":                 {origin, state.Release{}, true},
		"release by an edge":      {edge, state.Release{}, false},
		"config":                  {origin, state.SetConfig{}, true},
		"config by an edge":       {edge, state.SetConfig{}, false},
		"upsert":                  {edge, state.UpsertNode{Node: state.Node{ID: "3", Name: "e1", Roles: []string{"edge"}}}, true},
		"upsert of a new id":      {edge, state.UpsertNode{Node: state.Node{ID: "9", Name: "e1"}}, true},
		"upsert of another":       {edge, state.UpsertNode{Node: state.Node{ID: "1", Name: "o1"}}, false},
		"upsert of another's id":  {edge, state.UpsertNode{Node: state.Node{ID: "1", Name: "e1"}}, false},
		"upsert with a role more": {edge, state.UpsertNode{Node: state.Node{ID: "3", Name: "e1", Roles: []string{"origin"}}}, false},
		"leave":                   {edge, state.RemoveNode{Node: "3"}, true},
		"remove another":          {origin, state.RemoveNode{Node: "3"}, false},
		"expire itself":           {origin, state.ExpireNode{Node: "1"}, true},
		"expire another":          {origin, state.ExpireNode{Node: "2"}, false},
		"fail over from itself":   {origin, state.FailOver{Node: "1"}, true},
		"fail over from another":  {origin, state.FailOver{Node: "2"}, false},
		"drop":                    {origin, state.DropOrphans{}, false},
		"init":                    {origin, state.Init{}, false},
		"restore":                 {origin, state.Restore{}, true},
		"restore by an edge":      {edge, state.Restore{}, false},
		"raise the level":         {origin, state.RaiseLevel{}, false},
		"revoke":                  {origin, state.Revoke{Revocation: state.Revocation{Node: "e1"}}, false},
		"drop revocations":        {origin, state.DropRevocations{}, false},
		"a client":                {client, state.Release{}, false},
	} {
		err := mayPropose(c.peer, c.cmd, known)
		if (err == nil) != c.want || (err != nil && !errors.Is(err, member.ErrForbidden)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, m := range []string{methodHello, methodPropose, methodRead, methodRenew, methodWatch, methodStatus, methodQuery, methodLevel} {
		if mayCall(origin, m) != nil || mayCall(edge, m) != nil || mayCall(client, m) == nil {
			t.Errorf("%s: %v, %v, %v", m, mayCall(origin, m), mayCall(edge, m), mayCall(client, m))
		}
	}
	for _, m := range []string{methodJoin, methodRemove, methodRevoke, methodTransfer} {
		if mayCall(origin, m) != nil || mayCall(edge, m) == nil {
			t.Errorf("%s: %v, %v", m, mayCall(origin, m), mayCall(edge, m))
		}
	}
}
