// Package reactor runs non-blocking TCP connections on a few event loops: one
// locked OS thread, one epoll, one timing wheel and one slab of connections a
// loop, so that the goroutines of a node are O(loops) whatever its viewers.
//
// A connection lives on one loop. Everything about it, [Conn] and the callbacks
// of its [Protocol], happens on that loop's thread and must not block. The only
// ways in from other goroutines are [Loop.Post], [Loop.Stats] and the methods
// of [Reactor]; [Conn.ID] and [Loop.Conn] let a posted function find a
// connection that may have gone.
//
// A turn of a loop, in this order: wait -> now once -> readable and writable
// sockets -> mailbox -> timing wheel -> OnTick hooks -> close the condemned ->
// record the turn's duration. DESIGN.md beside this file tells why.
//
// Only Linux is supported; elsewhere [New] returns [ErrUnsupportedOS].
package reactor
