package web

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tmms/cluster/state"
	"tmms/edge/viewer"
	"tmms/media"
)

// pathNearest is where clients ask for the nodes that they are to go to.
const pathNearest = "/nearest"

// nearestDefault is how many nodes are named if the client does not say.
const nearestDefault = 3

// nearestReply is the answer, see docs/operations.md.
type nearestReply struct {
	Region string        `json:"region"`
	How    string        `json:"how"`
	Nodes  []nearestNode `json:"nodes"`
}

type nearestNode struct {
	ID     string            `json:"id"`
	Name   string            `json:"name"`
	Role   string            `json:"role"`
	Region string            `json:"region"`
	Zone   string            `json:"zone"`
	Load   float64           `json:"load"`             // 0 to 1
	RTTMS  float64           `json:"rtt_ms,omitempty"` // from the client's region, if known
	URLs   map[string]string `json:"urls"`
}

// nearestAsked is a request for nodes, understood.
type nearestAsked struct {
	viewer.NearQuery

	role string
	text bool           // a URL a line
	host string         // that the client has used for this node, without a port
	to   *viewer.Target // the stream; nil: none
}

// decideNearest answers what asks for nodes.
func (s *Server) decideNearest(q asking) reply {
	if s.near == nil {
		return notFound(q, "this node knows no others")
	}
	asked, err := s.askedNearest(q)
	if err != nil {
		return *err
	}
	answer := s.near.Nearest(asked.NearQuery)
	if asked.text {
		return s.nearestText(q, asked, answer)
	}
	out := nearestReply{Region: answer.Region, How: answer.How, Nodes: make([]nearestNode, len(answer.Nodes))}
	for i := range answer.Nodes {
		out.Nodes[i] = s.nearestNode(asked, &answer.Nodes[i])
	}
	b, failed := json.Marshal(out)
	if failed != nil {
		return unavailable(failed.Error(), q.headOnly())
	}
	return plain(q, header{status: http.StatusOK, typ: typeJSON, cache: cacheNever}, append(b, '\n'))
}

// plain is a small answer that is made for one request.
func plain(q asking, h header, b []byte) reply {
	h.length = int64(len(b))
	r := reply{header: h}
	if !q.headOnly() {
		r.body = newBody([][]byte{b}, byteRange{0, h.length})
	}
	return r
}

// nearestText is for scripts: the URL of RTMP of each node on a line.
func (s *Server) nearestText(q asking, asked *nearestAsked, answer viewer.NearAnswer) reply {
	var b []byte
	for i := range answer.Nodes {
		if u := s.nearestURL(asked, &answer.Nodes[i], "rtmp"); u != "" {
			b = append(append(b, u...), '\n')
		}
	}
	if len(b) == 0 {
		return unavailable("no such node is known", q.headOnly())
	}
	return plain(q, header{status: http.StatusOK, typ: typeText, cache: cacheNever}, b)
}

// askedNearest understands the query; the reply says what is wrong with it.
func (s *Server) askedNearest(q asking) (*nearestAsked, *reply) {
	bad := func(why string) (*nearestAsked, *reply) {
		r := invalid(why, q.headOnly())
		return nil, &r
	}
	a := &nearestAsked{role: "edge", host: hostOf(q.Host)}
	a.From, a.Count = q.from, nearestDefault
	switch role := q.query.Get("role"); role {
	case "", "edge":
	case "origin":
		a.role, a.Origin = role, true
	default:
		return bad("role is origin or edge")
	}
	switch q.query.Get("format") {
	case "", "json":
	case "text":
		a.text = true
	default:
		return bad("format is json or text")
	}
	if n := q.query.Get("count"); n != "" {
		var err error
		if a.Count, err = strconv.Atoi(n); err != nil || a.Count < 1 || a.Count > media.MaxNearest {
			return bad("count is 1 to " + strconv.Itoa(media.MaxNearest))
		}
	}
	if a.Region = q.query.Get("region"); a.Region != "" {
		if err := state.CheckRegion(a.Region); err != nil {
			return bad("region " + err.Error())
		}
	}
	return s.askedStream(q, a)
}

// askedStream finds the stream of the query.
func (s *Server) askedStream(q asking, a *nearestAsked) (*nearestAsked, *reply) {
	name := q.query.Get("stream")
	if name == "" {
		return a, nil
	}
	app, stream, ok := strings.Cut(name, "/")
	if !ok {
		r := invalid("stream is APP/STREAM", q.headOnly())
		return nil, &r
	}
	t, err := viewer.Find(s.apps, q.Host, q.override(), app, stream)
	if err != nil {
		r := notTarget(q, err)
		return nil, &r
	}
	a.Stream, a.to = t.Key, &t
	return a, nil
}

