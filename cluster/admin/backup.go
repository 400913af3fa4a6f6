package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"

	"tmms/cluster/member"
	"tmms/media"
)

// bytesType is the media type of a backup.
const bytesType = "application/octet-stream"

// restoreReply says what a backup has brought. Streams that are live go on.
type restoreReply struct {
	Revision    uint64 `json:"revision"`    // of the config in force
	Changed     bool   `json:"changed"`     // it is another one than before
	Revisions   int    `json:"revisions"`   // of the config, that were brought
	Streams     int    `json:"streams"`     // that nobody has and that wait for a publisher
	Nodes       int    `json:"nodes"`       // that were not known
	Revocations int    `json:"revocations"` // in force now
	Level       int    `json:"level"`       // the feature level
	// Whole is false if the backup was too long for the log, and streams and old
	// revisions were left out.
	Whole bool `json:"whole"`
}

// takeSnapshot makes this node write a snapshot of its raft log.
func (s *Server) takeSnapshot(w http.ResponseWriter, r *http.Request, by caller) error {
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	info, err := s.deps.Group.Snapshot(ctx)
	if err != nil {
		return err
	}
	s.deps.Log.Info("a snapshot was written", slog.Uint64("index", info.Index), slog.String("by", by.name))
	writeJSON(w, http.StatusOK, info)
	return nil
}

// sendBackup sends the whole replicated state, hashes of publish keys and all.
func (s *Server) sendBackup(w http.ResponseWriter, _ *http.Request, by caller) error {
	b, err := s.deps.Group.Backup()
	if err != nil {
		return err
	}
	if len(b) > media.MaxBackupBytes {
		return fmt.Errorf("admin: the state has %d bytes, the limit of a backup is %d", len(b), media.MaxBackupBytes)
	}
	s.deps.Log.Info("a backup was taken", slog.Int("bytes", len(b)), slog.String("by", by.name))
	h := w.Header()
	h.Set("Content-Type", bytesType)
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(b) // a client that went away is nobody's concern
	return nil
}

func (s *Server) restore(w http.ResponseWriter, r *http.Request, by caller) error {
	foreign, err := flagOf(r, "foreign")
	if err != nil {
		return err
	}
	b, err := readBytes(w, r, media.MaxBackupBytes)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	if err = s.awaitCurrent(ctx); err != nil { // whether the backup is of this cluster a copy that is empty can't tell
		return err
	}
	got, err := s.deps.Group.Restore(ctx, b, member.RestoreOptions{By: by.name, Foreign: foreign})
	if err != nil {
		return err
	}
	s.deps.Log.Warn("a backup was restored", slog.Uint64("revision", got.Revision), slog.Int("streams", got.Streams),
		slog.Int("nodes", got.Nodes), slog.String("by", by.name))
	writeJSON(w, http.StatusOK, restoreReply{
		Revision: got.Revision, Changed: got.Changed, Revisions: got.Revisions, Streams: got.Streams, Nodes: got.Nodes,
		Revocations: got.Revocations, Level: got.Level, Whole: got.Whole,
	})
	return nil
}

// flagOf reads a query parameter that is true, false or not there.
func flagOf(r *http.Request, name string) (bool, error) {
	switch v := r.URL.Query().Get(name); v {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, refuse(http.StatusBadRequest, "invalid", "%s is %.32q, it must be true or false", name, v)
	}
}

// readBytes reads a body that is not JSON, of at most limit bytes.
func readBytes(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != bytesType {
		return nil, refuse(http.StatusUnsupportedMediaType, "media_type",
			"Content-Type is %.64q, it must be %s", r.Header.Get("Content-Type"), bytesType)
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return nil, err
		}
		return nil, refuse(http.StatusBadRequest, "body", "the body cannot be read: %s", err)
	}
	return b, nil
}
