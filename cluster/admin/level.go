package admin

import (
	"context"
	"log/slog"
	"net/http"

	"tmms/media"
)

// featureBody asks for a feature level.
type featureBody struct {
	Level int `json:"level"`
}

// leaderBody names who is to lead, or leads; empty: any voter that answers.
type leaderBody struct {
	Name string `json:"name"`
}

func (s *Server) showFeatures(w http.ResponseWriter, r *http.Request, _ caller) error {
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	levels, err := s.deps.Group.Levels(ctx)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, levels)
	return nil
}

func (s *Server) raiseFeatures(w http.ResponseWriter, r *http.Request, by caller) error {
	b, err := readBody(w, r, media.MaxAdminBody)
	if err != nil {
		return err
	}
	var body featureBody
	if err = decode(b, &body); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	levels, err := s.deps.Group.RaiseLevel(ctx, body.Level)
	if err != nil {
		return err
	}
	s.deps.Log.Info("the feature level was raised", slog.Int("level", levels.Level), slog.String("by", by.name))
	writeJSON(w, http.StatusOK, levels)
	return nil
}

func (s *Server) transfer(w http.ResponseWriter, r *http.Request, by caller) error {
	b, err := readBody(w, r, media.MaxAdminBody)
	if err != nil {
		return err
	}
	var body leaderBody
	if err = decode(b, &body); err != nil {
		return err
	}
	if len(body.Name) > media.MaxName {
		return refuse(http.StatusBadRequest, "invalid", "name has %d bytes, the limit is %d", len(body.Name), media.MaxName)
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	name, err := s.deps.Group.Transfer(ctx, body.Name)
	if err != nil {
		return err
	}
	s.deps.Log.Info("the leadership was handed over", slog.String("node", name), slog.String("by", by.name))
	writeJSON(w, http.StatusOK, leaderBody{Name: name})
	return nil
}