func (s *Server) nearestNode(a *nearestAsked, n *viewer.NearNode) nearestNode {
	out := nearestNode{
		ID: n.ID, Name: n.Name, Role: a.role, Region: n.Region, Zone: n.Zone, URLs: map[string]string{},
		Load: float64(int(n.Load)*100/255) / 100, RTTMS: float64(n.RTT/(time.Millisecond/10)) / 10,
	}
	for _, kind := range []string{"rtmp", "rtmps", "http", "https"} {
		if u := s.nearestURL(a, n, kind); u != "" {
			out.URLs[kind] = u
		}
	}
	return out
}

// nearestURL is where a node has the stream, over HTTP its multivariant playlist, or
// only where the node is; "": nowhere. Publishers are given RTMP only.
func (s *Server) nearestURL(a *nearestAsked, n *viewer.NearNode, kind string) string {
	at := reachableAt(n.Addresses[kind], a.host)
	web := kind == "http" || kind == "https"
	if at == "" || a.Origin && web {
		return ""
	}
	u := url.URL{Scheme: kind, Host: at}
	if a.to == nil {
		return u.String()
	}
	u.Path = "/" + a.Stream.App + "/" + a.Stream.Stream
	if web {
		u.Path += ".m3u8"
	}
	if !viewer.At(s.apps, at, a.Stream.Domain) {
		u.RawQuery = "domain=" + url.QueryEscape(a.Stream.Domain)
	}
	return u.String()
}

// reachableAt is an address as others dial it: a node that is alone may only know that
// it listens everywhere, and is found by the name that the client has used.
func reachableAt(address, host string) string {
	name, port, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	if ip, err := netip.ParseAddr(name); err != nil || !ip.IsUnspecified() {
		return address
	}
	if host == "" {
		return ""
	}
	return net.JoinHostPort(host, port)
}

// hostOf takes the port and the brackets off a Host header.
func hostOf(header string) string {
	if host, _, err := net.SplitHostPort(header); err == nil {
		return host
	}
	return strings.Trim(header, "[]")
}

// nearestRoute takes the path of a redirect to the nearest node apart:
// /nearest/APP/STREAM.flv, .ts or .m3u8.
func nearestRoute(path string) (to route, ok bool) {
	rest, ok := strings.CutPrefix(path, pathNearest)
	if !ok || strings.Count(rest, "/") != 2 {
		return to, false
	}
	to = parseRoute(rest, func(string) bool { return false })
	return to, to.want.live() || to.want == wantMultivariant
}

// decideNear answers what is asked of the cluster, not of this node; ok = false: it is
// something else. An app of the name comes first: its files have paths of that form.
func (s *Server) decideNear(q asking) (r reply, ok bool) {
	if q.URL.Path == pathNearest {
		return s.decideNearest(q), true
	}
	to, ok := nearestRoute(q.URL.Path)
	if !ok {
		return r, false
	}
	if _, err := viewer.Find(s.apps, q.Host, q.override(), pathNearest[1:], to.stream); err == nil {
		return r, false
	}
	return s.toNearest(q, to), true
}

// toNearest is a redirect to where the nearest node has a stream: what comes after
// /nearest is the path there. This node counts too, and answers itself if no other
// is known.
func (s *Server) toNearest(q asking, to route) reply {
	t, err := viewer.Find(s.apps, q.Host, q.override(), to.app, to.stream)
	if err != nil {
		return notTarget(q, err)
	}
	kind := "https"
	if q.bare {
		kind = "http"
	}
	query := viewer.NearQuery{From: q.from, Region: q.query.Get("region"), Stream: t.Key, Count: media.MaxNearest}
	if query.Region != "" {
		if err := state.CheckRegion(query.Region); err != nil {
			return invalid("region "+err.Error(), q.headOnly())
		}
	}
	at := ""
	if s.near != nil {
		for _, n := range s.near.Nearest(query).Nodes {
			if n.Self {
				break
			}
			if at = n.Addresses[kind]; at != "" {
				break
			}
		}
	}
	target := q.moved(s.apps, at, t.Key.Domain, media.Via)
	target.Path = strings.TrimPrefix(target.Path, pathNearest)
	target.RawPath = strings.TrimPrefix(target.RawPath, pathNearest)
	return found(q, target, "the stream is at ")
}
