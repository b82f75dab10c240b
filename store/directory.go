package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// This file has the lists of the page of the staff. Each is read in parts, and a part by an
// index.

// textSearch finds a text in an expression of SQL, whatever its case is.
type textSearch struct {
	d     dialect
	forms []string
}

// searching makes the search for a text. SQLite knows the cases of ASCII only: a name that
// begins with another capital is searched for as it is written, too.
func (c conn) searching(text string) textSearch {
	small := strings.ToLower(clean(text))
	first := true
	title := strings.Map(func(r rune) rune {
		defer func() { first = !unicode.IsLetter(r) }()
		if first && r > unicode.MaxASCII {
			return unicode.ToTitle(r)
		}
		return r
	}, small)
	if title == small {
		return textSearch{c.d, []string{small}}
	}
	return textSearch{c.d, []string{small, title}}
}

// in is the condition that one of these expressions, in lower case, has the text; its
// parameters are added to args. LIKE would cost three times as much.
func (t textSearch) in(args *[]any, expressions ...string) string {
	find := "instr"
	if t.d == postgres {
		find = "strpos"
	}
	var parts []string
	for _, form := range t.forms {
		*args = append(*args, form)
		for _, e := range expressions {
			parts = append(parts, fmt.Sprintf("%s(%s, $%d) > 0", find, e, len(*args)))
		}
	}
	return "(" + strings.Join(parts, " OR ") + ")"
}

// limitOf is how many rows are read: one more than are shown reveals that there are more.
func limitOf(limit int) int { return limit + 1 }

// CustomerRows returns a part of the customers, by id, and where the next part begins; "":
// there is none.
func (s *Store) CustomerRows(ctx context.Context, q reconcile.CustomerSearch) (rows []reconcile.CustomerRow, next string, err error) {
	return s.CustomersNamed(ctx, q, nil)
}

// CustomersNamed is CustomerRows with names in memory, which spare it a walk over all
// customers. nil: there are none.
func (s *Store) CustomersNamed(ctx context.Context, q reconcile.CustomerSearch, names *Names) (rows []reconcile.CustomerRow, next string, err error) {
	err = s.snapshot(ctx, "listing customers", func(ctx context.Context, c conn) error {
		ids, err := chooseCustomers(ctx, c, q, names)
		next = ""
		if err == nil && len(ids) > q.Limit {
			ids = ids[:q.Limit]
			next = ids[q.Limit-1]
		}
		if err != nil || len(ids) == 0 {
			rows = nil
			return err
		}
		rows, err = customerRows(ctx, c, ids)
		return err
	})
	return rows, next, err
}

// chooseCustomers are the ids of a part of the customers, with one more.
func chooseCustomers(ctx context.Context, c conn, q reconcile.CustomerSearch, names *Names) ([]string, error) {
	query, args := "SELECT id FROM customers WHERE id > $1", []any{clean(q.After), limitOf(q.Limit)}
	if q.Failing {
		query += " AND (parked_at IS NOT NULL OR retry_after IS NOT NULL)"
		names = nil // those who fail are few
	}
	if names != nil && names.many {
		names = nil
	}
	if text := strings.TrimSpace(clean(q.Text)); text != "" {
		named, whole, err := namedCustomers(ctx, c, text, names != nil)
		if err == nil && !whole && names != nil {
			var more []string
			more, err = names.with(ctx, c, text, q)
			named, whole = append(named, more...), true
		}
		if err != nil {
			return nil, err
		}
		found := "id " + c.d.anyText(3)
		args = append(args, list(named))
		if !whole {
			found += " OR " + c.searching(text).in(&args, "lower(name)", "email_key")
		}
		query += " AND (" + found + ")"
	}
	return c.strings(ctx, query+" ORDER BY id LIMIT $2", args...)
}

