package enroll

import (
	"encoding/json"
	"errors"
	"fmt"

	"tmms/media"
)

// version is that of requests.
const version = 1

// maxRoles bounds the roles of a request; there are two.
const maxRoles = 4

// request is what a node without a certificate sends.
type request struct {
	Version int      `json:"v"`
	Token   string   `json:"token"`  // its id
	Secret  []byte   `json:"secret"` // of the token
	Node    string   `json:"node"`
	Roles   []string `json:"roles"`
	Region  string   `json:"region,omitempty"`
	CSR     []byte   `json:"csr"` // DER
}

// answer is what it gets: Fault, or the rest.
type answer struct {
	Fault *fault `json:"error,omitempty"`

	Certificate []byte   `json:"certificate,omitempty"` // PEM
	CA          []byte   `json:"ca,omitempty"`          // PEM, one or more
	GossipKeys  [][]byte `json:"gossip_keys,omitempty"`
}

type fault struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Codes of faults.
const (
	codeRefused  = "refused"   // asking again, here or elsewhere, is in vain
	codeNoIssuer = "no_issuer" // another origin may
	codeBusy     = "busy"      // later
)

var errRequest = errors.New("the request is not understood")

// decodeRequest never shows what it has read: there is a secret in it.
func decodeRequest(b []byte) (r request, err error) {
	if len(b) > media.MaxJoinRequest {
		return r, fmt.Errorf("%w: %d bytes, the limit is %d", errRequest, len(b), media.MaxJoinRequest)
	}
	if json.Unmarshal(b, &r) != nil { // fields of a later release are passed over
		return r, errRequest
	}
	switch {
	case r.Version != version:
		return r, fmt.Errorf("%w: version %d, this node knows %d", errRequest, r.Version, version)
	case len(r.Secret) != media.JoinTokenSecret:
		return r, fmt.Errorf("%w: a secret of %d bytes, want %d", errRequest, len(r.Secret), media.JoinTokenSecret)
	case len(r.Token) > 2*media.JoinTokenID || len(r.Node) > media.MaxNodeName || len(r.Region) > media.MaxPlace ||
		len(r.Roles) > maxRoles:
		return r, fmt.Errorf(
			"%w: token id, name, region and roles are %d, %d, %d bytes and %d, the limits are %d, %d, %d and %d",
			errRequest, len(r.Token), len(r.Node), len(r.Region), len(r.Roles),
			2*media.JoinTokenID, media.MaxNodeName, media.MaxPlace, maxRoles)
	}
	return r, nil
}

// encode gives the answer's bytes; one that is too long is a fault.
func (a answer) encode() []byte {
	b, err := json.Marshal(a)
	if err == nil && len(b) <= media.MaxJoinAnswer {
		return b
	}
	return []byte(`{"error":{"code":"` + codeRefused + `","message":"the answer is too long"}}`)
}

func decodeAnswer(b []byte) (a answer, err error) {
	if err = json.Unmarshal(b, &a); err != nil {
		return a, fmt.Errorf("enroll: the answer is not understood: %w", err)
	}
	if a.Fault == nil && (len(a.Certificate) == 0 || len(a.CA) == 0 || len(a.GossipKeys) == 0 ||
		len(a.GossipKeys) > media.MaxGossipKeys) {
		return a, fmt.Errorf("enroll: an answer with a certificate of %d bytes, CAs of %d and %d keys of the gossip",
			len(a.Certificate), len(a.CA), len(a.GossipKeys))
	}
	return a, nil
}
