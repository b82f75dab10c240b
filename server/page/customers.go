package page

import (
	"net/url"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// customerAddress is the address of the story of a customer; "" for no customer.
func customerAddress(id string) string {
	if id == "" {
		return ""
	}
	return customersPath + "/" + url.PathEscape(id)
}

func searchFor(text string) string { return url.Values{"search": {text}}.Encode() }

// reading returns a part of a list, and where the next one begins; "": there is none.
type reading func(after string, limit int) (rows []row, next string, err error)

// toEnd yields the rows of all parts.
func (read reading) toEnd(yield func(row) error) error {
	const size = 500
	for after := ""; ; {
		rows, next, err := read(after, size)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := yield(r); err != nil {
				return err
			}
		}
		if after = next; next == "" {
			return nil
		}
	}
}

// parts is a list that the database cuts.
func (v *visit) parts(empty string, columns []column, size int, read reading) (*list, error) {
	q := v.query()
	l := &list{visit: v, Columns: columns, Empty: empty, Search: q.Search, Searchable: true, Total: -1}
	if q.CSV {
		l.all = read.toEnd
		return l, nil
	}
	rows, next, err := read(q.After, size)
	if err != nil {
		return nil, err
	}
	l.Rows = rows
	if q.After == "" {
		q.Back = ""
	}
	if next != "" {
		l.Next = v.Link("after", next, "back", trail(q.Back, q.After))
	}
	if before, after, known := backOn(q.Back); known {
		l.Previous = v.Link("after", after, "back", before)
	} else if q.After != "" {
		l.Previous, l.First = v.Link("after", "", "back", ""), true
	}
	return l, nil
}

// longestTrail is the most bytes of a trail: each link of a page repeats it.
const longestTrail = 400

// trail is the way back to a part of a list that the database cuts, for the address of the
// part that follows it: where each part before began, the first one at "", each with the
// end mark /, which no id has. The database could search backwards too, but then parts
// would begin elsewhere than on the way there.
func trail(back, after string) string {
	back += after + "/"
	for len(back) > longestTrail {
		_, back, _ = strings.Cut(back, "/")
	}
	return back
}

// backOn goes one step back on a trail: it returns the rest of it, and where that part begins.
func backOn(back string) (rest, after string, known bool) {
	way, known := strings.CutSuffix(back, "/")
	i := strings.LastIndex(way, "/") + 1
	return way[:i], way[i:], known
}

// customersBody is the body of the list of customers.
type customersBody struct {
	*list
	AsOf time.Time // of the names in which was searched; zero: of now
}

// customers lists customers, or those that are searched for.
func (v *visit) customers() (any, error) {
	q := v.query()
	columns := []column{{Key: "customers.customer", Kind: "wide"}, {Key: "customers.name"}, {Key: "customers.domain"}, {Key: "customers.subscriptions", Kind: "number"}, {Key: "customers.state"}}
	b := customersBody{}
	var err error
	b.list, err = v.parts("customers.none", columns, listRows, func(after string, limit int) (rows []row, next string, err error) {
		var found []reconcile.CustomerRow
		search := reconcile.CustomerSearch{Text: q.Search, After: after, Limit: limit}
		if q.CSV {
			found, next, err = v.ports.Directory.CustomerRows(v.r.Context(), search)
		} else {
			found, next, b.AsOf, err = v.server.Tools().SearchCustomers(v.r.Context(), search)
		}
		for i := range found {
			rows = append(rows, v.customerRow(&found[i]))
		}
		return rows, next, err
	})
	return &b, err
}

// subscriptionCell is the cell that names a subscription and leads to its customer.
func subscriptionCell(id string) cell {
	if id == "" {
		return cell{}
	}
	return cell{Text: id, Href: customersPath + "?" + searchFor(id)}
}

// whoCell is the cell that names a customer and leads to its story.
func whoCell(email, id string) cell {
	who := email
	if who == "" {
		who = id
	}
	return cell{Text: who, Note: id, Href: customerAddress(id)}
}

func (v *visit) customerRow(c *reconcile.CustomerRow) row {
	subscriptions := cell{Text: v.Number(c.Active)}
	if c.Subscriptions > c.Active {
		subscriptions.Note = v.T("customers.of", c.Subscriptions)
	}
	return row{whoCell(c.Email, c.ID), {Text: c.Name}, {Text: c.Domain}, subscriptions, v.stateCell(c)}
}

// stateCell is how a customer fares.
func (v *visit) stateCell(c *reconcile.CustomerRow) cell {
	switch {
	case !c.Parked.IsZero():
		return cell{Text: v.T("customers.parked"), Mark: "bad"}
	case !c.RetryAfter.IsZero() && c.LastError != "":
		return cell{Text: v.T("customers.retried"), Mark: "bad"}
	case len(c.Kinds) > 0:
		var kinds []string
		for _, k := range c.Kinds {
			kinds = append(kinds, string(k))
		}
		return cell{Text: v.T("customers.withheld"), Mark: "wait", Note: strings.Join(kinds, ", ")}
	case c.PlannedAt.IsZero():
		return cell{Text: v.T("customers.waits"), Mark: "quiet"}
	default:
		return cell{Text: v.T("customers.well"), Mark: "good"}
	}
}
