package admin

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"tmms/cluster/state"
	"tmms/media"
)

// JoinTokenInfo is a token by which nodes get certificates, without what is secret.
type JoinTokenInfo struct {
	ID         string    `json:"id"`
	Roles      []string  `json:"roles"`
	Region     string    `json:"region,omitempty"`
	NamePrefix string    `json:"name_prefix,omitempty"`
	Uses       int       `json:"uses"` // that are left
	At         time.Time `json:"at"`
	Until      time.Time `json:"until"`
	By         string    `json:"by,omitempty"`
	LastNode   string    `json:"last_node,omitempty"` // who came last by it
}

type joinTokensReply struct {
	Tokens []JoinTokenInfo `json:"tokens"` // by id
}

// joinTokenBody asks for a token whose secret only who asks knows.
type joinTokenBody struct {
	ID         string   `json:"id"`   // 10 hex digits, drawn at random
	Hash       string   `json:"hash"` // SHA-256 of the secret's 32 bytes, in hex
	Roles      []string `json:"roles"`
	Region     string   `json:"region,omitempty"`
	NamePrefix string   `json:"name_prefix,omitempty"`
	Uses       int      `json:"uses"`
	TTLSeconds int      `json:"ttl_seconds"`
}

// JoinTokenReply is the token in force, with what its text needs beside id and secret.
type JoinTokenReply struct {
	Token   JoinTokenInfo `json:"token"`
	Pin     string        `json:"pin"`
	Warning string        `json:"warning,omitempty"`
}

type droppedReply struct {
	ID string `json:"id"`
}

func joinTokenInfo(t state.JoinToken) JoinTokenInfo {
	return JoinTokenInfo{
		ID: t.ID, Roles: t.Roles, Region: t.Region, NamePrefix: t.NamePrefix, Uses: t.Uses, By: t.By, LastNode: t.LastNode,
		At: time.UnixMilli(t.AtUnixMS).UTC(), Until: time.UnixMilli(t.UntilUnixMS).UTC(),
	}
}

func (s *Server) listJoinTokens(w http.ResponseWriter, _ *http.Request, _ caller) error {
	reply := joinTokensReply{Tokens: []JoinTokenInfo{}}
	for _, t := range s.deps.Tokens.JoinTokens() {
		reply.Tokens = append(reply.Tokens, joinTokenInfo(t))
	}
	writeJSON(w, http.StatusOK, reply)
	return nil
}

func (s *Server) putJoinToken(w http.ResponseWriter, r *http.Request, by caller) error {
	b, err := readBody(w, r, media.MaxAdminBody)
	if err != nil {
		return err
	}
	var body joinTokenBody
	if err = decode(b, &body); err != nil {
		return err
	}
	info, err := s.deps.Tokens.JoinInfo()
	if err != nil {
		return err
	}
	if longest := int(media.MaxJoinTokenLife.Seconds()); body.TTLSeconds < 0 || body.TTLSeconds > longest {
		return refuse(http.StatusBadRequest, "invalid", "ttl_seconds is %d, the limits are %d and %d",
			body.TTLSeconds, int(media.MinJoinTokenLife.Seconds()), longest)
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	t, err := s.deps.Tokens.PutToken(ctx, state.JoinToken{
		ID: body.ID, Hash: body.Hash, Roles: body.Roles, Region: body.Region, NamePrefix: body.NamePrefix,
		Uses: body.Uses, By: by.name,
	}, (time.Duration(body.TTLSeconds) * time.Second).Milliseconds())
	if err != nil {
		return err
	}
	s.deps.Log.Info("a join token was made", slog.String("token", t.ID), slog.Any("roles", t.Roles),
		slog.Int("uses", t.Uses), slog.Time("until", time.UnixMilli(t.UntilUnixMS)), slog.String("by", by.name))
	writeJSON(w, http.StatusOK, JoinTokenReply{Token: joinTokenInfo(t), Pin: info.Pin, Warning: info.Issuers})
	return nil
}

func (s *Server) dropJoinToken(w http.ResponseWriter, r *http.Request, by caller) error {
	id := r.PathValue("id")
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	if err := s.deps.Tokens.DropToken(ctx, id); err != nil {
		return err
	}
	s.deps.Log.Info("a join token was revoked", slog.String("token", id), slog.String("by", by.name))
	writeJSON(w, http.StatusOK, droppedReply{id})
	return nil
}
