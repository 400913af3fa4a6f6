package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"tmms/cluster/consensus"
	"tmms/cluster/gossip"
	"tmms/cluster/member"
	"tmms/cluster/state"
)

// ErrorInfo is what every refusal of the API says.
type ErrorInfo struct {
	Code    string        `json:"code"` // for programs: "invalid", "conflict", ...
	Message string        `json:"message"`
	Faults  []state.Fault `json:"faults,omitempty"`
}

// errorReply is the body of every refusal.
type errorReply struct {
	Error ErrorInfo `json:"error"`
}

// apiError is a refusal with its HTTP status.
type apiError struct {
	status int
	info   ErrorInfo
}

// Error gives the message.
func (e *apiError) Error() string { return e.info.Message }

func refuse(status int, code, format string, args ...any) *apiError {
	return &apiError{status: status, info: ErrorInfo{Code: code, Message: fmt.Sprintf(format, args...)}}
}

// asAPIError finds the status of an error from below.
func asAPIError(err error) *apiError {
	var api *apiError
	var faults *state.FaultsError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &api):
		return api
	case errors.As(err, &faults):
		e := refuse(http.StatusUnprocessableEntity, "invalid", "%d faults", len(faults.Faults))
		e.info.Faults = faults.Faults
		return e
	case errors.As(err, &tooLarge):
		return refuse(http.StatusRequestEntityTooLarge, "too_large", "the limit is %d bytes", tooLarge.Limit)
	case errors.Is(err, state.ErrUnknownNode):
		return refuse(http.StatusNotFound, "not_found", "%s", err)
	case errors.Is(err, state.ErrConflict), errors.Is(err, gossip.ErrRotating):
		return refuse(http.StatusConflict, "conflict", "%s", err)
	case errors.Is(err, state.ErrToken):
		return refuse(http.StatusConflict, "token", "%s", err)
	case errors.Is(err, consensus.ErrQuorum):
		return refuse(http.StatusConflict, "quorum", "%s", err)
	case errors.Is(err, member.ErrLevel):
		return refuse(http.StatusConflict, "feature_level", "%s", err)
	case errors.Is(err, consensus.ErrTransfer):
		return refuse(http.StatusServiceUnavailable, "not_transferred", "%s", err)
	case errors.Is(err, member.ErrInvalid):
		return refuse(http.StatusBadRequest, "invalid", "%s", err)
	case errors.Is(err, gossip.ErrRotationStopped):
		return refuse(http.StatusServiceUnavailable, "stopped", "%s", err)
	case errors.Is(err, member.ErrForbidden):
		return refuse(http.StatusForbidden, "forbidden", "%s; ask a node with the role origin", err)
	case errors.Is(err, member.ErrNotLeader), errors.Is(err, member.ErrStopped), errors.Is(err, member.ErrUncertain),
		errors.Is(err, member.ErrLeaseLapsed), errors.Is(err, context.DeadlineExceeded):
		return refuse(http.StatusServiceUnavailable, "unavailable", "%s", err)
	}
	return refuse(http.StatusInternalServerError, "internal", "%s", err)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"error":{"code":"internal","message":"encoding failed"}}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a client that went away is nobody's concern
}

func writeError(w http.ResponseWriter, err error) {
	e := asAPIError(err)
	if e.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="tmms"`)
	}
	writeJSON(w, e.status, errorReply{Error: e.info})
}

// readBody reads a JSON body of at most limit bytes.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if ct := r.Header.Get("Content-Type"); !isJSON(ct) {
		return nil, refuse(http.StatusUnsupportedMediaType, "media_type",
			"Content-Type is %.64q, it must be application/json", ct)
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
