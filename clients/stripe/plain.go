package stripe

import (
	"encoding/json"
	"unicode/utf8"
)

// plain reads a page of subscriptions as encoding/json does, but builds only the fields
// of the wire types and skips the rest, of which Stripe sends ten times as much. It
// checks all of the page, also what it skips.
//
// It reads nothing that is out of the ordinary: a value of another type, a page that ends
// early, a number with a fraction, a name that encoding/json may take for a field because
// it ignores case. Then it is odd, and the caller gives the whole page to encoding/json.
// So encoding/json alone decides what is refused and why, and whatever plain accepts is
// what encoding/json would have read; FuzzPlain compares the two.
type plain struct {
	b     []byte
	i     int // the next byte of b
	depth int // of what is being skipped
	odd   bool
	words [64]string // texts that were read before, by their hash
}

// plainPage reads a page; ok is false if encoding/json has to read it.
func plainPage(body []byte) (e envelope[subscriptionWire], ok bool) {
	p := plain{b: body}
	plainEnvelope(&p, &e, 100, (*plain).subscription)
	if p.space(); p.i != len(p.b) {
		p.odd = true
	}
	return e, !p.odd
}

func plainEnvelope[T any](p *plain, e *envelope[T], room int, read func(*plain, *T)) {
	for name := range p.object(true) {
		switch string(name) {
		case "object":
			p.word(&e.Object)
		case "has_more":
			p.flagOrNil(&e.HasMore)
		case "data":
			plainList(p, &e.Data, room, read)
		default:
			p.skip()
		}
	}
}

// plainList reads a list of objects.
func plainList[T any](p *plain, list **[]T, room int, read func(*plain, *T)) {
	switch {
	case p.null():
		*list = nil
		return
	case *list != nil: // a second one; encoding/json reuses the objects of the first
		p.odd = true
		return
	}
	p.take('[') // if there is none, the page is odd and what was read of it is dropped
	all := make([]T, 0, room)
	*list = &all
	if p.space() == ']' {
		p.i++
		return
	}
	for !p.odd {
		var one T
		all = append(all, one)
		read(p, &all[len(all)-1])
		if p.space() == ']' {
			p.i++
			return
		}
		p.take(',')
	}
}

func (p *plain) subscription(w *subscriptionWire) {
	for name := range p.object(true) {
		switch string(name) {
		case "id":
			p.text(&w.ID)
		case "object":
			p.word(&w.Object)
		case "livemode":
			p.flagOrNil(&w.Livemode)
		case "status":
			p.word(&w.Status)
		case "customer":
			p.customer(&w.Customer)
		case "cancel_at_period_end":
			p.flag(&w.CancelAtPeriodEnd)
		case "collection_method":
			p.word(&w.CollectionMethod)
		case "pause_collection":
			if allocated(p, &w.PauseCollection) {
				p.skipObject()
			}
		case "items":
			if allocated(p, &w.Items) {
				plainEnvelope(p, w.Items, 1, (*plain).item)
			}
		case "metadata":
			p.texts(&w.Metadata)
		case "test_clock":
			p.reference(&w.TestClock)
		default:
			if at := w.instantOf(string(name)); at != nil {
				p.number(at)
				continue
			}
			p.skip()
		}
	}
}

// instantOf is the field of a subscription that is a time in unix seconds; nil: it is
// another one.
func (w *subscriptionWire) instantOf(name string) *int64 {
	switch name {
	case "created":
		return &w.Created
	case "ended_at":
		return &w.EndedAt
	case "canceled_at":
		return &w.CanceledAt
	case "cancel_at":
		return &w.CancelAt
	case "trial_start":
		return &w.TrialStart
	case "current_period_end":
		return &w.CurrentPeriodEnd
	}
	return nil
}

func (p *plain) customer(w *customerWire) {
	if p.null() {
		return
	}
	for name := range p.object(true) {
		switch string(name) {
		case "id":
			p.text(&w.ID)
		case "object":
			p.word(&w.Object)
		case "livemode":
			p.flagOrNil(&w.Livemode)
		case "email":
			p.text(&w.Email)
		case "name":
			p.text(&w.Name)
		case "deleted":
			p.flag(&w.Deleted)
		default:
			p.skip()
		}
	}
}

func (p *plain) item(w *itemWire) {
	for name := range p.object(true) {
		switch string(name) {
		case "id":
			p.text(&w.ID)
		case "object":
			p.word(&w.Object)
		case "livemode":
			p.flagOrNil(&w.Livemode)
		case "created":
			p.number(&w.Created)
		case "quantity":
			if allocated(p, &w.Quantity) {
				p.number(w.Quantity)
			}
		case "current_period_end":
			p.number(&w.CurrentPeriodEnd)
		case "price":
			if allocated(p, &w.Price) {
				p.price(w.Price)
			}
		case "plan":
			if allocated(p, &w.Plan) {
				p.price(w.Plan)
			}
		default:
			p.skip()
		}
	}
}

func (p *plain) price(w *priceRef) {
	for name := range p.object(true) {
		switch string(name) {
		case "id":
			p.word(&w.ID)
		case "lookup_key":
			p.word(&w.LookupKey)
		case "product":
			p.reference(&w.Product)
		case "livemode":
			p.flagOrNil(&w.Livemode)
		default:
			p.skip()
		}
	}
}

// allocated makes room for a value; false: it is null, and so is the pointer.
func allocated[T any](p *plain, v **T) bool {
	if p.null() {
		*v = nil
		return false
	}
	if *v == nil {
		*v = new(T)
	}
	return true
}

// text reads a string. As everywhere in encoding/json, null changes nothing.
func (p *plain) text(v *string) {
	if p.null() {
		return
	}
	raw, class := p.quoted()
	switch {
	case p.odd:
	case class&(escaped|high) == 0 || class&escaped == 0 && utf8.Valid(raw):
		*v = string(raw[1 : len(raw)-1])
	default:
		p.odd = json.Unmarshal(raw, v) != nil
	}
}

// word is text for values that many objects share: each is stored once.
func (p *plain) word(v *string) {
	if p.null() {
		return
	}
	begin := p.i
	raw, class := p.quoted()
	if p.odd || class&(escaped|high) != 0 {
		p.i = begin
		p.text(v)
		return
	}
	raw = raw[1 : len(raw)-1]
	hash := uint(len(raw))
	for _, c := range raw {
		hash = hash*31 + uint(c)
	}
	if known := &p.words[hash%uint(len(p.words))]; *known == string(raw) {
		*v = *known
	} else {
		*known = string(raw)
		*v = *known
	}
}

// reference reads the id of an object that may come expanded.
func (p *plain) reference(v *idRef) {
	switch p.space() {
	case '{':
		begin := p.i
		p.skip()
		if !p.odd {
			p.odd = v.UnmarshalJSON(p.b[begin:p.i]) != nil
		}
	case 'n':
		if p.null() {
			*v = ""
		}
	default:
		p.word((*string)(v))
	}
}

// texts reads an object of strings.
func (p *plain) texts(v *map[string]string) {
	if p.null() {
		*v = nil
		return
	}
	if *v == nil {
		*v = map[string]string{}
	}
	for name := range p.object(false) {
		var value string
		p.text(&value)
		(*v)[string(name)] = value
	}
}

// yes and no are the values that pointers of plain share. The wire types are only read.
var yes, no = true, false

// flagOrNil reads a flag whose absence means something.
func (p *plain) flagOrNil(v **bool) {
	*v = nil
	if p.null() {
		return
	}
	var flag bool
	if p.flag(&flag); flag {
		*v = &yes
	} else {
		*v = &no
	}
}
