package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const (
	// unlistedReads is how many known subscriptions that a listing left out are
	// read one by one. More than that is not an oversight.
	unlistedReads = 50
	// unlistedPercent of the mirror may have vanished at Stripe, where nothing
	// ever vanishes, before a listing proves nothing.
	unlistedPercent = 2
	// markedReads is how many subscriptions that only the panel names are read. A
	// first listing that lacks more is done again.
	markedReads = 200
)

// listingVerdict is what was wrong with the last complete listing. It outlives the run:
// the mirror has taken in the listing, and the next run, a minute later, must
// not rely on it either. Only a full run whose listing passes ends
// it, or a person.
type listingVerdict struct {
	// Refused is a matter of fact: nothing is taken away while it stands.
	Refused string `json:"refused,omitempty"`
	// Since is when the first of the full runs in a row refused theirs.
	Since time.Time `json:"since,omitzero"`
	// Suspect is a matter of numbers: what takes something away waits for approval.
	Suspect string `json:"suspect,omitempty"`
	// Plans were held because of Suspect. A person who approves one of them confirms
	// the numbers, and makes Listed the new measure.
	Plans  []string              `json:"plans,omitempty"`
	Listed reconcile.ListedState `json:"listed"`
}

func (v listingVerdict) good() bool { return v.Refused == "" && v.Suspect == "" }

// loadVerdict loads what was wrong with the listing of an earlier run. A full run
// judges its own.
func (r *run) loadVerdict(ctx context.Context) error {
	var err error
	if r.evidence.suspender, err = r.Cursors.Cursor(ctx, cursorSuspender); err != nil {
		return err
	}
	text, err := r.Cursors.Cursor(ctx, cursorVerdict)
	if err != nil || text == "" {
		return err
	}
	if err := json.Unmarshal([]byte(text), &r.evidence.verdict); err != nil {
		r.evidence.verdict = listingVerdict{Refused: "the judgement of an earlier run on its listing cannot be read"}
	}
	if r.evidence.verdict.Suspect != "" && !r.req.Dry {
		if err := r.acceptApproved(ctx); err != nil {
			return err
		}
	}
	if r.mode == reconcile.RunFull {
		return nil
	}
	if r.evidence.verdict.Refused != "" {
		r.blockRemovals(fmt.Sprintf("%s. This stands since %s; look for the fault at Stripe, then run `stripe-enhance reconcile --full`; if it is true, add --accept-listing",
			r.evidence.verdict.Refused, r.evidence.verdict.Since.Format(time.RFC3339)))
	}
	if r.evidence.verdict.Suspect != "" {
		r.requireApproval(r.evidence.verdict.Suspect)
	}
	return nil
}

// acceptApproved sees whether a person approved what the numbers made us hold.
func (r *run) acceptApproved(ctx context.Context) error {
	approved, err := r.Plans.Approved(ctx, r.now)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(approved, func(p reconcile.HeldPlan) bool { return slices.Contains(r.evidence.verdict.Plans, p.ID) }) {
		return nil
	}
	listed := r.evidence.verdict.Listed
	r.evidence.measure = &listed
	r.evidence.verdict.Suspect, r.evidence.verdict.Plans = "", nil
	return r.saveVerdict(ctx)
}

// saveVerdict stores the verdict as it is.
func (r *run) saveVerdict(ctx context.Context) error {
	text := ""
	if !r.evidence.verdict.good() {
		packed, err := json.Marshal(r.evidence.verdict)
		if err != nil {
			return err
		}
		text = string(packed)
	}
	last, err := r.Cursors.Cursor(ctx, cursorVerdict)
	if err != nil || last == text {
		return err
	}
	return r.Cursors.SetCursor(ctx, r.tok, cursorVerdict, text)
}

