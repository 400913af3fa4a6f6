// Package admin is the operator's port of a node: the HTTP API under /api/v1,
// the console at /, /metrics, /healthz and /readyz.
//
// It holds no state of its own. What it shows comes from the small interfaces
// in [Deps]; what it changes goes to the cluster's config. The OpenAPI document
// at /api/v1/openapi.json is made from the same route table that serves.
//
// A browser on the operator's machine is the threat that loopback alone does
// not stop, so Host and Origin are checked and there is no CORS.
package admin
