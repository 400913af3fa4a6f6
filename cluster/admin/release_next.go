//go:build next

package admin

import (
	"context"
	"net/http"

	"tmms/cluster/state"
	"tmms/media"
)

// notice is a text of the operators, which the release after this one puts up in
// tests of upgrades. See ADR 11.
type notice struct {
	Notice string `json:"notice"`
}

// laterRoutes are those that this release adds.
func (s *Server) laterRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/api/v1/notice", need: roleRead, summary: "What the operators have put up",
			state: true, reply: notice{}, handle: s.showNotice,
		},
		{
			method: http.MethodPut, path: "/api/v1/notice", need: roleAdmin, summary: "Put up a notice for all to see",
			request: notice{}, reply: notice{}, handle: s.putNotice,
		},
	}
}

// showNotice reads it from a backup, which saves the packages between this one and
// the state from knowing it.
func (s *Server) showNotice(w http.ResponseWriter, _ *http.Request, _ caller) error {
	b, err := s.deps.Group.Backup()
	if err != nil {
		return err
	}
	now := state.New()
	if err = now.Restore(b); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, notice{now.Notice()})
	return nil
}

func (s *Server) putNotice(w http.ResponseWriter, r *http.Request, _ caller) error {
	b, err := readBody(w, r, media.MaxAdminBody)
	if err != nil {
		return err
	}
	var body notice
	if err = decode(b, &body); err != nil {
		return err
	}
	group, ok := s.deps.Configs.(interface {
		Propose(ctx context.Context, c state.Command) (any, error)
	})
	if !ok {
		return refuse(http.StatusNotImplemented, "invalid", "this node takes no notice")
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	if _, err = group.Propose(ctx, state.SetNotice{Text: body.Notice}); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}