// judgeListing holds a complete listing against the last one that was believed
// and against the mirror, before it is merged. One that fails is merged all the
// same, because its facts are true, but it is not the measure of the next.
func (r *run) judgeListing(ctx context.Context, l reconcile.Listing, entitled int) error {
	listed := reconcile.ListedState{Count: l.Count, Entitled: entitled, At: r.now}
	last, err := r.Evidence.LastListed(ctx)
	if err != nil {
		return err
	}
	if r.evidence.measure != nil { // approved just now, and not stored yet
		last = *r.evidence.measure
	}
	old := r.evidence.verdict
	r.evidence.verdict = listingVerdict{Listed: listed}
	reasons, err := r.unlisted(ctx, l, last.At)
	if err != nil {
		return err
	}
	if r.req.Accept && len(reasons) > 0 {
		r.note("accepted because of --accept-listing: %s", strings.Join(reasons, "; "))
		reasons = nil
	}
	r.evidence.verdict.Refused = strings.Join(reasons, "; ")
	switch {
	case r.evidence.verdict.Refused != "":
		if r.evidence.verdict.Since = old.Since; old.Refused == "" {
			r.evidence.verdict.Since = r.now
		}
		r.blockRemovals(r.evidence.verdict.Refused + ". Look for the fault at Stripe, then run `stripe-enhance reconcile --full`; if it is true, add --accept-listing")
	case last.Entitled >= minForDoubt && entitled*2 < last.Entitled && !r.req.Accept:
		r.evidence.verdict.Suspect = fmt.Sprintf("only %d of the %d subscriptions that were entitled at %s still are", entitled, last.Entitled, last.At.Format(time.RFC3339))
		r.evidence.verdict.Plans = old.Plans
		r.requireApproval(r.evidence.verdict.Suspect)
	}
	if r.evidence.verdict.good() {
		r.evidence.measure = &listed
	}
	return r.saveVerdict(ctx)
}

