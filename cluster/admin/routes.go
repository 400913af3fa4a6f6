package admin

import (
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tmms/cluster/consensus"
	"tmms/cluster/gossip"
)

// route is one operation of the API. The mux and the OpenAPI document are both
// made from the list of them.
type route struct {
	method  string
	path    string
	need    role
	summary string
	state   bool     // it shows replicated state, which is brought up to date first
	query   []string // names of query parameters
	request any      // zero value of the JSON body; nil: none
	reply   any      // zero value of the JSON answer; nil: not JSON
	upload  bool     // the body is bytes
	bytes   bool     // the answer is
	handle  func(w http.ResponseWriter, r *http.Request, by caller) error
}

func (s *Server) routes() []route {
	apply := route{
		path: "/api/v1/config", need: roleAdmin, summary: "Put domains and apps in force in the whole cluster",
		request: applyRequest{}, reply: applyReply{}, handle: s.applyConfig,
	}
	put, post := apply, apply
	put.method, post.method = http.MethodPut, http.MethodPost
	return append(s.laterRoutes(), []route{
		{
			method: http.MethodGet, path: "/healthz", summary: "The process lives",
			reply: healthReply{}, handle: s.health,
		},
		{
			method: http.MethodGet, path: "/readyz", summary: "The node can serve; 503 with the reason if not",
			reply: healthReply{}, handle: s.readiness,
		},
		{
			method: http.MethodGet, path: "/metrics", need: roleRead, summary: "Prometheus metrics",
			handle: s.metrics(),
		},
		{
			method: http.MethodGet, path: "/api/v1/streams", need: roleRead,
			summary: "Streams of the cluster; with local=true of this node", state: true,
			query: []string{"limit", "local"}, reply: streamsReply{}, handle: s.listStreams,
		},
		{
			method: http.MethodGet, path: "/api/v1/viewers", need: roleRead,
			summary: "Viewers of the cluster; with local=true of this node",
			query:   []string{"stream", "limit", "local"}, reply: viewersReply{}, handle: s.listViewers,
		},
		{
			method: http.MethodGet, path: "/api/v1/why", need: roleRead,
			summary: "Where a stream comes from and goes to in the cluster, and why it does not play; key is DOMAIN/APP/STREAM",
			state:   true, query: []string{"key", "local"}, reply: WhyReply{}, handle: s.showWhy,
		},
		{
			method: http.MethodGet, path: "/api/v1/nodes", need: roleRead,
			summary: "Nodes of the cluster, each with the config revision that it says it runs; with local=true only this one's",
			state:   true, query: []string{"local"}, reply: nodesReply{}, handle: s.listNodes,
		},
		{
			method: http.MethodGet, path: "/api/v1/nodes/{node}/drain", need: roleRead,
			summary: "Whether a node, by name or id, is being drained, and what it has left", state: true,
			reply: DrainInfo{}, handle: s.showDrain,
		},
		{
			method: http.MethodPost, path: "/api/v1/nodes/{node}/drain", need: roleAdmin,
			summary: "Empty a node, so that its process can be replaced",
			request: drainBody{}, reply: DrainInfo{}, handle: s.beginDrain,
		},
		{
			method: http.MethodDelete, path: "/api/v1/nodes/{node}/drain", need: roleAdmin,
			summary: "Take a node into service again", reply: DrainInfo{}, handle: s.endDrain,
		},
		{
			method: http.MethodGet, path: "/api/v1/domains", need: roleRead, summary: "Domains and apps in force",
			state: true, reply: domainsReply{}, handle: s.listDomains,
		},
		{
			method: http.MethodGet, path: "/api/v1/config", need: roleRead,
			summary: "The config as a document; publish keys as marks, which an apply takes for the keys that the app has",
			state:   true, reply: configReply{}, handle: s.showConfig,
		},
		put, post,
		{
			method: http.MethodGet, path: "/api/v1/history", need: roleRead,
			summary: "Config revisions that are kept: the last 64, as far as they have 64 MiB together, with what each changed",
			state:   true, reply: historyReply{}, handle: s.showHistory,
		},
		{
			method: http.MethodPost, path: "/api/v1/rollback", need: roleAdmin,
			summary: "Put the content of an earlier revision in force, as a new revision",
			request: rollbackRequest{}, reply: applyReply{}, handle: s.rollback,
		},
		{
			method: http.MethodGet, path: "/api/v1/raft", need: roleRead, summary: "The raft group", state: true,
			reply: RaftInfo{}, handle: s.showRaft,
		},
		{
			method: http.MethodPost, path: "/api/v1/raft/servers", need: roleAdmin,
			summary: "Add a running node to the raft group; it votes when it has caught up",
			request: serverBody{}, reply: serverReply{}, handle: s.addServer,
		},
		{
			method: http.MethodDelete, path: "/api/v1/raft/servers/{name}", need: roleAdmin,
			summary: "Take a member, by name or id, out of the raft group", reply: serverReply{}, handle: s.removeServer,
		},
		{
			method: http.MethodPost, path: "/api/v1/raft/transfer", need: roleAdmin,
			summary: "Hand the leadership over to a voter, by name or id, or with an empty name to any that answers; " +
				"the answer names who leads then",
			request: leaderBody{}, reply: leaderBody{}, handle: s.transfer,
		},
		{
			method: http.MethodPost, path: "/api/v1/raft/snapshot", need: roleAdmin,
			summary: "Write a snapshot of this node's raft log now", reply: consensus.SnapshotInfo{}, handle: s.takeSnapshot,
		},
		{
			method: http.MethodGet, path: "/api/v1/raft/backup", need: roleAdmin, state: true, bytes: true,
			summary: "The whole replicated state, with the hashes of publish keys, for /api/v1/raft/restore",
			handle:  s.sendBackup,
		},
		{
			method: http.MethodPost, path: "/api/v1/raft/restore", need: roleAdmin, upload: true,
			summary: "Bring back what a backup has and the cluster has not; live streams go on. " +
				"With foreign=true that of another cluster too",
			query: []string{"foreign"}, reply: restoreReply{}, handle: s.restore,
		},
		{
			method: http.MethodGet, path: "/api/v1/raft/level", need: roleRead,
			summary: "The feature level of the cluster, and what each node knows",
			reply:   consensus.Levels{}, handle: s.showFeatures,
		},
		{
			method: http.MethodPut, path: "/api/v1/raft/level", need: roleAdmin,
			summary: "Let the cluster use what comes with a feature level; refused unless all nodes know it",
			request: featureBody{}, reply: consensus.Levels{}, handle: s.raiseFeatures,
		},
		{
			method: http.MethodGet, path: "/api/v1/revocations", need: roleRead,
			summary: "Certificates of nodes that are not good any more", state: true,
			reply: revocationsReply{}, handle: s.listRevocations,
		},
		{
			method: http.MethodPost, path: "/api/v1/revocations", need: roleAdmin,
			summary: "Take certificates out of use: all that a node was given until now, which the cluster forgets, " +
				"or the one with a serial number",
			request: revocationBody{}, reply: revocationReply{}, handle: s.revoke,
		},
		{
			method: http.MethodGet, path: "/api/v1/tokens/join", need: roleRead,
			summary: "Tokens by which nodes get certificates, those that are used up too", state: true,
			reply: joinTokensReply{}, handle: s.listJoinTokens,
		},
		{
			method: http.MethodPost, path: "/api/v1/tokens/join", need: roleAdmin,
			summary: "Put a token in force by which nodes get certificates: its text is tmms1.ID.SECRET.PIN, whose secret " +
				"only who asks knows",
			request: joinTokenBody{}, reply: JoinTokenReply{}, handle: s.putJoinToken,
		},
		{
			method: http.MethodDelete, path: "/api/v1/tokens/join/{id}", need: roleAdmin,
			summary: "Take a token out of force; who came by it stays", reply: droppedReply{}, handle: s.dropJoinToken,
		},
		{
			method: http.MethodPost, path: "/api/v1/gossip/key/rotate", need: roleAdmin,
			summary: "Replace the key of the gossip on all nodes",
			request: rotateRequest{}, reply: gossip.Report{}, handle: s.rotateKey,
		},
		{
			method: http.MethodGet, path: "/api/v1/log/level", need: roleRead, summary: "The level of the log",
			reply: levelBody{}, handle: s.showLevel,
		},
		{
			method: http.MethodPut, path: "/api/v1/log/level", need: roleAdmin, summary: "Change the level of the log",
			request: levelBody{}, reply: levelBody{}, handle: s.setLevel,
		},
		{
			method: http.MethodGet, path: "/debug/pprof/{profile}", need: roleAdmin,
			summary: "A profile of the process for go tool pprof: profile (of the processor), heap, goroutine, ...",
			query:   []string{"seconds", "gc", "debug"}, handle: s.showProfile,
		},
		{
			method: http.MethodGet, path: "/api/v1/openapi.json", summary: "This API as an OpenAPI 3.1 document",
			handle: s.showOpenAPI,
		},
	}...)
}

