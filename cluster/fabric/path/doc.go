// Package path carries QUIC packets between two nodes over a long path that
// loses some, so that QUIC does not notice: it is forward error correction and
// repetition below QUIC, without goroutine, lock or clock.
//
// quic-go has NewReno and no other: a connection that loses 1 % at a round trip
// of 100 ms carries 2 Mbit/s. Here the sender numbers its packets, the
// sources, and sends linear combinations of the last ones along, the repairs:
// as many of these as sources are missing give them back. It is a code
// over a sliding window and not over blocks, so that a single loss is repaired
// by the next repair, and a run by as many, whatever the borders. What repairs do not
// give soon is requested and sent once more. The receiver holds back what comes
// behind a gap for a while, since QUIC takes a packet for lost when three later
// ones have come; longer than that it does not, and QUIC undoes what it has
// concluded when the packet comes for all that.
//
//	sender                                     receiver
//	  | probe, of the largest size     -->       |  of a session that both know?
//	  |       <--  answer                        |
//	  | source, source, source, repair -->       |  in order to QUIC
//	  |       <--  request: what is missing for a quarter of a round trip
//	  | resend                         -->       |
//	  |       <--  report: each 100 ms           |
//
// [Controller] says when: on long paths on which media is sent, until one is
// proven to lose nothing. What a full queue drops is not taken for random loss:
// it does not make the code stronger, and QUIC is told by a mark (ECN, RFC 3168) or by
// leaving the packet lost.
package path