// unlisted reads the known subscriptions that a listing left out. One that is
// there proves that the listing was not complete; one that is not is gone, which
// is held, and never a reason to take anything away. Too many that are gone since
// the last listing that was believed cast doubt on every listing until they are
// back, or a person confirms it: that they are known as gone by then makes
// it no more likely.
func (r *run) unlisted(ctx context.Context, l reconcile.Listing, believed time.Time) (reasons []string, err error) {
	limit := unlistedReads
	if r.req.Accept {
		limit = math.MaxInt // subscriptions that are gone have to be marked as gone
	}
	ids, total, err := r.Evidence.Unlisted(ctx, l.AsOf, limit)
	if err != nil {
		return nil, err
	}
	found, clocks, odd := 0, 0, 0
	for _, id := range ids {
		err := r.together.turns.alone(ctx, subscriptionKey(id), func() error {
			facts, err := r.subscription(ctx, id)
			switch {
			case errors.Is(err, fault.NotFound):
				err = r.Mirror.MarkGone(ctx, r.tok, id, r.now)
			case errors.Is(err, fault.Malformed), errors.Is(err, fault.Permanent):
				odd++ // there, or refused for good; the others must not wait for it
				r.notePartial("%s was not listed and cannot be read; its stored state is kept: %v", id, err)
				err = nil
			case err == nil && facts.OnTestClock:
				clocks++
			case err == nil:
				found++
				err = r.Mirror.SaveFacts(ctx, r.tok, []reconcile.SubscriptionFacts{facts}, false, r.now)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("reading %s, which was not listed: %w", id, err)
		}
	}
	gone, err := r.Evidence.Gone(ctx, believed)
	if err != nil {
		return nil, err
	}
	missing := gone + total - len(ids) // with those that were not read
	switch known := l.Count + clocks + odd + missing; {
	case found > 0:
		reasons = append(reasons, fmt.Sprintf("Stripe listed %d subscriptions and left out %d known ones, of which %s are there when read one by one: the listing is not complete",
			l.Count, total, of(found, len(ids))))
	case gone > 0 && (missing > unlistedReads || missing*100 > known*unlistedPercent):
		reasons = append(reasons, fmt.Sprintf("Stripe listed %d subscriptions, and %d known ones are not there any more, though none ever vanishes at Stripe", l.Count, missing))
	}
	return reasons, nil
}

// of counts a part: "all 20" or "3 of 20".
func of(part, all int) string {
	if part == all {
		return fmt.Sprintf("all %d", all)
	}
	return fmt.Sprintf("%d of %d", part, all)
}

// saveVerdictPlans keeps the ids of the plans that wait because of the last listing,
// the latest ones: their contents change with every customer who pays.
func (r *run) saveVerdictPlans(ctx context.Context) error {
	const most = 50
	if r.evidence.verdict.Suspect == "" || r.req.Dry {
		return nil
	}
	for _, p := range r.brake.plans {
		if p.Kind != reconcile.CreateSubscription && !slices.Contains(r.evidence.verdict.Plans, p.ID) {
			r.evidence.verdict.Plans = append(r.evidence.verdict.Plans, p.ID)
		}
	}
	r.evidence.verdict.Plans = r.evidence.verdict.Plans[max(0, len(r.evidence.verdict.Plans)-most):]
	return r.saveVerdict(ctx)
}

// readMarked holds the first listing of all against the panel, since there is no
// mirror yet: the subscriptions that hostings carry the markers of, and that were
// not listed, are read one by one. One that is there proves that the listing was
// not complete; its customer has an org, and is not to get another. The orgs of those that
// cannot be read are to be listed again, see knowMarked; again reports whether there are any.
func (r *run) readMarked(ctx context.Context) (again bool, err error) {
	ids, err := r.Inventory.UnknownMarkers(ctx, r.Policy.Instance, markedReads+1)
	if err != nil {
		return false, err
	}
	found := 0
	for _, id := range ids[:min(len(ids), markedReads)] {
		there, err := r.readByMarker(ctx, id)
		if errors.Is(err, fault.Malformed) {
			r.notePartial("%s, which a hosting is marked with, cannot be read: %v", id, err)
			again, err = true, r.Inventory.ListAgain(ctx, r.tok, id)
		}
		if err != nil {
			return again, fmt.Errorf("reading %s, which a hosting is marked with: %w", id, err)
		}
		if there {
			found++
		}
	}
	return again, r.doubtListing(ctx, found, len(ids) > markedReads)
}

// readByMarker reads a subscription that a hosting is marked with, and reports whether
// Stripe has it. It is no error if it is of another installation, or of test data.
func (r *run) readByMarker(ctx context.Context, id string) (there bool, err error) {
	err = r.together.turns.alone(ctx, subscriptionKey(id), func() error {
		facts, err := r.subscription(ctx, id)
		if errors.Is(err, fault.NotFound) || errors.Is(err, fault.Permanent) {
			return nil
		}
		if err == nil {
			there, err = !facts.OnTestClock, r.Mirror.SaveFacts(ctx, r.tok, []reconcile.SubscriptionFacts{facts}, false, r.now)
		}
		return err
	})
	return there && err == nil, err
}

// doubtListing refuses the first listing of all if subscriptions that it lacks were found.
func (r *run) doubtListing(ctx context.Context, found int, more bool) error {
	switch {
	case found == 0:
		return nil
	case more:
		return errors.Join(fault.Errorf(fault.Transient, "the panel has hostings of more than %d subscriptions that Stripe did not list and has: nothing was done, everything is listed again", markedReads),
			r.Cursors.SetCursor(ctx, r.tok, cursorEvents, ""))
	case r.req.Accept:
		return nil
	}
	if r.evidence.measure != nil {
		r.evidence.verdict.Listed, r.evidence.measure = *r.evidence.measure, nil
	}
	r.evidence.verdict.Since = r.now
	r.evidence.verdict.Refused = fmt.Sprintf("the panel has hostings of %d subscriptions that Stripe did not list and has when they are read one by one: the listing is not complete", found)
	r.blockRemovals(r.evidence.verdict.Refused + ". Look for the fault at Stripe, then run `stripe-enhance reconcile --full`; if it is true, add --accept-listing")
	return r.saveVerdict(ctx)
}
