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

// applyRequest is a config to put in force.
type applyRequest struct {
	BaseRevision *uint64           `json:"base_revision"` // refuse if it is not current; left out: whatever is
	DryRun       bool              `json:"dry_run"`       // only check
	Domains      []state.DomainDoc `json:"domains"`
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
}

type configReply struct {
	Revision uint64            `json:"revision"`
	Domains  []state.DomainDoc `json:"domains"`
}

type historyReply struct {
	Revisions []RevisionInfo `json:"revisions"` // oldest first; the last is in force
}

// RevisionInfo is a config that was in force once.
type RevisionInfo struct {
	Revision uint64    `json:"revision"`
	At       time.Time `json:"at"`
	By       string    `json:"by"`
	Bytes    int       `json:"bytes"`
}

func (s *Server) applyConfig(w http.ResponseWriter, r *http.Request, by caller) error {
	b, err := readBody(w, r, media.MaxConfigBytes)
	if err != nil {
		return err
	}
	var req applyRequest
	decodeErr := decode(b, &req)
	doc := &state.Document{Domains: req.Domains}
	if err = state.JoinFaults(decodeErr, req.checkDomains(), doc.Validate()); err != nil {
		return err
	}
	base := state.AnyRevision
	if req.BaseRevision != nil {
		base = *req.BaseRevision
	}
	current := s.catchUp(r.Context()) == nil // so that changed is true of this request
	if req.DryRun {
		s.mark(w, current)
		return s.dryRun(w, base, doc)
	}
	before := s.deps.Configs.Config().Revision()
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	revision, err := s.deps.Configs.SetConfig(ctx, base, doc, by.name)
	if err != nil {
		return err
	}
	changed := revision != before
	s.deps.Log.Info("config was applied", slog.Uint64("revision", revision), slog.Bool("changed", changed),
		slog.String("by", by.name))
	writeJSON(w, http.StatusOK, applyReply{Revision: revision, Changed: changed})
	return nil
}

// dryRun answers as an apply would, up to asking the cluster.
func (s *Server) dryRun(w http.ResponseWriter, base uint64, doc *state.Document) error {
	cfg := s.deps.Configs.Config()
	if base != state.AnyRevision && base != cfg.Revision() {
		return &state.ConflictError{Base: base, Current: cfg.Revision()}
	}
	doc = doc.Normalize()
	doc.HashKeys(cfg, func() []byte { return make([]byte, state.KeySaltSize) }) // a new key differs by any salt
	b, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	current, _ := s.current()
	writeJSON(w, http.StatusOK, applyReply{
		Revision: cfg.Revision(), Changed: !bytes.Equal(b, current.Config), DryRun: true,
	})
	return nil
}

// current is the revision in force; false before the first.
func (s *Server) current() (state.Revision, bool) {
	h := s.deps.Configs.History()
	if len(h) == 0 {
		return state.Revision{}, false
	}
	return h[len(h)-1], true
}

func (s *Server) showConfig(w http.ResponseWriter, _ *http.Request, by caller) error {
	reply := configReply{Domains: []state.DomainDoc{}}
	if current, ok := s.current(); ok {
		doc, err := current.Document()
		if err != nil {
			return err
		}
		if by.role < roleAdmin {
			doc.RedactKeys()
		}
		reply.Revision, reply.Domains = current.Number, doc.Domains
	}
	writeJSON(w, http.StatusOK, reply)
	return nil
}

func (s *Server) showHistory(w http.ResponseWriter, _ *http.Request, _ caller) error {
	reply := historyReply{Revisions: []RevisionInfo{}}
	for _, r := range s.deps.Configs.History() {
		reply.Revisions = append(reply.Revisions, RevisionInfo{
			Revision: r.Number, At: time.UnixMilli(r.AtUnixMS).UTC(), By: r.By, Bytes: len(r.Config),
		})
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
