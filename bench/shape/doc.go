// Package shape is a link between two network namespaces with the delay, the
// jitter, the losses, the rate and the queue that it is given, and that change
// while it runs:
//
//	namespace A                                                        namespace B
//	  TUN device --read--> queue -> bottleneck -> loss -> delay --write--> TUN device
//	             <--write-- delay <- loss <- bottleneck <- queue <--read--
//
// A [Line] is one direction: what happens to a packet and when, with the time as
// a parameter and no I/O. A [Link] is two of them between two devices, driven by
// one thread. A [Process] is a link in a process of its own, all of whose threads
// have real-time priority: on a busy machine it is late by tens of microseconds,
// and hardly ever by a millisecond. It needs root, "ip" and /dev/net/tun.
package shape