// handler puts the routes and the console behind the guard.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	byPath := map[string][]route{}
	for _, r := range s.routes() {
		byPath[r.path] = append(byPath[r.path], r)
	}
	for path, routes := range byPath {
		mux.Handle(path, s.dispatch(routes))
	}
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, refuse(http.StatusNotFound, "not_found", "no such path %.128q", r.URL.Path))
	})
	mux.Handle("/", s.console())
	return s.guard(mux)
}

// dispatch picks the route of a path by method, and checks the caller's role.
func (s *Server) dispatch(routes []route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		i := slices.IndexFunc(routes, func(rt route) bool { return rt.method == method })
		if i < 0 {
			w.Header().Set("Allow", allowed(routes))
			writeError(w, refuse(http.StatusMethodNotAllowed, "method", "%.32s is not allowed here", r.Method))
			return
		}
		by := s.caller(r)
		if err := permit(by.role, routes[i].need); err != nil {
			writeError(w, err)
			return
		}
		if err := s.serve(routes[i], w, r, by); err != nil {
			writeError(w, err)
		}
	})
}

func (s *Server) serve(rt route, w http.ResponseWriter, r *http.Request, by caller) error {
	if rt.state {
		if err := s.freshen(w, r); err != nil {
			return err
		}
	}
	return rt.handle(w, r, by)
}

func permit(has, need role) error {
	switch {
	case has >= need:
		return nil
	case has == roleNone:
		return refuse(http.StatusUnauthorized, "token", "a bearer token is required")
	}
	return refuse(http.StatusForbidden, "role", "this token may only read")
}

func allowed(routes []route) string {
	var methods []string
	for _, r := range routes {
		methods = append(methods, r.method)
		if r.method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	return strings.Join(methods, ", ")
}

func (s *Server) metrics() func(http.ResponseWriter, *http.Request, caller) error {
	h := promhttp.HandlerFor(s.deps.Gatherer, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
	return func(w http.ResponseWriter, r *http.Request, _ caller) error {
		h.ServeHTTP(w, r)
		return nil
	}
}
