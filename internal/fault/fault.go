// Package fault names what an error demands of the caller.
//
// An error is classified once, at the edge where the answer is seen, and every later
// decision asks only for the kind: errors.Is(err, fault.Throttled) holds through any
// wrapping. A kind does not assign blame; it names the possible next step. The zero value
// is invalid, so if a classification is forgotten the kind is Unknown and never "try
// again".
package fault

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
)

// Kind is what an error demands. Kinds are errors themselves.
type Kind uint8

const (
	// Transient: the other side or the way to it is in trouble; the same call
	// may work later. Never counted against the customer it happened to.
	Transient Kind = iota + 1
	// Throttled: too fast; slow down, then the same call may work.
	Throttled
	// Conflict: the world differs from the caller's picture of it; look again, plan again.
	Conflict
	// Permanent: the same call will fail again until a person changes something.
	Permanent
	// Denied: the credential is refused; no call to that side makes sense now.
	Denied
	// NotFound: the other side answered, clearly and in its own words, that this one object
	// does not exist. No other error is turned into NotFound.
	NotFound
	// Ambiguous: a write was sent and its outcome is unknown. Look before sending it again.
	Ambiguous
	// Malformed: an answer contradicts the documentation, such as a page without its end
	// marker. Nothing may be concluded from it.
	Malformed
	// Canceled: we stopped it ourselves.
	Canceled
	// Fenced: this process is no longer the writer; stop, write nothing more.
	Fenced
	// Unknown: none of the above could be established.
	Unknown
)

var names = map[Kind]string{
	Transient: "transient", Throttled: "throttled", Conflict: "conflict",
	Permanent: "permanent", Denied: "denied", NotFound: "not found",
	Ambiguous: "ambiguous", Malformed: "malformed", Canceled: "canceled",
	Fenced: "fenced", Unknown: "unknown",
}

// String is the kind in lower case, as it appears in logs.
func (k Kind) String() string {
	if s, ok := names[k]; ok {
		return s
	}
	return fmt.Sprintf("fault(%d)", uint8(k))
}

// Error makes a Kind usable as a target of errors.Is.
func (k Kind) Error() string { return k.String() }

// Wrap gives err a kind. The text stays err's own. A nil err stays nil.
func Wrap(k Kind, err error) error {
	if err == nil {
		return nil
	}
	return &classified{kind: k, err: err}
}

// Errorf is Wrap around fmt.Errorf.
func Errorf(k Kind, format string, args ...any) error {
	return &classified{kind: k, err: fmt.Errorf(format, args...)}
}

// Of returns the outermost kind in err's chain, and Unknown when there is none
// or err is nil. The outermost wins because the edge that saw the whole call
// knows more than the transport beneath it.
func Of(err error) Kind {
	var c *classified
	if errors.As(err, &c) {
		return c.kind
	}
	var k Kind
	if errors.As(err, &k) {
		return k
	}
	return Unknown
}

// LeftAlone adds to an error, beside its kind, that nothing was sent because the side is
// left alone for a while after earlier calls. It is no statement about this call's purpose.
var LeftAlone = errors.New("not sent, the side is left alone")

// Unsent marks an error as LeftAlone. The text and the kind stay err's own.
func Unsent(err error) error {
	if err == nil {
		return nil
	}
	return unsent{err}
}

type unsent struct{ error }

func (u unsent) Unwrap() error        { return u.error }
func (u unsent) Is(target error) bool { return target == LeftAlone }

type classified struct {
	kind Kind
	err  error
}

func (c *classified) Error() string { return c.err.Error() }
func (c *classified) Unwrap() error { return c.err }

// Is matches only the kind itself, so that a NotFound below a wrapping Conflict
// is still found by errors.Is while Of answers Conflict.
func (c *classified) Is(target error) bool {
	k, ok := target.(Kind)
	return ok && k == c.kind
}

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
