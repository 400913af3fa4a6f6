// Package pki makes and checks the certificates by which the nodes of a cluster
// know each other. There is one CA a cluster, kept by the operator; each node
// has a certificate that names it, and its roles, by URI:
//
//	tmms://node/NAME
//	tmms://role/origin    takes pushes, owns streams, may vote
//	tmms://role/edge      serves viewers
//	tmms://role/client    reserved for programs that are no node
//
// An issuer is a CA that the cluster's CA has signed, for origins to give
// certificates to new nodes (see [Request]). It is in the CA file like any other, lives
// a year, and its own certificate says which roles it may give: tmms://issues/ROLE.
//
// A peer is accepted if its certificate comes from the cluster's CA, is valid
// now, names one node, has a known role and is not revoked. Host names and addresses play no
// part: a node keeps its certificate when it moves.
//
// Keys are ECDSA P-256. A CA lives 10 years, a node's certificate one; both
// begin an hour early, for clocks that are behind. A CA file may hold several
// certificates: while a CA is being replaced, nodes trust the old and the new.
package pki
