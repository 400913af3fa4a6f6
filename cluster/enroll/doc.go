// Package enroll gives certificates to nodes that have none, by join tokens, and renews
// them.
//
//	node                                              origin with the key of a CA
//	 | makes a key, which it keeps
//	 | session with the ALPN tmms-join/1:       -->    |  shows its certificate and the CA's
//	 | is that the CA that the token names?            |
//	 | {token's id and secret, name, roles, csr} -->   |  within the rate? the secret's hash in the state?
//	 |                                                 |  not ended, roles, region, name; the csr's signature
//	 |                                                 |  the cluster takes a use off the token (raft)
//	 | <-- {certificate, CAs, keys of the gossip}      |
//
// Whoever asks is a stranger until the secret is right, so what comes before costs a
// hash. Who waits for the cluster has shown a secret. An origin learns nothing from a
// token that it could not do itself; a stranger between both can neither read it nor
// stand in for the origin, since the token pins the CA.
//
// A node renews its certificate over its session for control, which the certificate
// itself opens: with the same name and roles, for a new key. Who is revoked has no
// session.
package enroll
