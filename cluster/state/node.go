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
	Level     int               `json:"level,omitempty"`  // the feature level that it knows, see RaiseLevel
	Issues    bool              `json:"issues,omitempty"` // it gives certificates to nodes with a token
	AtUnixMS  int64             `json:"at_unix_ms"`       // when the node said so
}

func (c UpsertNode) apply(s *State) (any, error) {
	s.nodes[c.Node.ID] = c.Node
	return nil, nil
}

// RemoveNode forgets a node; the streams that it owns become orphans, as with
// [ExpireNode]. The result is an [ExpireResult].
type RemoveNode struct {
	Node     string `json:"node"`
	AtUnixMS int64  `json:"at_unix_ms"`
}

func (RemoveNode) commandType() string { return "remove_node" }

func (c RemoveNode) apply(s *State) (any, error) {
	delete(s.nodes, c.Node)
	delete(s.drains, c.Node)
	return ExpireResult{Lost: s.disown(c.Node, s.epoch, c.AtUnixMS)}, nil
}

// Node gives the node with that id.
func (s *State) Node(id string) (Node, bool) {
	n, ok := s.nodes[id]
	return n, ok
}

// NodeCount is the number of nodes.
func (s *State) NodeCount() int { return len(s.nodes) }
