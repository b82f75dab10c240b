//go:build !linux

package main

// withoutCore: elsewhere no core is written unless somebody asks for it.
func withoutCore() {}
