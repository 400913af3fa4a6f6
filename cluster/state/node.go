package state

// Node is what the cluster knows of a node; its health is not here.
type Node struct {
	ID        string            `json:"id"` // UUID, minted with the data folder
	Name      string            `json:"name"`
	Roles     []string          `json:"roles"` // "origin", "edge"
	Region    string            `json:"region,omitempty"`
	Zone      string            `json:"zone,omitempty"`
	Addresses map[string]string `json:"addresses,omitempty"` // "rtmp", "http", ... -> host:port; do not modify
	Version   string            `json:"version,omitempty"`
	AtUnixMS  int64             `json:"at_unix_ms"` // when the node said so
}

func (c UpsertNode) apply(s *State) (any, error) {
	s.nodes[c.Node.ID] = c.Node
	return nil, nil
}
