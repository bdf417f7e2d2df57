// Package tree knows which processes descend from a leader, and ends them all.
package tree

import (
	"syscall"
)

// Tree is everything that descends from one leader.
type Tree interface {
	// Brace is called right before the fork, and what it returns right after; no other fork happens between.
	Brace() (release func())
	// Attach is called once the leader runs.
	Attach(leader int)
	// Kill ends every member, those that called setsid included.
	Kill()
	// Signal reaches every member that is alive now.
	Signal(signal syscall.Signal)
	// Pids lists the living members.
	Pids() []int
	// Alive says whether any member lives.
	Alive() bool
	// Remove frees what the tree holds; to be called when nothing lives.
	Remove()
}

// Forest makes trees.
type Forest interface {
	// Plant prepares a tree; attr is what the leader will be started with.
	Plant(attr *syscall.SysProcAttr) (Tree, error)
	// Kind is "cgroup" or "best-effort".
	Kind() string
	// Sweep retries what could not be freed before; called whenever a process has ended.
	Sweep()
}
