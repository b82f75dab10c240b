package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const (
	// unlistedPage is how many unlisted orgs are taken from the database at a time, and
	// unlistedParallel how many are read at the same time: one less than the calls
	// after which the panel's breaker opens, so that orgs that cannot be listed do not
	// keep us from those that can.
	unlistedPage, unlistedParallel = 200, 4
	// unlistedPatience is how many orgs in a row may fail before an org is read that
	// could be listed before: do these orgs fail, or does the panel?
	unlistedPatience = 3
	// maxUnanswered is how many orgs without an answer one search asks for, and
	// maxRefused how many that are refused for good, which takes no time to find out.
	// The next search begins with the rest: until then their hostings are not known.
	maxUnanswered, maxRefused = 8, 200
	// maxUnlistedNotes is how many of the orgs that were skipped the notes of a run name.
	maxUnlistedNotes = 8
)

// errNotAsked is why an org is not known: other orgs kept the search from reaching it.
var errNotAsked = fault.Errorf(fault.Transient, "too many others cannot be listed, it is asked for in the next look")

// orgSearch is one search through the orgs that were never listed.
type orgSearch struct {
	hostings   int    // that were seen
	listable   string // an org that could be listed
	answers    bool   // an org that could be listed before this search still can
	failedRow  int    // orgs that failed since the last one that did not
	unanswered int    // orgs without an answer, or with one that cannot be read
	refused    int    // orgs that are refused for good
	last       string // the org that was read last
	failed     []unlistedOrg
}

// exhausted reports whether a search ends before all orgs were read.
func (s *orgSearch) exhausted() bool { return s.unanswered > maxUnanswered || s.refused > maxRefused }

// proves reports whether the panel does list orgs, so that those that failed are to blame.
func (s *orgSearch) proves() bool {
	return len(s.failed) < unlistedPatience || s.listable != "" || s.answers
}

// searchUnlisted lists the hostings of every org whose hostings were never listed.
// Our own orgs are known from the moment they are made; others appear if a person
// made one, or if this database is older than the panel. Once an org is bound, its
// name no longer shows whose it is: only its hostings do.
//
// An org that cannot be listed is skipped and noted; it does not fail the run,
// because one org must not keep all customers from what they pay for. orgIndex.creationBlocked has
// the rule for the creations that it blocks. A panel of which nothing can be read
// is an error. So is a search that is cut short if nothing is known of the panel yet
// (all): it goes on in the next run.
//
// Only one search runs at a time: steps of the run start it, or the holder of the
// index.
func (r *run) searchUnlisted(ctx context.Context, total int, all bool) (hostings int, err error) {
	from, err := r.Cursors.Cursor(ctx, cursorUnread)
	if err != nil {
		return 0, err
	}
	var s orgSearch
	err = r.searchBetween(ctx, &s, from, "", total)
	if err == nil && from != "" {
		err = r.searchBetween(ctx, &s, "", from, total)
	}
	if err != nil {
		return s.hostings, err
	}
	next := ""
	if s.exhausted() {
		next = s.last
	}
	if next != from {
		if err := r.Cursors.SetCursor(ctx, r.tok, cursorUnread, next); err != nil {
			return s.hostings, err
		}
	}
	if n := len(s.failed); n > 0 && (all && s.exhausted() || !s.proves()) {
		i := slices.IndexFunc(s.failed, func(u unlistedOrg) bool { return !errors.Is(u.err, errNotAsked) })
		return s.hostings, fmt.Errorf("looking for hostings of ours: %d orgs could not be listed, one of them: %w", n, s.failed[i].err)
	}
	return s.hostings, r.noteUnlisted(ctx, s.failed)
}

// searchBetween reads the orgs whose ids are after one and not after another; "": to
// the last.
func (r *run) searchBetween(ctx context.Context, s *orgSearch, after, until string, total int) error {
	for {
		orgs, err := r.Inventory.UnreadOrgs(ctx, after, unlistedPage)
		if err != nil {
			return err
		}
		if until != "" {
			orgs = slices.DeleteFunc(orgs, func(o reconcile.Org) bool { return o.ID > until })
		}
		if len(orgs) == 0 {
			return nil
		}
		if err := r.searchEach(ctx, s, orgs); err != nil {
			return fmt.Errorf("looking for hostings of ours: %w", err)
		}
		after = orgs[len(orgs)-1].ID
		r.progress.show("comparing", s.hostings, max(total, s.hostings))
	}
}

// searchEach reads some orgs: several in parallel while they can be listed, and one
// after the other while they cannot.
func (r *run) searchEach(ctx context.Context, s *orgSearch, orgs []reconcile.Org) error {
	for len(orgs) > 0 && !s.exhausted() {
		n := min(len(orgs), unlistedParallel, r.Concurrency)
		if s.failedRow > 0 {
			n = 1
		}
		lists, errs := r.listParallel(ctx, orgs[:n])
		for i, o := range orgs[:n] {
			if err := r.addSearched(ctx, s, o, lists[i], errs[i]); err != nil {
				return err
			}
			if n == 1 && errs[i] == nil {
				s.failedRow = 0
			}
		}
		if err := r.askAnother(ctx, s); err != nil {
			return err
		}
		orgs = orgs[n:]
	}
	for _, o := range orgs {
		s.failed = append(s.failed, unlistedOrg{o, errNotAsked})
	}
	return nil
}

