//go:build !failpoint || !unix

package app

import "time"

// Arm does nothing here: only tests need a program that dies (failpoint.go).
func Arm(_ []string, clock func() time.Time) (failpoint func(step, what string), now func() time.Time) {
	return nil, clock
}
