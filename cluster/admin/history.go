package admin

import (
	"bytes"
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"tmms/cluster/state"
	"tmms/media"
)

type historyReply struct {
	Revisions []RevisionInfo `json:"revisions"` // oldest first; the last is in force
}

// RevisionInfo is a config that was in force once.
type RevisionInfo struct {
	Revision uint64    `json:"revision"`
	At       time.Time `json:"at"`
	By       string    `json:"by"`
	Bytes    int       `json:"bytes"`
	// Summary is what it changed; "" if the revision before is not kept.
	Summary string `json:"summary,omitempty"`
	// SameAs is an earlier revision with the same content, which was rolled back to.
	SameAs uint64 `json:"same_as,omitempty"`
}

func (s *Server) showHistory(w http.ResponseWriter, _ *http.Request, _ caller) error {
	reply := historyReply{Revisions: []RevisionInfo{}}
	history := s.deps.Configs.History()
	summaries, err := s.summaries.of(history)
	if err != nil {
		return err
	}
	for i, r := range history {
		reply.Revisions = append(reply.Revisions, RevisionInfo{
			Revision: r.Number, At: time.UnixMilli(r.AtUnixMS).UTC(), By: r.By, Bytes: len(r.Config),
			Summary: summaries[i], SameAs: sameAs(history[:i], r),
		})
	}
	writeJSON(w, http.StatusOK, reply)
	return nil
}

// sameAs is the latest of the earlier revisions with that content; 0: none.
func sameAs(earlier []state.Revision, r state.Revision) uint64 {
	for _, e := range slices.Backward(earlier) {
		if bytes.Equal(e.Config, r.Config) {
			return e.Number
		}
	}
	return 0
}

// summaries remembers what revisions changed: to find out takes reading both.
type summaries struct {
	mu    sync.Mutex
	known map[revisionID]string // guarded by mu; of the revisions that are kept
}

// revisionID tells a revision from one of its number before a backup was restored.
type revisionID struct {
	number   uint64
	at, from int64 // when it was made, and the one before; unix ms
}

// of gives the summary of each revision, "" where the one before is not kept.
func (m *summaries) of(history []state.Revision) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	list, known := make([]string, len(history)), make(map[revisionID]string, len(history))
	for i, r := range history {
		before, ok := predecessor(history, i)
		if !ok {
			continue
		}
		id := revisionID{r.Number, r.AtUnixMS, before.AtUnixMS}
		text, found := m.known[id]
		if !found {
			d, err := compare(before, kept{r})
			if err != nil {
				return nil, err
			}
			text = d.Summary()
		}
		list[i], known[id] = text, text
	}
	m.known = known
	return list, nil
}

// predecessor is the revision before number i; what was before the first is empty.
func predecessor(history []state.Revision, i int) (k kept, ok bool) {
	if i > 0 {
		return kept{history[i-1]}, true
	}
	return kept{}, history[0].Number == 1
}

func compare(old, now kept) (*state.Diff, error) {
	before, err := old.orEmpty()
	if err != nil {
		return nil, err
	}
	after, err := now.orEmpty()
	if err != nil {
		return nil, err
	}
	return state.Compare(before, after), nil
}

// diffOf is what a revision changed; nil if it, or the one before, is not here.
func (s *Server) diffOf(revision uint64) (*state.Diff, error) {
	history := s.deps.Configs.History()
	i := slices.IndexFunc(history, func(r state.Revision) bool { return r.Number == revision })
	if i < 0 {
		return nil, nil //nolint:nilnil // it is left out
	}
	before, ok := predecessor(history, i)
	if !ok {
		return nil, nil //nolint:nilnil // it is left out
	}
	return compare(before, kept{history[i]})
}

// rollbackRequest asks for the content of an earlier revision.
type rollbackRequest struct {
	Revision     *uint64 `json:"revision"`
	BaseRevision *uint64 `json:"base_revision"` // refuse if it is not current; left out: whatever is
	DryRun       bool    `json:"dry_run"`       // only check
}

// rollback puts the content of an earlier revision in force, as a new one.
func (s *Server) rollback(w http.ResponseWriter, r *http.Request, by caller) error {
	allowTime(w)
	b, err := readBody(w, r, media.MaxAdminBody)
	if err != nil {
		return err
	}
	var req rollbackRequest
	if err = decode(b, &req); err != nil {
		return err
	}
	if req.Revision == nil {
		return &state.FaultsError{Faults: []state.Fault{{Path: "revision", Rule: "is missing"}}}
	}
	behind := s.catchUp(r.Context())
	old, err := s.revision(*req.Revision)
	if err != nil {
		return cmp.Or(behind, err) // it may be one that has come since
	}
	doc, err := old.Document()
	if err != nil {
		return err
	}
	reply, err := s.realize(w, r, intent{doc: doc, base: req.BaseRevision, dryRun: req.DryRun, by: by})
	if err != nil {
		return fmt.Errorf("revision %d: %w", *req.Revision, err)
	}
	if !req.DryRun {
		s.deps.Log.Info("config was rolled back", slog.Uint64("revision", reply.Revision),
			slog.Uint64("to", *req.Revision), slog.String("by", by.name))
	}
	writeJSON(w, http.StatusOK, reply)
	return nil
}

// revision finds a revision that is kept.
func (s *Server) revision(number uint64) (state.Revision, error) {
	history := s.deps.Configs.History()
	if len(history) == 0 {
		return state.Revision{}, refuse(http.StatusNotFound, "not_found",
			"there is no revision %d: no config was applied yet", number)
	}
	oldest, last := history[0].Number, history[len(history)-1].Number
	switch {
	case number > last || number == 0:
		return state.Revision{}, refuse(http.StatusNotFound, "not_found", "there is no revision %d: the last is %d",
			number, last)
	case number < oldest:
		return state.Revision{}, refuse(http.StatusNotFound, "not_kept", "revision %d is not kept any more: %d to %d are",
			number, oldest, last)
	}
	i := slices.IndexFunc(history, func(r state.Revision) bool { return r.Number == number })
	return history[max(i, 0)], nil
}
