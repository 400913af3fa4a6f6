package node

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"tmms/cluster/gossip"
	"tmms/cluster/member"
	"tmms/cluster/pki"
)

// Only origins lead rotations; what is refused does not show the key.
func TestStepsOfOthers(t *testing.T) {
	n := &Node{}
	args, err := json.Marshal(gossip.Step{Do: gossip.ActionAdd, Key: []byte(strings.Repeat("k", 32))})
	if err != nil {
		t.Fatal(err)
	}
	for _, roles := range [][]string{{pki.RoleEdge}, {pki.RoleClient}, nil} {
		if _, err := n.answerStep(pki.Peer{Name: "x", Roles: roles}, args); !errors.Is(err, member.ErrForbidden) {
			t.Errorf("with the roles %v: %v", roles, err)
		}
	}
	for _, bad := range []string{"", "{", `{"key":"not base64 but secret"}`, `{"key":7}`, `["secret"]`} {
		_, err := n.answerStep(pki.Peer{Name: "o", Roles: []string{pki.RoleOrigin}}, json.RawMessage(bad))
		if !errors.Is(err, member.ErrInvalid) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// A node that is alone has no group to change, and no key that others share.
func TestOperatorAlone(t *testing.T) {
	o := operator{n: &Node{}}
	_, err := o.RotateGossipKey(t.Context(), false)
	for _, err := range []error{o.Join(t.Context(), "o2", "192.0.2.1:7400"), o.Remove(t.Context(), "o1"), err} {
		if !errors.Is(err, member.ErrInvalid) || !strings.Contains(err.Error(), "alone") {
			t.Errorf("got %v", err)
		}
	}
}
