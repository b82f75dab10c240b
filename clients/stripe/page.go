package stripe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// pageLimit is the most that Stripe puts on one page.
const pageLimit = "100"

// head holds the fields that every object has. Wire types embed it.
type head struct {
	ID       string `json:"id"`
	Object   string `json:"object"`
	Livemode *bool  `json:"livemode"`
}

func (h head) header() head { return h }

// object is a wire type.
type object interface{ header() head }

// envelope is a page as it arrives. Pointers distinguish absent from empty.
type envelope[T any] struct {
	Object  string `json:"object"`
	HasMore *bool  `json:"has_more"`
	Data    *[]T   `json:"data"`
}

// checked checks the fields that every page must have and returns its items.
func (e envelope[T]) checked() (items []T, more bool, err error) {
	switch {
	case e.Object != "list":
		return nil, false, fmt.Errorf("a page whose object is %q, not \"list\"", printable(e.Object))
	case e.HasMore == nil:
		return nil, false, errors.New("a page without has_more")
	case e.Data == nil:
		return nil, false, errors.New("a page without data")
	case len(*e.Data) == 0 && *e.HasMore:
		return nil, false, errors.New("an empty page that promises more")
	}
	return *e.Data, *e.HasMore, nil
}

// decodePage reads a page and checks its envelope, not its objects.
func decodePage[T any](body []byte) (items []T, more bool, err error) {
	var e envelope[T]
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, false, decodeError(err)
	}
	return e.checked()
}

// decodeError gives the place of a decoding error without quoting the body, because the
// texts of encoding/json hold the offending value.
func decodeError(err error) error {
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("a value of the wrong type in field %q at byte %d", printable(kind.Field), kind.Offset)
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("not JSON from byte %d on", syntax.Offset)
	}
	if ours, ok := errors.AsType[*wireError](err); ok {
		return ours
	}
	return errors.New("not the JSON that was expected")
}

// collection describes the objects of a list.
type collection struct {
	kind     string               // "subscription"
	prefix   string               // of its ids; "": any
	valid    func(id string) bool // checks an id that has no prefix; nil: any
	modeless bool                 // the objects carry no livemode of their own
}

// check refuses an object of another kind or of another mode.
func (k collection) check(h head, live bool) error {
	switch {
	case h.Object != k.kind:
		return fmt.Errorf("an object %q where a %s was expected", printable(h.Object), k.kind)
	case h.ID == "" || k.prefix != "" && !reconcile.ValidID(k.prefix, h.ID) || k.valid != nil && !k.valid(h.ID):
		return fmt.Errorf("a %s with the id %q", k.kind, printable(h.ID))
	case h.Livemode == nil && !k.modeless:
		return fmt.Errorf("the %s %s has no livemode", k.kind, h.ID)
	case h.Livemode != nil && *h.Livemode != live:
		return fmt.Errorf("the %s %s is of %s mode, but the key is of %s mode", k.kind, h.ID, modeName(!live), modeName(live))
	}
	return nil
}

func modeName(live bool) string {
	if live {
		return "live"
	}
	return "test"
}

// readPage reads one page and checks each object on it.
func readPage[T object](ctx context.Context, c *Client, r request, k collection) ([]T, bool, answer, error) {
	return readPageBy(ctx, c, r, k, decodePage[T])
}

// readPageBy is readPage with its own function to decode.
func readPageBy[T object](ctx context.Context, c *Client, r request, k collection, decode func([]byte) ([]T, bool, error)) ([]T, bool, answer, error) {
	a, err := c.do(ctx, r)
	if err != nil {
		return nil, false, a, err
	}
	items, more, err := decode(a.body)
	a.body = nil // the page is decoded, so the bytes can be freed
	for i := 0; err == nil && i < len(items); i++ {
		err = k.check(items[i].header(), c.live)
	}
	if err != nil {
		return nil, false, a, malformed(r, "%v", err)
	}
	return items, more, a, nil
}

// readAll reads a list page after page and gives each page to use. If an id comes twice
// it is an error, because a server that ignores the cursor would never end. The answer
// is the first page's.
func readAll[T object](ctx context.Context, c *Client, r request, k collection, use func([]T, answer) error) (answer, error) {
	var first answer
	seen := map[string]struct{}{}
	for cursor := ""; ; {
		next := r.and("limit", pageLimit)
		if cursor != "" {
			next = next.and("starting_after", cursor)
		}
		items, more, a, err := readPage[T](ctx, c, next, k)
		if err != nil {
			return answer{}, err
		}
		if cursor == "" {
			first = a
		}
		if len(items) > 0 {
			cursor = items[len(items)-1].header().ID
		}
		if id, twice := addNew(seen, items); twice {
			return answer{}, malformed(r, "the %s %s appears twice in one list", k.kind, id)
		}
		if err := use(items, a); err != nil {
			return answer{}, err
		}
		if !more {
			return first, nil
		}
	}
}

// addNew adds the ids of a page to those seen before it. twice reports that id was
// there already.
func addNew[T object](seen map[string]struct{}, page []T) (id string, twice bool) {
	for _, item := range page {
		id = item.header().ID
		if _, twice = seen[id]; twice {
			return id, true
		}
		seen[id] = struct{}{}
	}
	return "", false
}

// readOne reads one object by its id and checks that it is that one.
func readOne[T object](ctx context.Context, c *Client, r request, k collection, id string) (T, answer, error) {
	var item T
	a, err := c.do(ctx, r)
	if err != nil {
		return item, a, err
	}
	if err := json.Unmarshal(a.body, &item); err != nil {
		return item, a, malformed(r, "%v", decodeError(err))
	}
	a.body = nil
	if err := k.check(item.header(), c.live); err != nil {
		return item, a, malformed(r, "%v", err)
	}
	if got := item.header().ID; got != id {
		return item, a, malformed(r, "asked for %s, got %s", printable(id), got)
	}
	return item, a, nil
}

// badID refuses to send an id that cannot be one of Stripe's.
func badID(r request, kind, id string) error {
	r.path = r.route
	return fault.Wrap(fault.Permanent, &callError{request: r, reason: fmt.Sprintf("%q is not the id of a %s", printable(id), kind)})
}
