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
	// markedReads is how many subscriptions that only the panel tells of are read. A
	// first listing that lacks more is done again.
	markedReads = 200
)

// doubt is what was wrong with the last complete listing. It outlives the run:
// the mirror has taken in what was listed, and the next run, a minute later, must
// not believe what this one did not. Only a full run whose listing passes ends
// it, or a person.
type doubt struct {
	// Refused is a matter of fact: nothing is taken away while it stands.
	Refused string `json:"refused,omitempty"`
	// Since is when the first of the full runs in a row refused theirs.
	Since time.Time `json:"since,omitzero"`
	// Suspect is a matter of numbers: what takes something away waits for approval.
	Suspect string `json:"suspect,omitempty"`
	// Plans were held because of Suspect. Approving one of them says that the
	// numbers are true, and makes Listed the new measure.
	Plans  []string              `json:"plans,omitempty"`
	Listed reconcile.ListedState `json:"listed"`
}

func (d doubt) none() bool { return d.Refused == "" && d.Suspect == "" }

// recall takes up what an earlier run did not believe. A full run judges anew.
func (r *run) recall(ctx context.Context) error {
	var err error
	if r.suspender, err = r.Cursors.Cursor(ctx, cursorSuspender); err != nil {
		return err
	}
	text, err := r.Cursors.Cursor(ctx, cursorDoubt)
	if err != nil || text == "" {
		return err
	}
	if err := json.Unmarshal([]byte(text), &r.doubt); err != nil {
		r.doubt = doubt{Refused: "what an earlier run thought of its listing cannot be read"}
	}
	if r.doubt.Suspect != "" && !r.req.Dry {
		if err := r.answered(ctx); err != nil {
			return err
		}
	}
	if r.mode == reconcile.RunFull {
		return nil
	}
	if r.doubt.Refused != "" {
		r.give(fmt.Sprintf("%s. This stands since %s; see what is wrong at Stripe, then run `stripe-enhance reconcile --full`; if it is true, add --accept-listing",
			r.doubt.Refused, r.doubt.Since.Format(time.RFC3339)))
	}
	if r.doubt.Suspect != "" {
		r.suspect(r.doubt.Suspect)
	}
	return nil
}

// answered sees whether a person approved what the numbers made us hold.
func (r *run) answered(ctx context.Context) error {
	approved, err := r.Plans.Approved(ctx, r.now)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(approved, func(p reconcile.HeldPlan) bool { return slices.Contains(r.doubt.Plans, p.ID) }) {
		return nil
	}
	listed := r.doubt.Listed
	r.listed = &listed
	r.doubt.Suspect, r.doubt.Plans = "", nil
	return r.remember(ctx)
}

// remember stores the doubt as it is.
func (r *run) remember(ctx context.Context) error {
	text := ""
	if !r.doubt.none() {
		packed, err := json.Marshal(r.doubt)
		if err != nil {
			return err
		}
		text = string(packed)
	}
	last, err := r.Cursors.Cursor(ctx, cursorDoubt)
	if err != nil || last == text {
		return err
	}
	return r.Cursors.SetCursor(ctx, r.tok, cursorDoubt, text)
}

// judgeListing holds a complete listing against the last one that was believed
// and against the mirror, before it is merged. One that fails is merged all the
// same, because what it does say is true, but it is not the measure of the next.
func (r *run) judgeListing(ctx context.Context, l reconcile.Listing, entitled int) error {
	listed := reconcile.ListedState{Count: l.Count, Entitled: entitled, At: r.now}
	last, err := r.Evidence.LastListed(ctx)
	if err != nil {
		return err
	}
	if r.listed != nil { // approved just now, and not stored yet
		last = *r.listed
	}
	old := r.doubt
	r.doubt = doubt{Listed: listed}
	reasons, err := r.unlisted(ctx, l, last.At)
	if err != nil {
		return err
	}
	if r.req.Accept && len(reasons) > 0 {
		r.note("accepted because --accept-listing says so: %s", strings.Join(reasons, "; "))
		reasons = nil
	}
	r.doubt.Refused = strings.Join(reasons, "; ")
	switch {
	case r.doubt.Refused != "":
		if r.doubt.Since = old.Since; old.Refused == "" {
			r.doubt.Since = r.now
		}
		r.give(r.doubt.Refused + ". See what is wrong at Stripe, then run `stripe-enhance reconcile --full`; if it is true, add --accept-listing")
	case last.Entitled >= suspicionFloor && entitled*2 < last.Entitled && !r.req.Accept:
		r.doubt.Suspect = fmt.Sprintf("only %d of the %d subscriptions that were entitled at %s still are", entitled, last.Entitled, last.At.Format(time.RFC3339))
		r.doubt.Plans = old.Plans
		r.suspect(r.doubt.Suspect)
	}
	if r.doubt.none() {
		r.listed = &listed
	}
	return r.remember(ctx)
}

