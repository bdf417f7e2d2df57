//go:build !race

package main

// slowdown stretches time lines where the race detector runs.
const slowdown = 1
