// Package lab runs a server, publishers and viewers as processes of their own,
// each on the processor that it is given, and charges the server for what it
// used while the viewers counted.
package lab
