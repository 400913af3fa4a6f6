// Package layout enforces the arrows between the packages and the shape of the
// tree; it consists of tests.
//
//	cmd -> origin, edge -> cluster -> media -> std
//
// origin and edge never import each other, bench is a stranger that speaks only
// media, and what is pure (media, cluster/state, cluster/placement, cluster/verdict,
// edge/timewheel) has no I/O, lock, log, clock or goroutine.
package layout
