package admin

import (
	"fmt"
	"slices"
	"strings"

	"tmms/cluster/state"
)

// maxNamed bounds the domains and apps that a message names.
const maxNamed = 8

// judge finds out whether the stream plays, and what is wrong.
func (w *WhyReply) judge(domains []*state.Domain) {
	switch {
	case w.Domain == "":
		w.problem("no domain matches: the domains are %s", names(domains, func(d *state.Domain) string { return d.Name }))
		return
	case w.App == "":
		i := slices.IndexFunc(domains, func(d *state.Domain) bool { return d.Name == w.Domain })
		apps := "none"
		if i >= 0 {
			apps = names(domains[i].Apps(), func(a *state.App) string { return a.Name })
		}
		w.problem("domain %s has no such app: its apps are %s", w.Domain, apps)
		return
	case w.Placement == nil:
		w.problem("no node owns the stream: nobody publishes it")
	case w.Placement.Owner == "":
		w.problem("its owner%s was lost %s ago: it waits for its publisher to come back, to any origin",
			before(" ", w.Placement.LostBy), since(w.At, w.Placement.LostAt))
	default:
		w.judgeOwner()
	}
	for i := range w.Nodes {
		w.judgeNode(&w.Nodes[i])
	}
}

func names[T any](list []T, name func(T) string) string {
	if len(list) == 0 {
		return "none"
	}
	all := make([]string, 0, maxNamed+1)
	for i, v := range list {
		if i == maxNamed {
			all = append(all, "...")
			break
		}
		all = append(all, name(v))
	}
	return strings.Join(all, ", ")
}

func before(space, text string) string {
	if text == "" {
		return ""
	}
	return space + text
}

func (w *WhyReply) problem(format string, args ...any) {
	w.Problems = append(w.Problems, fmt.Sprintf(format, args...))
}

// judgeOwner looks at the node that the placement names.
func (w *WhyReply) judgeOwner() {
	p := w.Placement
	name := p.OwnerName
	if name == "" {
		name = p.Owner
	}
	i := slices.IndexFunc(w.Nodes, func(n NodeWhy) bool { return n.ID == p.Owner })
	switch {
	case i < 0 && p.OwnerState != "alive":
		w.problem("its owner %s can't be reached: the nodes know it as %s", name, orUnknown(p.OwnerState))
	case i < 0:
		w.problem("its owner %s does not answer", name)
	case w.Nodes[i].Stream == nil:
		w.problem("its owner %s has not got it: it has just come, or has just ended", name)
	case w.Nodes[i].Stream.Epoch != p.Epoch:
		w.problem("its owner %s has it in epoch %d, the placement says %d: one of both is about to change",
			name, w.Nodes[i].Stream.Epoch, p.Epoch)
	case w.Nodes[i].Stream.Publisher == nil:
		w.problem("no publisher is connected: the stream is in %s at %s, which keeps it for %s",
			w.Nodes[i].Stream.State, name, ms(w.GraceMS))
	default:
		w.Playing = true
	}
}

func orUnknown(text string) string {
	if text == "" {
		return stateUnknown
	}
	return text
}

// judgeNode looks at what a node has of the stream.
func (w *WhyReply) judgeNode(n *NodeWhy) {
	if w.Placement != nil && n.Epoch != 0 && n.Epoch != w.Placement.Epoch {
		w.problem("copies of the placement differ: %s has epoch %d, the node that was asked %d",
			n.Name, n.Epoch, w.Placement.Epoch)
	}
	if n.HLSError != "" {
		w.problem("%s has no HLS of it: %s", n.Name, n.HLSError)
	}
	p := n.Pull
	if p == nil {
		if total(n.Viewers) > 0 && n.Stream == nil && w.Placement != nil {
			w.problem("%s has viewers of it, but does not pull it", n.Name)
		}
		return
	}
	switch p.State {
	case "live", "grace":
		return
	}
	if p.Error != "" {
		w.problem("%s does not get it%s: %s", n.Name, before(" from ", p.Source), p.Error)
		return
	}
	w.problem("%s is %s%s", n.Name, p.State, before(" for ", p.Source))
}

func total(byProto map[string]int) (n int) {
	for _, v := range byProto {
		n += v
	}
	return n
}
