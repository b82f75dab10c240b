// Package tiny is examined by the tests of package guards.
package tiny

import "errors"

// Price is guarded twice: its tests miss one of the guards.
func Price(n int) int {
	if n < 0 { // tested
		return 0
	}
	if n > 100 { // taken in a test that looks at nothing
		n = 100
	}
	if n == 77 { // no test comes here
		n = 7
	}
	return 2 * n
}

// Half has an else, of which both sides are tested.
func Half(n int) string {
	if even := n%2 == 0; even {
		return "even"
	} else {
		return "odd"
	}
}

// Size is a switch without a tag.
func Size(n int) string {
	switch {
	case n > 10, n < -10:
		return "large"
	case n == 0:
		return "none"
	}
	return "small"
}

var errOdd = errors.New("odd")

// Check propagates.
func Check(n int) error {
	if err := odd(n); err != nil {
		return err
	}
	return nil
}

func odd(n int) error {
	if Half(n) == "odd" {
		return errOdd
	}
	return nil
}

// Wait never returns when its guard is taken away.
func Wait(ready bool) {
	for {
		if ready {
			return
		}
	}
}

// Both has two operands, of which one is tested.
func Both(a, b bool) bool {
	if a && b {
		return true
	}
	return false
}
