//go:build !linux

package main

// withoutCore does nothing here: these systems write a core only if an operator asks for it.
func withoutCore() {}
