// Package faults is a cluster of real processes, each in a network namespace of its
// own, that is watched while it is broken: nodes are killed and stopped, ways
// between them cut, disks filled, slowed down and damaged, clocks moved.
//
//	       world: publishers, viewers
//	         |
//	       switch, a bridge: cuts ways by nftables
//	|     |     |     |     |     |
//	o1    o2    o3    e1    e2    e3    and, on the way between two of
//	eu    eu    us    eu    eu    us    them, a link of bench/shape
//
// A [Case] breaks one thing and holds what publishers, viewers and operators see
// against the limits of limits.go; [Suite] runs cases, or faults at random from a
// seed. It needs root, "ip" and "nft"; some cases "mkfs.ext4".
package faults
