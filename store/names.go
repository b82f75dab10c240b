package store

import (
	"context"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Names are the names, e-mails and domains of all customers in memory, in lower case, so that
// a part of one is found in a millisecond: no index that both databases have finds parts.
type Names struct {
	ids   []string  // in order
	ends  []int     // where the text of each ends
	text  string    // of all customers, one after another
	since time.Time // customers that were first seen from here on may be missing
	many  bool      // there are more than can be held, and so there are none
	// late is how many customers were first seen at each moment from since on. A transaction
	// gives all of its customers one moment, so if the database has no more of it, none is
	// missing: after a first run most customers are as new as that.
	late map[time.Time]int
}

// mostNamed is of how many customers names are held; they take about 150 bytes each.
const mostNamed = 300_000

// namesSlack is how long it may take at most until a new customer is visible to others.
const namesSlack = time.Minute

// Names reads the names of all customers, part by part; now is that of the runs.
func (s *Store) Names(ctx context.Context, now time.Time) (*Names, error) {
	n := &Names{since: now.Add(-namesSlack), late: map[time.Time]int{}}
	var text strings.Builder
	for after := ""; ; {
		var page []nameRow
		err := s.snapshot(ctx, "reading names", func(ctx context.Context, c conn) (err error) {
			page, err = namesAfter(ctx, c, after)
			return err
		})
		if err != nil {
			return nil, err
		}
		for i := range page {
			text.WriteString(strings.ToLower(page[i].text))
			n.ids, n.ends = append(n.ids, page[i].id), append(n.ends, text.Len())
			if !page[i].seen.Before(n.since) {
				n.late[page[i].seen.UTC()]++
			}
		}
		if len(n.ids) > mostNamed {
			return &Names{many: true}, nil
		}
		if len(page) < pageSize {
			n.text = text.String()
			return n, nil
		}
		after = page[len(page)-1].id
	}
}

// nameRow is a customer with its names.
type nameRow struct {
	id, text string
	seen     time.Time // first
}

// namesEnd ends each name, so that no text is found across two of them.
const namesEnd = "\n"

func namesAfter(ctx context.Context, c conn, after string) ([]nameRow, error) {
	var page []nameRow
	index := map[string]int{}
	err := c.each(ctx, "SELECT id, name, email_key, created_at FROM customers WHERE id > $1 ORDER BY id LIMIT $2", []any{after, pageSize}, func(row scan) error {
		var id, name, email string
		var seen time.Time
		err := row(&id, &name, &email, into(&seen))
		index[id] = len(page)
		page = append(page, nameRow{id, name + namesEnd + email + namesEnd, seen})
		return err
	})
	if err != nil || len(page) == 0 {
		return nil, err
	}
	for _, query := range []string{
		`SELECT b.customer_id, s.domain, s.checkout_domain FROM stripe_customers b JOIN subscriptions s ON s.stripe_customer_id = b.id
			WHERE b.customer_id > $1 AND b.customer_id <= $2 AND (s.domain <> '' OR s.checkout_domain <> '')`,
		`SELECT b.customer_id, h.website, '' FROM stripe_customers b JOIN subscriptions s ON s.stripe_customer_id = b.id
			JOIN bindings n ON n.subscription_id = s.id JOIN hostings h ON h.id = n.hosting_id
			WHERE b.customer_id > $1 AND b.customer_id <= $2 AND h.website <> ''`,
	} {
		err := c.each(ctx, query, []any{after, page[len(page)-1].id}, func(row scan) error {
			var id string
			var domains [2]string
			if err := row(&id, &domains[0], &domains[1]); err != nil {
				return err
			}
			one := &page[index[id]]
			for _, d := range domains {
				if !strings.Contains(one.text, d+namesEnd) {
					one.text += d + namesEnd
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return page, nil
}

// find returns the first customers after an id that have a text in a name, in order.
func (n *Names) find(text, after string, limit int) (ids []string) {
	i, found := slices.BinarySearch(n.ids, after)
	if found {
		i++
	}
	for text = strings.ToLower(text); len(ids) < limit && i < len(n.ids); i++ {
		begin := 0
		if i > 0 {
			begin = n.ends[i-1]
		}
		at := strings.Index(n.text[begin:], text)
		if at < 0 {
			break
		}
		i = sort.SearchInts(n.ends, begin+at+1)
		ids = append(ids, n.ids[i])
	}
	return ids
}

// with are the customers of find, and those that were first seen since the names were read.
func (n *Names) with(ctx context.Context, c conn, text string, q reconcile.CustomerSearch) ([]string, error) {
	if strings.Contains(text, namesEnd) {
		return nil, nil
	}
	ids, err := n.missing(ctx, c, text)
	ids = append(ids, n.find(text, clean(q.After), limitOf(q.Limit))...)
	if domain := reconcile.DomainKey(text); strings.Contains(text, ".") && !strings.ContainsAny(text, " @") && domain != "" && domain != text {
		ids = append(ids, n.find(domain, clean(q.After), limitOf(q.Limit))...)
	}
	return ids, err
}

// mostMoments is for how many moments the customers that are missing are read by the moment.
const mostMoments = 50

// missing are the customers that have a text in a name and may not be among the names.
func (n *Names) missing(ctx context.Context, c conn, text string) ([]string, error) {
	var moments []any
	err := c.each(ctx, "SELECT created_at, count(*) FROM customers WHERE created_at >= $1 GROUP BY created_at ORDER BY created_at", []any{at(n.since)}, func(row scan) error {
		var moment time.Time
		var all int
		err := row(into(&moment), &all)
		if all > n.late[moment.UTC()] {
			moments = append(moments, at(moment))
		}
		return err
	})
	if err != nil || len(moments) == 0 {
		return nil, err
	}
	seen := "created_at IN (" + numbered(len(moments)) + ")"
	if len(moments) > mostMoments {
		seen, moments = "created_at >= $1", moments[:1]
	}
	search := c.searching(text)
	return c.strings(ctx, "SELECT id FROM customers WHERE "+seen+" AND "+search.in(&moments, "lower(name)", "email_key")+`
		UNION SELECT b.customer_id FROM customers c JOIN stripe_customers b ON b.customer_id = c.id JOIN subscriptions s ON s.stripe_customer_id = b.id
			WHERE c.`+seen+" AND "+search.in(&moments, "lower(s.domain)", "lower(s.checkout_domain)"), moments...)
}

// numbered are the names of the first n parameters, with commas.
func numbered(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = "$" + strconv.Itoa(i+1)
	}
	return strings.Join(all, ", ")
}