// listParallel lists the hostings of some orgs, all at the same time.
func (r *run) listParallel(ctx context.Context, orgs []reconcile.Org) ([][]reconcile.Hosting, []error) {
	lists, errs := make([][]reconcile.Hosting, len(orgs)), make([]error, len(orgs))
	g := errgroup.Group{}
	for i, o := range orgs {
		g.Go(guarded(func() error {
			lists[i], errs[i] = r.listOne(ctx, o.ID)
			return nil
		}))
	}
	_ = g.Wait()
	return lists, errs
}

// listOne lists the hostings of an org. A flow run does not ask for an org that could not
// be listed lately: who has just paid does not wait for the org of another customer. How
// long one listing may take is the client's rule.
func (r *run) listOne(ctx context.Context, org string) (list []reconcile.Hosting, err error) {
	known := &r.together.unlistable
	if err := known.lately(org); err != nil && r.flows {
		return nil, err
	}
	err = fault.Guard(func() (err error) {
		list, err = r.hostingsOf(ctx, org)
		return err
	})
	known.note(org, err)
	return list, err
}

// addSearched stores the hostings of an org, or notes why there are none. The error
// that it returns ends the search.
func (r *run) addSearched(ctx context.Context, s *orgSearch, o reconcile.Org, hostings []reconcile.Hosting, err error) error {
	s.last = o.ID
	if err != nil {
		return s.fail(ctx, o, err)
	}
	s.listable, s.hostings = o.ID, s.hostings+len(hostings)
	return r.Inventory.SaveHostings(ctx, r.tok, o.ID, hostings, r.now)
}

// fail notes an org that could not be listed. The error that it returns ends the
// search.
func (s *orgSearch) fail(ctx context.Context, o reconcile.Org, err error) error {
	if kind := fault.Of(err); kind == fault.Canceled || kind == fault.Fenced || ctx.Err() != nil {
		return err
	}
	s.failedRow++
	s.failed = append(s.failed, unlistedOrg{o, err})
	switch fault.Of(err) {
	case fault.Denied, fault.Permanent, fault.NotFound, fault.Conflict:
		s.refused++
	case fault.Malformed, fault.Transient, fault.Throttled, fault.Ambiguous, fault.Unknown, fault.Canceled, fault.Fenced:
		s.unanswered++
	}
	return nil
}

// askAnother lists, after several orgs that failed, one that could be listed: one of
// this search, or one that we have hostings in.
func (r *run) askAnother(ctx context.Context, s *orgSearch) error {
	if s.failedRow < unlistedPatience {
		return nil
	}
	ask := []string{s.listable}
	if s.listable == "" {
		bound, err := r.someBound(ctx)
		if err != nil {
			return err
		}
		ask = ask[:0]
		for _, h := range bound {
			if !slices.Contains(ask, h.Org) {
				ask = append(ask, h.Org)
			}
		}
	}
	found, _, err := anyExists(len(ask), func(i int) error {
		_, err := r.Panel.Hostings(ctx, ask[i])
		return err
	})
	if err != nil {
		return err
	}
	s.answers, s.failedRow = s.answers || found, 0
	return nil
}

// hostingsOf lists the hostings of an org.
func (r *run) hostingsOf(ctx context.Context, org string) ([]reconcile.Hosting, error) {
	hostings, err := r.Panel.Hostings(ctx, org)
	if errors.Is(err, fault.NotFound) {
		return nil, nil // deleted since it was listed: an org without hostings
	}
	return hostings, err
}

// readOrg stores the hostings of one org.
func (r *run) readOrg(ctx context.Context, org string) error {
	done, err := r.together.turns.take(ctx, orgKey(org), false)
	if err != nil {
		return err
	}
	defer done()
	hostings, err := r.hostingsOf(ctx, org)
	if err != nil {
		return err
	}
	return r.Inventory.SaveHostings(ctx, r.tok, org, hostings, r.now)
}

// noteUnlisted keeps for this run which orgs could not be listed, and notes them.
func (r *run) noteUnlisted(ctx context.Context, orgs []unlistedOrg) error {
	if len(orgs) > 0 {
		text, err := r.Cursors.Cursor(ctx, cursorRecovery)
		if err != nil {
			return err
		}
		until, _ := time.Parse(time.RFC3339Nano, text) // none: the database has always known the panel
		r.index.setRecovered(until)
	}
	known := r.index.setUnlisted(orgs)
	noted := len(known)
	for _, o := range orgs {
		if noted < maxUnlistedNotes && !slices.ContainsFunc(known, func(k unlistedOrg) bool { return k.ID == o.ID }) {
			noted++
			r.note("the hostings of org %s (%q) cannot be listed, and it is skipped; a customer that may have a hosting there gets no other: %v", o.ID, o.Name, o.err)
		}
	}
	if more := len(orgs) - maxUnlistedNotes; more > 0 && len(known) <= maxUnlistedNotes {
		r.note("the hostings of %d more orgs cannot be listed, and they are skipped like these", more)
	}
	return nil
}
