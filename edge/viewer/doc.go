// Package viewer holds what the viewers' protocols share: how a request finds
// its app, how many viewers a node takes, and why they leave.
package viewer
