package fault

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
)

// Panic is a panic that was caught. Its text holds no customer's data: it has the runtime's
// own words and, for any other value, only the type. It may go into a log and a database.
type Panic struct {
	What string
	// Stack is where it happened, for the log: functions and lines, without values.
	Stack string
}

// Error is a sentence for the operator.
func (p *Panic) Error() string { return "internal error, please report: " + p.What }

// Guard calls f and turns a panic in it into an error, which is Permanent and a
// [*Panic]. Whatever looks at one customer, or answers one caller, is called through
// it: a mistake about one must not end the process, and with it the work for all
// others. In a goroutine nothing else can do so.
func Guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = Caught(v)
		}
	}()
	return f()
}

// Caught makes the error of a recovered value. It must be called by the deferred
// function itself, which still has the stack of the panic.
func Caught(v any) error {
	what := fmt.Sprintf("a panic with a %T", v)
	if err, ok := v.(runtime.Error); ok {
		what = err.Error()
	}
	return Wrap(Permanent, &Panic{What: what, Stack: string(debug.Stack())})
}

// StackOf is where the panic in err's chain happened; "" when there is none.
func StackOf(err error) string {
	var p *Panic
	if errors.As(err, &p) {
		return p.Stack
	}
	return ""
}
