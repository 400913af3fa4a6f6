// Package verdict decides which nodes are dead. It has no clock, no lock and does
// no I/O: times are durations since any origin that its user keeps to.
//
// There are two ways to be found dead. The slow one is the lease: a node that has
// not renewed it for a term. The fast one is silence: the node that judges has
// heard nothing from it over the fabric for [Silence], another node that had heard
// it before says the same, and nobody says that media has come from it within
// [MediaVeto]. All edges are asked before, round after round ([Court.Round]); the
// verdict waits for the last of them, [CircleLimit] at most.
//
// A verdict is evidence, not safety: that comes from epochs. A node that is taken
// for dead and lives loses its streams to others, in epochs above its own, and
// nothing else happens.
//
// Only what is heard while the judge itself runs counts. After a gap between two
// of its ticks ([Court.Tick]) everybody begins anew: a full lease, no silence, no
// reports.
package verdict
