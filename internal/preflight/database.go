package preflight

import (
	"context"
	"errors"
	"fmt"
	"github.com/stripe-enhance/stripe-enhance/store"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
)

// database opens without migrating, because a preflight changes nothing.
func (x *check) database(ctx context.Context) {
	if x.wrong.Names("DATABASE_URL") {
		return
	}
	s, err := store.Open(ctx, store.Options{URL: x.Config.DatabaseURL, Look: true})
	if err != nil {
		toDo := "set DATABASE_URL to a place that can be written, or mend what the message names"
		var owner *store.OwnerError
		if errors.As(err, &owner) {
			toDo = x.place.AsOwner(owner)
		} else if x.Config.DatabaseFrom != config.SourceDefault && store.File(x.Config.DatabaseURL) == "" {
			toDo = "do what the message asks; DATABASE_URL is set " + x.Config.DatabaseFrom.String()
		}
		x.fail("database", err.Error(), toDo)
		return
	}
	x.durability(ctx, s)
	pending, err := s.Pending(ctx)
	switch {
	case err != nil:
		x.fail("database", err.Error(), seeMessage)
	case len(pending) > 0 && !x.Config.AutoMigrate:
		x.fail("database", report.Count(len(pending), "migration")+" missing", "run stripe-enhance migrate")
	case len(pending) > 0:
		version, err := s.Version(ctx)
		x.fresh = err == nil && version == 0
		x.ok("database", "%s; %s applied by the next run", x.whichDatabase(s), report.Count(len(pending), "migration"))
	default:
		x.Store = s
		x.upToDate(ctx, s)
		return
	}
	if err := s.Close(); err != nil {
		x.fail("database", err.Error(), seeMessage)
	}
}

// upToDate shows the size of the database, and whether a newer program has migrated it.
func (x *check) upToDate(ctx context.Context, s *store.Store) {
	size, err := s.Size(ctx)
	version := int64(0)
	if err == nil {
		version, err = s.Version(ctx)
	}
	state := "up to date"
	if version > store.Schema() {
		state = fmt.Sprintf("at version %d of a newer program, with which this one may work", version)
	}
	if err != nil {
		x.fail("database", err.Error(), seeMessage)
		return
	}
	x.ok("database", "%s, %s; %s bytes", x.whichDatabase(s), state, report.Number(int(size)))
}

// whichDatabase names a file by its whole path, and a database on a server by its kind alone.
func (x *check) whichDatabase(s *store.Store) string {
	return strings.TrimSpace(s.Dialect() + " " + store.File(x.Config.DatabaseURL))
}

// durability lists settings of the server with which a recorded intent may be lost.
func (x *check) durability(ctx context.Context, s *store.Store) {
	risks, err := s.Durability(ctx)
	if err != nil {
		x.fail("database", err.Error(), seeMessage)
	}
	for _, r := range risks {
		add := x.warn
		if r.Certain {
			add = x.fail
		}
		add("database "+r.Setting, r.Harm, r.Remedy)
	}
}

// waiting lists what the last runs left for a person.
func (x *check) waiting(ctx context.Context) {
	if x.Store == nil {
		return
	}
	plans, err := x.Store.Waiting(ctx)
	if err != nil {
		x.fail("plans", err.Error(), seeMessage)
		return
	}
	for _, p := range plans {
		x.warn("plans", fmt.Sprintf("%s × %s held for approval since %s: %s", report.Number(p.Size()), p.Kind, *report.Time(p.Created), p.Reason),
			"look: stripe-enhance plans "+p.ID+"; release exactly that: stripe-enhance approve "+p.ID)
	}
	runs, err := x.Store.Runs(ctx, 1)
	if err != nil {
		x.fail("last run", err.Error(), seeMessage)
		return
	}
	if len(runs) == 0 {
		return
	}
	switch last := runs[0]; {
	case last.Error != "":
		x.warn("last run", last.ID+" failed: "+last.Error, "stripe-enhance reconcile tries again")
	case len(last.Gates) > 0:
		x.warn("last run", last.ID+" did not trust all of the evidence: "+strings.Join(last.Gates, "; "), "stripe-enhance plan shows the changes that it withholds")
	case last.Held > 0:
		x.warn("last run", last.ID+" left "+report.Count(last.Held, "thing")+" withheld", "stripe-enhance plan shows each with its reason")
	}
}
