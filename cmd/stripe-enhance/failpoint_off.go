//go:build !failpoint || !unix

package main

// arm does nothing here: only tests want a program that dies (failpoint.go).
func (p *program) arm() {}