// namedCustomers are those that a text names by an id, a whole e-mail, or a domain or a part
// of one; with inMemory not a part. whole means that it needs no search among parts of names.
func namedCustomers(ctx context.Context, c conn, text string, inMemory bool) (ids []string, whole bool, err error) {
	org, _ := reconcile.ParseOrgID(text)
	hosting, _ := reconcile.ParseHostingID(text)
	isID := reconcile.ValidID("cus_", text) || reconcile.ValidID("sub_", text) || org != "" || hosting != 0
	ids, err = c.strings(ctx, `SELECT customer_id FROM stripe_customers WHERE email_key <> '' AND email_key = $1
		UNION SELECT customer_id FROM stripe_customers WHERE id = $2
		UNION SELECT id FROM customers WHERE id = $2
		UNION SELECT b.customer_id FROM subscriptions s JOIN stripe_customers b ON b.id = s.stripe_customer_id WHERE s.id = $2
		UNION SELECT id FROM customers WHERE org_id = $3
		UNION SELECT b.customer_id FROM hostings h JOIN bindings n ON n.hosting_id = h.id JOIN subscriptions s ON s.id = n.subscription_id
			JOIN stripe_customers b ON b.id = s.stripe_customer_id WHERE h.org_id = $3
		UNION SELECT b.customer_id FROM bindings n JOIN subscriptions s ON s.id = n.subscription_id
			JOIN stripe_customers b ON b.id = s.stripe_customer_id WHERE n.hosting_id = $4`, reconcile.EmailKey(text), text, org, hosting)
	if isEmail := strings.Contains(text, "@"); err != nil || isID || isEmail || strings.Contains(text, " ") || !strings.Contains(text, ".") {
		return ids, isID || isEmail && len(ids) > 0, err
	}
	if key := reconcile.DomainKey(text); key != "" {
		text = key
		if ids, err = ofDomain(ctx, c, key); err != nil || len(ids) > 0 {
			return ids, true, err
		}
	}
	if inMemory {
		return nil, false, nil
	}
	var args []any
	search := c.searching(text)
	query := `SELECT b.customer_id FROM subscriptions s JOIN stripe_customers b ON b.id = s.stripe_customer_id
			WHERE (s.domain <> '' OR s.checkout_domain <> '') AND ` + search.in(&args, "lower(s.domain)", "lower(s.checkout_domain)") + `
		UNION SELECT b.customer_id FROM bindings n JOIN subscriptions s ON s.id = n.subscription_id JOIN stripe_customers b ON b.id = s.stripe_customer_id
			WHERE n.hosting_id IN (SELECT h.id FROM hostings h WHERE h.website <> '' AND ` + search.in(&args, "lower(h.website)") + ")"
	ids, err = c.strings(ctx, query, args...)
	return ids, false, err
}

// ofDomain are the customers that have ordered a domain, in the forms in which people write
// it most often, or have a website of it.
func ofDomain(ctx context.Context, c conn, domain string) ([]string, error) {
	var forms []string
	for _, one := range []string{domain, "www." + domain} {
		forms = append(forms, one, "http://"+one, "https://"+one, "http://"+one+"/", "https://"+one+"/")
	}
	return c.strings(ctx, `SELECT b.customer_id FROM subscriptions s JOIN stripe_customers b ON b.id = s.stripe_customer_id
			WHERE s.domain <> '' AND s.domain `+c.d.anyText(1)+`
		UNION SELECT b.customer_id FROM subscriptions s JOIN stripe_customers b ON b.id = s.stripe_customer_id
			WHERE s.checkout_domain <> '' AND s.checkout_domain `+c.d.anyText(1)+`
		UNION SELECT b.customer_id FROM bindings n JOIN subscriptions s ON s.id = n.subscription_id JOIN stripe_customers b ON b.id = s.stripe_customer_id
			WHERE n.hosting_id IN (SELECT h.id FROM hostings h WHERE h.website <> '' AND h.website `+c.d.anyText(1)+`
				UNION ALL SELECT t.hosting_id FROM sites t WHERE t.domain = $2)`, list(forms), domain)
}

