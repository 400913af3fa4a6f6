package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"tmms/cluster/state"
	"tmms/media"
)

// applyTimeout bounds an apply: 10,000 new publish keys take 40 s of a processor.
const applyTimeout = 2 * time.Minute

// applyRequest is a config to put in force.
type applyRequest struct {
	BaseRevision *uint64           `json:"base_revision"` // refuse if it is not current; left out: whatever is
	DryRun       bool              `json:"dry_run"`       // only check
	Domains      []state.DomainDoc `json:"domains"`
	Regions      []state.RegionDoc `json:"regions,omitempty"` // left out: there are none from now on
}

// checkDomains refuses to take every domain out of service by an omission.
func (r *applyRequest) checkDomains() error {
	if r.Domains != nil {
		return nil
	}
	return &state.FaultsError{Faults: []state.Fault{{Path: "domains", Rule: "is missing; [] removes all domains"}}}
}

type applyReply struct {
	Revision uint64 `json:"revision"` // in force after this
	Changed  bool   `json:"changed"`  // by this request; with dry_run: it would
	DryRun   bool   `json:"dry_run"`
	// Diff is what it changes; left out if the revision before is not known here.
	Diff *state.Diff `json:"diff,omitempty"`
}

type configReply struct {
	Revision uint64            `json:"revision"`
	Domains  []state.DomainDoc `json:"domains"`
	Regions  []state.RegionDoc `json:"regions,omitempty"`
}

// intent is a config that is to be put in force, and how.
type intent struct {
	doc    *state.Document
	base   *uint64 // nil: whatever is in force
	dryRun bool
	by     caller
}

func (in intent) baseRevision() uint64 {
	if in.base == nil {
		return state.AnyRevision
	}
	return *in.base
}

func (s *Server) applyConfig(w http.ResponseWriter, r *http.Request, by caller) error {
	allowTime(w)
	b, err := readBody(w, r, media.MaxConfigBytes)
	if err != nil {
		return err
	}
	var req applyRequest
	decodeErr := decode(b, &req)
	doc := &state.Document{Domains: req.Domains, Regions: req.Regions}
	if err = state.JoinFaults(decodeErr, req.checkDomains(), doc.Validate()); err != nil {
		return err
	}
	reply, err := s.realize(w, r, intent{doc: doc, base: req.BaseRevision, dryRun: req.DryRun, by: by})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, reply)
	return nil
}

// allowTime gives a request that may be large the time of an apply.
func allowTime(w http.ResponseWriter) {
	until := time.Now().Add(applyTimeout)
	control := http.NewResponseController(w)
	// Where there is no connection there is no deadline either.
	_ = control.SetReadDeadline(until)
	_ = control.SetWriteDeadline(until)
}

// realize puts a config in force, or only says what that would do.
func (s *Server) realize(w http.ResponseWriter, r *http.Request, in intent) (applyReply, error) {
	ctx, cancel := context.WithTimeout(r.Context(), applyTimeout)
	defer cancel()
	if in.dryRun {
		s.mark(w, s.catchUp(ctx) == nil)
		return s.plan(ctx, in)
	}
	// The marks of keys stand for those that are in force now, and changed is to be true
	// of this request.
	if err := s.awaitCurrent(ctx); err != nil {
		return applyReply{}, err
	}
	before := s.deps.Configs.Config().Revision()
	revision, err := s.deps.Configs.SetConfig(ctx, in.baseRevision(), in.doc, in.by.name)
	if err != nil {
		return applyReply{}, err
	}
	reply := applyReply{Revision: revision, Changed: revision != before}
	if reply.Diff, err = s.diffOf(revision); err != nil {
		return applyReply{}, err
	}
	if !reply.Changed {
		reply.Diff = &state.Diff{Changes: []state.Change{}}
	}
	s.deps.Log.Info("config was applied", slog.Uint64("revision", revision), slog.Bool("changed", reply.Changed),
		slog.String("by", in.by.name))
	return reply, nil
}

// plan answers as realize would, up to asking the cluster.
func (s *Server) plan(ctx context.Context, in intent) (applyReply, error) {
	cfg := s.deps.Configs.Config()
	if base := in.baseRevision(); base != state.AnyRevision && base != cfg.Revision() {
		return applyReply{}, &state.ConflictError{Base: base, Current: cfg.Revision()}
	}
	doc, err := s.deps.Configs.PlanConfig(ctx, in.doc)
	if err != nil {
		return applyReply{}, err
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return applyReply{}, err
	}
	reply := applyReply{Revision: cfg.Revision(), DryRun: true}
	current, _ := s.current()
	old, err := current.orEmpty()
	if err != nil {
		return applyReply{}, err
	}
	reply.Changed, reply.Diff = !bytes.Equal(b, current.Config), state.Compare(old, doc)
	return reply, nil
}

// kept is a revision of the history; the zero value is what was before the first.
type kept struct{ state.Revision }

// orEmpty decodes the config; before the first there is an empty one.
func (k kept) orEmpty() (*state.Document, error) {
	if k.Config == nil {
		return &state.Document{}, nil
	}
	return k.Document()
}

// current is the revision in force; false before the first.
func (s *Server) current() (kept, bool) {
	h := s.deps.Configs.History()
	if len(h) == 0 {
		return kept{}, false
	}
	return kept{h[len(h)-1]}, true
}

func (s *Server) showConfig(w http.ResponseWriter, _ *http.Request, _ caller) error {
	reply := configReply{Domains: []state.DomainDoc{}}
	if current, ok := s.current(); ok {
		doc, err := current.Document()
		if err != nil {
			return err
		}
		doc.RedactKeys()
		reply.Revision, reply.Domains, reply.Regions = current.Number, doc.Domains, doc.Regions
	}
	writeJSON(w, http.StatusOK, reply)
	return nil
}

// decode reads a JSON body strictly; what is no JSON at all is a 400.
func decode(b []byte, into any) error {
	err := state.DecodeJSON(b, into)
	var faults *state.FaultsError
	if err == nil || errors.As(err, &faults) {
		return err
	}
	return refuse(http.StatusBadRequest, "body", "%s", err)
}
