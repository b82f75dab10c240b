// Package priority carries the class of a piece of work from the engine, which knows for
// whom it works, to the limiters of requests, which decide who waits.
//
// It is a value of the context because the two do not know each other, and because all
// requests that are made for one customer, retries and looks before a create included,
// have to be of the class of that customer.
package priority

import "context"

// Class is how urgent the requests under a context are. A class that is smaller goes
// first. The zero value is Normal, so that a context without a class has one that
// neither passes the customers who have just paid nor waits for a sweep.
type Class int

const (
	// Urgent gives to a customer who has paid: create, resume, a larger plan.
	Urgent Class = iota - 1
	// Normal is owed to the rest: names, invitations, metadata, checks of the evidence.
	Normal
	// Bulk reads everything: sweeps, listings of all orgs, the look for drift.
	Bulk
)

// Classes are all of them, the most urgent first.
var Classes = [...]Class{Urgent, Normal, Bulk}

func (c Class) String() string {
	switch c {
	case Urgent:
		return "urgent"
	case Normal:
		return "normal"
	case Bulk:
		return "bulk"
	}
	return "unknown"
}

type key struct{}

// With makes everything that is done under the context of the class, whatever class the
// context had.
func With(ctx context.Context, c Class) context.Context {
	return context.WithValue(ctx, key{}, c)
}

// WithDefault is With, unless the context has a class already. It is for a function whose
// work is of one class, except when its caller needs the answer sooner.
func WithDefault(ctx context.Context, c Class) context.Context {
	if _, has := ctx.Value(key{}).(Class); has {
		return ctx
	}
	return With(ctx, c)
}

// Of is the class of a context. It is Normal if the context has none, or one that does not
// exist.
func Of(ctx context.Context) Class {
	if c, has := ctx.Value(key{}).(Class); has && Urgent <= c && c <= Bulk {
		return c
	}
	return Normal
}
