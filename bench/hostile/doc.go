// Package hostile attacks a server's public ports as strangers do: by too many
// connections, by slow or silent ones, by bytes that no honest client sends.
//
// Each [Case] is bounded by its number of connections, its rate and the time it
// is given. It reports what it did; what the server made of it, and of its
// healthy viewers meanwhile, is for the caller to see.
package hostile
