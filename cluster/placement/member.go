package placement

import "time"

// Member is a node of the cluster as another one sees it.
type Member struct {
	ID      string
	Region  string // "" is a region too: that of the nodes that name none
	Edge    bool   // it has the role
	Healthy bool   // nobody doubts that it lives
	Load    uint8  // 0 idle .. 255 full, as it says itself
	RTT     time.Duration
}

// Path is the way to a node, and how busy that is.
type Path struct {
	RTT  time.Duration // 0: not known
	Loss float64       // of what was sent, 0 to 1; 0 where it is not known
	Load uint8         // 0 idle .. 255 full
}
