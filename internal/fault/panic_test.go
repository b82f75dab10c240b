package fault

import (
	"errors"
	"strings"
	"testing"
)

// TestAPanicIsAnErrorWithoutItsValue: the value of a panic may be a key or a customer's
// name.
func TestAPanicIsAnErrorWithoutItsValue(t *testing.T) {
	var none []int
	for name, c := range map[string]struct {
		do   func() error
		want string
	}{
		"a value":     {func() error { panic("CANARY") }, "internal error, please report: a panic with a string"},
		"an error":    {func() error { panic(errors.New("CANARY")) }, "internal error, please report: a panic with a *errors.errorString"},
		"the runtime": {func() error { _ = none[three()]; return nil }, "internal error, please report: runtime error: index out of range [3] with length 0"},
	} {
		err := Guard(c.do)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if Of(err) != Permanent {
			t.Errorf("%s is %s: a mistake in the program does not go away by itself", name, Of(err))
		}
		if stack := StackOf(err); !strings.Contains(stack, "panic_test.go") || strings.Contains(stack, "CANARY") {
			t.Errorf("%s: the stack lacks the place, or has the text of the panic:\n%s", name, stack)
		}
	}
}

func three() int { return 3 }

func TestWhatDoesNotPanicIsLeftAsItIs(t *testing.T) {
	refused := Errorf(Denied, "refused")
	if err := Guard(func() error { return refused }); !errors.Is(err, refused) || StackOf(err) != "" {
		t.Errorf("got %v", err)
	}
	if err := Guard(func() error { return nil }); err != nil {
		t.Error(err)
	}
}