// customerRows reads these customers, which are in order.
func customerRows(ctx context.Context, c conn, ids []string) ([]reconcile.CustomerRow, error) {
	rows := make([]reconcile.CustomerRow, 0, len(ids))
	index := map[string]int{}
	err := c.each(ctx, `SELECT id, email, name, coalesce(org_id, ''), coalesce(held_kinds, ''), failures, last_error, retry_after, parked_at, planned_at
		FROM customers WHERE id `+c.d.anyText(1)+" ORDER BY id", []any{list(ids)}, func(row scan) error {
		var r reconcile.CustomerRow
		var kinds string
		err := row(&r.ID, &r.Email, &r.Name, &r.Org, &kinds, &r.Failures, &r.LastError, into(&r.RetryAfter), into(&r.Parked), into(&r.PlannedAt))
		for kind := range strings.SplitSeq(kinds, kindsSeparator) {
			if kind != "" {
				r.Kinds = append(r.Kinds, reconcile.HoldKind(kind))
			}
		}
		index[r.ID] = len(rows)
		rows = append(rows, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = c.each(ctx, `SELECT b.customer_id, s.status, s.ended_at, s.domain, s.checkout_domain FROM stripe_customers b
		JOIN subscriptions s ON s.stripe_customer_id = b.id WHERE b.customer_id `+c.d.anyText(1)+" ORDER BY s.created_at, s.id", []any{list(ids)}, func(row scan) error {
		var customer, status, domain, checkout string
		var ended time.Time
		err := row(&customer, &status, into(&ended), &domain, &checkout)
		i, found := index[customer]
		if err != nil || !found {
			return err
		}
		r := &rows[i]
		r.Subscriptions++
		if !reconcile.ParseStatus(status).Ended() && ended.IsZero() {
			r.Active++
		}
		for _, one := range []string{checkout, domain} {
			if one != "" {
				r.Domain = one
			}
		}
		return nil
	})
	return rows, err
}

// HoldRows returns a part of what the last decisions withhold, by customer, and where the next
// part begins; "": there is none.
func (s *Store) HoldRows(ctx context.Context, q reconcile.HoldSearch) (holds []reconcile.Hold, next string, err error) {
	query, args := "SELECT id, held FROM customers WHERE held IS NOT NULL AND id > $1", []any{clean(q.After), limitOf(q.Limit)}
	if q.Kind != "" {
		args = append(args, "%"+kindsSeparator+clean(string(q.Kind))+kindsSeparator+"%")
		query += fmt.Sprintf(" AND '%s' || held_kinds || '%s' LIKE $%d", kindsSeparator, kindsSeparator, len(args))
	}
	if q.Text != "" {
		query += " AND " + s.reader().searching(q.Text).in(&args, "lower(CAST(held AS TEXT))", "lower(id)")
	}
	page, err := readHeld(ctx, s.reader(), query+" ORDER BY id LIMIT $2", args...)
	if err != nil {
		return nil, "", failed("reading holds", err)
	}
	if len(page) > q.Limit {
		page = page[:q.Limit]
		next = page[q.Limit-1].id
	}
	for _, one := range page {
		for _, h := range one.holds {
			if q.Kind == "" || h.Kind == q.Kind {
				holds = append(holds, h)
			}
		}
	}
	return holds, next, nil
}

// shownAction is the condition on the actions i that a person is shown of the plan p.
const shownAction = "i.version <= p.version AND (i.left_at IS NULL OR p.approved_at IS NOT NULL OR p.closed_at IS NOT NULL)"

// PlanHeads returns the held plans that wait for approval, newest first, or, with old, the
// newest of all. Total counts their actions, which are not read.
func (s *Store) PlanHeads(ctx context.Context, old bool, limit int) (plans []reconcile.HeldPlan, err error) {
	err = s.snapshot(ctx, "listing held plans", func(ctx context.Context, c conn) error {
		plans = nil
		err := c.each(ctx, planHeads+"version > 0 AND ($1 OR "+waits+") ORDER BY created_at DESC, id LIMIT $2", []any{old, limit}, func(row scan) error {
			p, err := scanPlan(row)
			plans = append(plans, p)
			return err
		})
		for i := range plans {
			if err == nil {
				_, err = c.one(ctx, "SELECT count(*) FROM plan_actions i JOIN plans p ON p.id = i.plan_id WHERE p.id = $1 AND "+shownAction, []any{plans[i].ID}, &plans[i].Total)
			}
		}
		return err
	})
	return plans, err
}

// PlanPart returns a held plan with a part of its actions, by customer. Total counts all
// that were searched for; next is where the next part begins, "" if there is none.
func (s *Store) PlanPart(ctx context.Context, q reconcile.PlanSearch) (plan reconcile.HeldPlan, next string, err error) {
	customer, position := "", int64(-1)
	if number, rest, ok := strings.Cut(q.After, "."); ok {
		if position, err = strconv.ParseInt(number, 10, 64); err == nil {
			customer = clean(rest)
		}
	}
	op := "plan " + q.Plan
	err = s.snapshot(ctx, op, func(ctx context.Context, c conn) error {
		found := false
		err := c.each(ctx, planHeads+"id = $1 AND version > 0", []any{clean(q.Plan)}, func(row scan) (err error) {
			found = true
			plan, err = scanPlan(row)
			return err
		})
		if err != nil {
			return err
		}
		if !found {
			return ErrNotFound
		}
		next, err = planPart(ctx, c, &plan, q, customer, position)
		return err
	})
	return plan, next, err
}

func planPart(ctx context.Context, c conn, plan *reconcile.HeldPlan, q reconcile.PlanSearch, customer string, position int64) (next string, err error) {
	from, args := " FROM plan_actions i JOIN plans p ON p.id = i.plan_id WHERE i.plan_id = $1 AND "+shownAction, []any{plan.ID}
	if q.Text != "" {
		inJSON := document(clean(q.Text))
		from += " AND " + c.searching(inJSON[1:len(inJSON)-1]).in(&args, "lower(CAST(i.action AS TEXT))")
	}
	if _, err := c.one(ctx, "SELECT count(*)"+from, args, &plan.Total); err != nil {
		return "", err
	}
	n := len(args)
	args = append(args, customer, position, limitOf(q.Limit))
	last := ""
	err = c.each(ctx, fmt.Sprintf("SELECT i.customer_id, i.position, i.action, i.version%s AND (i.customer_id, i.position) > ($%d, $%d) ORDER BY i.customer_id, i.position LIMIT $%d",
		from, n+1, n+2, n+3), args, func(row scan) error {
		var of string
		var at int64
		var text []byte
		var version int
		if err := row(&of, &at, &text, &version); err != nil {
			return err
		}
		if len(plan.Actions) == q.Limit {
			next = last
			return nil
		}
		last = strconv.FormatInt(at, 10) + "." + of
		a, err := readAction(plan.ID, text)
		plan.Actions, plan.Joined = append(plan.Actions, a), append(plan.Joined, version)
		return err
	})
	return next, err
}

// FailingOf returns the customers that fail with a kind of error, see
// [reconcile.SameFailure]: at most so many.
func (s *Store) FailingOf(ctx context.Context, kind string, limit int) (ids []string, err error) {
	err = s.eachFailing(ctx, func(id, text string) bool {
		if reconcile.SameFailure(text) == kind {
			ids = append(ids, id)
		}
		return len(ids) < limit
	})
	return ids, err
}

// mostFailing is how many customers that fail are read to sort their errors by kind.
const mostFailing = 10_000

// FailureKinds counts the customers that fail, by kind of error, of the first ten thousand.
func (s *Store) FailureKinds(ctx context.Context) (map[string]int, error) {
	kinds, n := map[string]int{}, 0
	err := s.eachFailing(ctx, func(_, text string) bool {
		kinds[reconcile.SameFailure(text)]++
		n++
		return n < mostFailing
	})
	return kinds, err
}

// eachFailing calls use with each customer that is parked or waits after a failure, by id,
// until it returns false.
func (s *Store) eachFailing(ctx context.Context, use func(id, text string) bool) error {
	after := ""
	for {
		rows, more := 0, true
		err := s.query(ctx, "listing failures", "SELECT id, last_error FROM customers WHERE (parked_at IS NOT NULL OR retry_after IS NOT NULL) AND id > $1 ORDER BY id LIMIT $2",
			[]any{after, pageSize}, func(row scan) error {
				var text string
				rows++
				if err := row(&after, &text); err != nil {
					return err
				}
				more = more && use(after, text)
				return nil
			})
		if err != nil || rows < pageSize || !more {
			return err
		}
	}
}
