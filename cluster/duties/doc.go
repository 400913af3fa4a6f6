// Package duties is what the leader of a cluster decides: whose streams go to whom
// when nodes die, which orphans are given up, which streams get a standby. It is
// pure: it reads a copy of the state and the court's verdicts, and gives the
// commands that are to be replicated. Package consensus runs it with clocks, locks
// and disks, package sim without.
package duties
