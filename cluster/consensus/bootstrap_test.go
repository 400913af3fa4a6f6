package consensus

import (
	"errors"
	"strings"
	"testing"
)

func TestDecide(t *testing.T) {
	voters := []Voter{{"a", "1"}, {"b", "2"}, {"c", "3"}}
	hello := func(name string) Hello {
		return Hello{ID: "id-" + name, Name: name, CAFingerprint: "ca", Voters: voters}
	}
	empty := func(name string) answer { return answer{Hello: hello(name)} }
	with := func(name string, change func(*Hello)) answer {
		h := hello(name)
		change(&h)
		return answer{Hello: h}
	}
	silent := answer{err: errors.New("no route")}
	for name, c := range map[string]struct {
		self   string
		others map[string]answer
		want   action
		reason string
		bad    bool
	}{
		"the lowest begins":     {"a", map[string]answer{"b": empty("b"), "c": empty("c")}, found, "", false},
		"another waits for it":  {"b", map[string]answer{"a": empty("a"), "c": empty("c")}, wait, "a is to begin", false},
		"one is missing":        {"a", map[string]answer{"b": empty("b"), "c": silent}, wait, "c at 3 (no route)", false},
		"one was not asked":     {"a", map[string]answer{"b": empty("b")}, wait, "c at 3", false},
		"not a voter":           {"d", nil, join, "not among", false},
		"another list":          {"a", map[string]answer{"b": empty("b"), "c": with("c", func(h *Hello) { h.Voters = voters[:2] })}, wait, "c is configured with the voters a=1,b=2, this node with a=1,b=2,c=3", true},
		"another address":       {"a", map[string]answer{"b": with("b", func(h *Hello) { h.Voters = []Voter{{"a", "1"}, {"b", "9"}, {"c", "3"}} }), "c": empty("c")}, wait, "b is configured", true},
		"another CA":            {"a", map[string]answer{"b": with("b", func(h *Hello) { h.CAFingerprint = "other" }), "c": empty("c")}, wait, "b trusts the CA other", true},
		"state":                 {"a", map[string]answer{"b": with("b", func(h *Hello) { h.HasState = true }), "c": silent}, join, "b has state", false},
		"state, another list":   {"a", map[string]answer{"b": with("b", func(h *Hello) { h.HasState, h.Voters = true, nil })}, join, "b has state", false},
		"state of another CA":   {"a", map[string]answer{"b": with("b", func(h *Hello) { h.HasState, h.CAFingerprint = true, "other" })}, wait, "b trusts", true},
		"fault before silence":  {"a", map[string]answer{"b": silent, "c": with("c", func(h *Hello) { h.Voters = nil })}, wait, "c is configured", true},
		"the lowest waits, too": {"a", map[string]answer{"b": silent, "c": silent}, wait, "b at 2", false},
	} {
		self := hello(c.self)
		act, reason, bad := decide(self, c.others)
		if act != c.want || !strings.Contains(reason, c.reason) || bad != c.bad {
			t.Errorf("%s: %d, %q, %v", name, act, reason, bad)
		}
	}
}
