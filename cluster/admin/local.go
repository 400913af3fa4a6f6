package admin

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"tmms/media"
)

// Local answers what the admin port of another node asks of this one. It tells
// what is on this node and never asks others in turn.
type Local struct {
	streams StreamSource
	viewers ViewerSource
	why     WhySource // nil: there is none
	configs RevisionSource
}

// NewLocal answers from those lists; a node has one with or without an admin port.
func NewLocal(streams StreamSource, viewers ViewerSource, why WhySource, configs RevisionSource) *Local {
	return &Local{streams: streams, viewers: viewers, why: why, configs: configs}
}

// errUnknownQuery refuses what is not a question of this version.
var errUnknownQuery = errors.New("admin: unknown query")

// Answer gives the JSON that [Peers.Query] brings back, of at most
// media.MaxPeerAnswer bytes: a longer list is cut, and says so.
func (l *Local) Answer(what string) ([]byte, error) {
	q, err := parseQuery(what)
	if err != nil {
		return nil, err
	}
	if q.list == listWhy {
		return fit(l.whyAnswer(q), func(a *NodeWhy) { a.Subscriptions = a.Subscriptions[:len(a.Subscriptions)/2] })
	}
	if q.list == listNode {
		return json.Marshal(l.nodeAnswer())
	}
	if q.list == listViewers {
		return fit(l.viewersAnswer(q), func(a *viewersAnswer) {
			a.Viewers, a.Truncated = a.Viewers[:len(a.Viewers)/2], true
		})
	}
	return fit(l.streamsAnswer(q), func(a *streamsAnswer) {
		a.Streams, a.Truncated = a.Streams[:len(a.Streams)/2], true
	})
}

// fit encodes an answer, after shortening it as often as needed.
func fit[T any](answer T, shorten func(*T)) ([]byte, error) {
	for {
		b, err := json.Marshal(answer)
		if err != nil || len(b) <= media.MaxPeerAnswer {
			return b, err
		}
		shorten(&answer)
	}
}

// streamsAnswer are the streams of one node.
type streamsAnswer struct {
	Streams   []StreamInfo `json:"streams"` // ordered by key
	Owned     int          `json:"owned"`   // streams that the node owns, beyond the limit too
	Truncated bool         `json:"truncated,omitempty"`
}

// viewersAnswer are the viewers of one node.
type viewersAnswer struct {
	Viewers   []ViewerInfo `json:"viewers"`
	Total     int          `json:"total"`
	Truncated bool         `json:"truncated,omitempty"`
}

// nodeAnswer is what a node says of itself.
type nodeAnswer struct {
	ConfigRevision uint64 `json:"config_revision"`
}

func (a nodeAnswer) cut() bool    { return false }
func (a streamsAnswer) cut() bool { return a.Truncated }
func (a viewersAnswer) cut() bool { return a.Truncated }

func (l *Local) nodeAnswer() nodeAnswer {
	return nodeAnswer{ConfigRevision: l.configs.Config().Revision()}
}

func (l *Local) streamsAnswer(q query) streamsAnswer {
	all := slices.Clone(l.streams.Streams())
	slices.SortFunc(all, func(a, b StreamInfo) int { return cmp.Compare(a.Key, b.Key) })
	var a streamsAnswer
	for i := range all {
		if !all[i].Pulled {
			a.Owned++
		}
	}
	a.Streams = all[:min(q.limit, len(all))]
	return a
}

func (l *Local) viewersAnswer(q query) viewersAnswer {
	list, total := l.viewers.Viewers(q.key, q.limit)
	return viewersAnswer{Viewers: slices.Clone(list[:min(q.limit, len(list))]), Total: total}
}

// The lists that can be asked for.
const (
	listStreams = "streams"
	listViewers = "viewers"
	listWhy     = "why"  // of one stream
	listNode    = "node" // not a list: the node itself
)

// query asks for a list, as "viewers?limit=10&stream=d/a/s".
type query struct {
	list  string
	key   string // of a stream; "": all
	limit int
}

// String is the form that nodes send each other.
func (q query) String() string {
	v := url.Values{"limit": {strconv.Itoa(q.limit)}}
	if q.key != "" {
		v.Set("stream", q.key)
	}
	return q.list + "?" + v.Encode()
}

func parseQuery(what string) (query, error) {
	u, err := url.Parse(what)
	if err != nil {
		return query{}, fmt.Errorf("%w: %.80q", errUnknownQuery, what)
	}
	if !slices.Contains([]string{listStreams, listViewers, listWhy, listNode}, u.Path) {
		return query{}, fmt.Errorf("%w: %.80q", errUnknownQuery, what)
	}
	return queryOf(u.Path, u.Query())
}

// queryOf reads the parameters of a list.
func queryOf(list string, v url.Values) (query, error) {
	q := query{list: list, key: v.Get("stream"), limit: defaultLimit}
	if text := v.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > maxLimit {
			return query{}, refuse(http.StatusBadRequest, "limit", "limit is %.32q, it must be 0 to %d", text, maxLimit)
		}
		q.limit = n
	}
	if q.key != "" {
		if _, err := media.ParseStreamKey(q.key); err != nil {
			return query{}, refuse(http.StatusBadRequest, "stream", "%s", err)
		}
	}
	return q, nil
}