// unlisted reads the known subscriptions that a listing left out. One that is
// there proves that the listing was not complete; one that is not is gone, which
// is held, and never a reason to take anything away. Too many that are gone since
// the last listing that was believed cast doubt on every listing until they are
// back, or a person says that it is true: that they are known as gone by then makes
// it no more likely.
func (r *run) unlisted(ctx context.Context, l reconcile.Listing, believed time.Time) (reasons []string, err error) {
	limit := unlistedReads
	if r.req.Accept {
		limit = math.MaxInt // what is really gone has to be known as gone
	}
	ids, total, err := r.Evidence.Unlisted(ctx, l.AsOf, limit)
	if err != nil {
		return nil, err
	}
	found, clocks, odd := 0, 0, 0
	for _, id := range ids {
		facts, err := r.subscription(ctx, id)
		switch {
		case errors.Is(err, fault.NotFound):
			err = r.Mirror.MarkGone(ctx, r.tok, id, r.now)
		case errors.Is(err, fault.Malformed), errors.Is(err, fault.Permanent):
			odd++ // there, or refused for good; the others must not wait for it
			r.overlook("%s was not listed and cannot be read, and what is known of it stays as it is: %v", id, err)
			err = nil
		case err == nil && facts.OnTestClock:
			clocks++
		case err == nil:
			found++
			err = r.Mirror.SaveFacts(ctx, r.tok, []reconcile.SubscriptionFacts{facts}, false, r.now)
		}
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

// rememberPlans keeps the ids of the plans that wait because of the last listing,
// the latest ones: what is in them changes with every customer who pays.
func (r *run) rememberPlans(ctx context.Context) error {
	const most = 50
	if r.doubt.Suspect == "" || r.req.Dry {
		return nil
	}
	for _, p := range r.plans {
		if p.Kind != reconcile.CreateSubscription && !slices.Contains(r.doubt.Plans, p.ID) {
			r.doubt.Plans = append(r.doubt.Plans, p.ID)
		}
	}
	r.doubt.Plans = r.doubt.Plans[max(0, len(r.doubt.Plans)-most):]
	return r.remember(ctx)
}

// readMarked holds the first listing of all against the panel, since there is no
// mirror yet: the subscriptions that hostings carry the markers of, and that were
// not listed, are read one by one. One that is there proves that the listing was
// not complete; its customer has an org, and is not to get another.
func (r *run) readMarked(ctx context.Context) error {
	ids, err := r.Inventory.UnknownMarkers(ctx, r.Policy.Instance, markedReads+1)
	if err != nil {
		return err
	}
	found := 0
	for _, id := range ids[:min(len(ids), markedReads)] {
		facts, err := r.subscription(ctx, id)
		switch {
		case errors.Is(err, fault.NotFound), errors.Is(err, fault.Permanent):
			continue // of another installation, or of test data
		case errors.Is(err, fault.Malformed):
			r.overlook("%s, which a hosting is marked with, cannot be read: %v", id, err)
			continue
		case err == nil:
			err = r.Mirror.SaveFacts(ctx, r.tok, []reconcile.SubscriptionFacts{facts}, false, r.now)
		}
		if err != nil {
			return fmt.Errorf("reading %s, which a hosting is marked with: %w", id, err)
		}
		if !facts.OnTestClock {
			found++
		}
	}
	switch {
	case found == 0:
		return nil
	case len(ids) > markedReads:
		return errors.Join(fault.Errorf(fault.Transient, "the panel has hostings of more than %d subscriptions that Stripe did not list and has: nothing was done, everything is listed again", markedReads),
			r.Cursors.SetCursor(ctx, r.tok, cursorEvents, ""))
	case r.req.Accept:
		return nil
	}
	if r.listed != nil {
		r.doubt.Listed, r.listed = *r.listed, nil
	}
	r.doubt.Since = r.now
	r.doubt.Refused = fmt.Sprintf("the panel has hostings of %d subscriptions that Stripe did not list and has when they are read one by one: the listing is not complete", found)
	r.give(r.doubt.Refused + ". See what is wrong at Stripe, then run `stripe-enhance reconcile --full`; if it is true, add --accept-listing")
	return r.remember(ctx)
}
