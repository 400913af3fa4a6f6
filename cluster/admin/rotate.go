package admin

import (
	"context"
	"log/slog"
	"net/http"

	"tmms/media"
)

// rotateRequest asks for a new key of the gossip.
type rotateRequest struct {
	// SkipAbsent leaves out nodes that are known and not there; they have to be
	// given the new key by hand.
	SkipAbsent bool `json:"skip_absent"`
}

func (s *Server) rotateKey(w http.ResponseWriter, r *http.Request, by caller) error {
	b, err := readBody(w, r, media.MaxAdminBody)
	if err != nil {
		return err
	}
	var req rotateRequest
	if err = decode(b, &req); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	report, err := s.deps.Keys.RotateGossipKey(ctx, req.SkipAbsent)
	if err != nil {
		return err
	}
	s.deps.Log.Info("the gossip's key was rotated", slog.Int("nodes", len(report.Nodes)),
		slog.Any("skipped", report.Skipped), slog.String("by", by.name))
	writeJSON(w, http.StatusOK, report)
	return nil
}
