package node

import (
	"encoding/json"
	"errors"
	"testing"

	"tmms/cluster/member"
	"tmms/cluster/pki"
	"tmms/origin/session"
)

// Only origins have streams moved; a node without any says so.
func TestGivesOfOthers(t *testing.T) {
	n := &Node{}
	for _, tc := range []struct {
		roles []string
		args  string
		want  error
	}{
		{[]string{pki.RoleEdge}, `{"key":{"domain":"d","app":"a","stream":"s"},"epoch":1}`, member.ErrForbidden},
		{[]string{pki.RoleClient}, `{}`, member.ErrForbidden},
		{[]string{pki.RoleOrigin}, `{"epoch":-1}`, member.ErrInvalid},
		{[]string{pki.RoleOrigin}, `[]`, member.ErrInvalid},
		{[]string{pki.RoleOrigin}, `{"key":{"domain":"d","app":"a","stream":"s"},"epoch":1}`, session.ErrKept},
	} {
		_, err := n.answerGive(t.Context(), pki.Peer{Name: "x", Roles: tc.roles}, json.RawMessage(tc.args))
		if !errors.Is(err, tc.want) {
			t.Errorf("%v, %s: %v, want %v", tc.roles, tc.args, err, tc.want)
		}
	}
}
