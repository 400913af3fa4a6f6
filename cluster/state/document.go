package state

// Document is the config of domains and apps as a person writes it
// (domains.yaml). What is left out takes its default in [Document.Normalize].
type Document struct {
	Domains []DomainDoc `json:"domains" yaml:"domains"`
	// Regions say where clients are, by their addresses. It came with feature level 1.
	Regions []RegionDoc `json:"regions,omitempty" yaml:"regions,omitempty"`
}

// DomainDoc is one domain: its canonical name, the other names it goes by, and
// its apps. An alias may be a host name, an IP literal, "*.suffix", or "*" for
// every host that nothing else matches.
type DomainDoc struct {
	Name    string   `json:"name" yaml:"name"`
	Aliases []string `json:"aliases,omitempty" yaml:"aliases,omitempty"`
	Apps    []AppDoc `json:"apps" yaml:"apps"`
}

// AppDoc is one app of a domain. A nil field takes its default.
type AppDoc struct {
	Name        string       `json:"name" yaml:"name"`
	RTMP        *bool        `json:"rtmp,omitempty" yaml:"rtmp,omitempty"`
	FLV         *bool        `json:"flv,omitempty" yaml:"flv,omitempty"`
	HLS         *HLSDoc      `json:"hls,omitempty" yaml:"hls,omitempty"`
	Latency     *Duration    `json:"latency,omitempty" yaml:"latency,omitempty"`
	Flush       string       `json:"flush,omitempty" yaml:"flush,omitempty"`
	GOPCache    *GOPCacheDoc `json:"gop_cache,omitempty" yaml:"gop_cache,omitempty"`
	Grace       *Duration    `json:"grace,omitempty" yaml:"grace,omitempty"`
	IdleTimeout *Duration    `json:"idle_timeout,omitempty" yaml:"idle_timeout,omitempty"`
	BusyPolicy  BusyPolicy   `json:"busy_policy,omitempty" yaml:"busy_policy,omitempty"`
	Auth        *AuthDoc     `json:"auth,omitempty" yaml:"auth,omitempty"`

	// Names that DESIGN keeps for later; Validate refuses any value.
	ACL    any `json:"acl,omitempty" yaml:"acl,omitempty"`
	Limits any `json:"limits,omitempty" yaml:"limits,omitempty"`
}

// HLSDoc is the HLS part of an app.
type HLSDoc struct {
	Enabled    *bool     `json:"enabled,omitempty" yaml:"enabled,omitempty"`
	Segment    *Duration `json:"segment,omitempty" yaml:"segment,omitempty"`
	Window     *int      `json:"window,omitempty" yaml:"window,omitempty"`
	LowLatency bool      `json:"low_latency,omitempty" yaml:"low_latency,omitempty"`
	Part       *Duration `json:"part,omitempty" yaml:"part,omitempty"`
}

// GOPCacheDoc bounds what an app's streams keep for joining viewers.
type GOPCacheDoc struct {
	Bytes *ByteSize `json:"bytes,omitempty" yaml:"bytes,omitempty"`
	Time  *Duration `json:"time,omitempty" yaml:"time,omitempty"`
}

// AuthDoc says who may publish. Play, Tokens and Hooks are names kept for later.
type AuthDoc struct {
	Publish *PublishAuthDoc `json:"publish,omitempty" yaml:"publish,omitempty"`
	Play    any             `json:"play,omitempty" yaml:"play,omitempty"`
	Tokens  any             `json:"tokens,omitempty" yaml:"tokens,omitempty"`
	Hooks   any             `json:"hooks,omitempty" yaml:"hooks,omitempty"`
}

// PublishAuthDoc holds the publish keys, each plain or in the form that
// [HashKey] makes. Without a key the app is open to every publisher.
type PublishAuthDoc struct {
	Keys []string `json:"keys,omitempty" yaml:"keys,omitempty"`
}

// BusyPolicy decides what happens to a publisher of a stream that has one.
type BusyPolicy string

// The busy policies.
const (
	// BusyReject refuses the new publisher.
	BusyReject BusyPolicy = "reject"
	// BusyReplace lets the new publisher take over.
	BusyReplace BusyPolicy = "replace"
	// BusyReplaceSameToken lets the new publisher take over if the old one was
	// silent for 2 s or used the same key; no key never equals no key.
	BusyReplaceSameToken BusyPolicy = "replace_same_token"
)

// publishKeys gives the keys of an app; nil when it is open.
func (a *AppDoc) publishKeys() []string {
	if a.Auth == nil || a.Auth.Publish == nil {
		return nil
	}
	return a.Auth.Publish.Keys
}
