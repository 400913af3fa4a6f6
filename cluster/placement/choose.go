package placement

// Candidate is a node that may be asked for a stream.
type Candidate struct {
	ID      string
	Self    bool // this node: it would ask the owner
	Barred  bool // it has failed just now
	Verdict Verdict
}

// Choose gives the candidate to ask: the first that is fit, else the first that is
// only overloaded, since an owner that all of a region's edges fall upon would be
// worse off; -1: none, the owner is asked. Both ways to ask the owner, -1 and this
// node itself, mean the same to the cluster.
func Choose(order []Candidate) int {
	busy := -1
	for i, c := range order {
		switch {
		case c.Barred:
		case c.Verdict == Fit:
			return i
		case c.Verdict == Overloaded && busy < 0:
			busy = i
		}
	}
	return busy
}
