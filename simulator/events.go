package simulator

import (
	"strconv"
	"time"
)

const (
	// eventsFor is Stripe's retention; older events leave the list.
	eventsFor = 30 * 24 * time.Hour
	// latestVisible is how late an event may appear in the list. It is below the 60 s
	// that careful clients allow for.
	latestVisible = 50 * time.Second
)

// event is a change, as Stripe's API shows it. Its object is rendered once, when the
// change happens, because Stripe renders an event in the API version of its time.
type event struct {
	id, kind, object string
	created          int64
	birth            uint64
	visible          time.Time // when it appears in the list and for webhooks
	data             string    // JSON of the object
	previous         string    // JSON of previous_attributes, or empty
}

// rank orders the events of one second by a hash, so that neither ids nor places reveal
// which of them came first.
func (e *event) rank() (int64, uint64) { return e.created, mix(e.birth) }

// emit records the event of a change; write writes the object as it is now.
func (w *World) emit(kind, object, previous string, write func(*doc)) {
	n := w.birth()
	e := &event{
		id: "evt_1" + base62(w.prf.nth("evt", n), 23), kind: kind, object: object,
		created: w.now.Unix(), birth: n, visible: w.now, data: text(write), previous: previous,
	}
	if !w.opt.Calm {
		e.visible = w.now.Add(time.Duration(below(w.prf.nth("late event", n), int(latestVisible))))
	}
	w.account.events.put(e.id, e)
	w.webhooks.add(e)
}

func (w *World) emitSubscription(kind string, s *Subscription, previous string) {
	w.emit(kind, s.ID, previous, func(d *doc) { w.writeSubscription(d, s, nil, retrieved) })
}

func (w *World) emitInvoice(kind string, inv *Invoice) {
	w.emit(kind, inv.ID, "", func(d *doc) { w.writeInvoice(d, inv, nil) })
}

// dropOldEvents limits the list to the retention time.
func (w *World) dropOldEvents() {
	oldest := w.now.Add(-eventsFor).Unix()
	rows := w.account.events.rows
	if len(rows) == 0 || rows[0].created >= oldest {
		return
	}
	rows = w.account.events.sorted()
	n := 0
	for n < len(rows) && rows[n].created < oldest {
		delete(w.account.events.byID, rows[n].id)
		rows[n] = nil
		n++
	}
	w.account.events.rows = rows[n:]
}

func (w *World) writeEvent(d *doc, e *event, _ expansion) {
	d.open()
	d.str("id", e.id)
	d.fields(`"object":"event","api_version":"2023-10-16"`)
	d.num("created", e.created)
	d.object("data")
	d.raw("object", e.data)
	if e.previous != "" {
		d.raw("previous_attributes", e.previous)
	}
	d.close()
	d.flag("livemode", w.opt.Livemode)
	d.num("pending_webhooks", 1)
	d.object("request")
	d.null("id", "idempotency_key")
	d.close()
	d.str("type", e.kind)
	w.writeUnknownFields(d)
	d.close()
}

// writeUnknownFields adds fields that clients do not know, because new versions of both
// services add some several times a month.
func (w *World) writeUnknownFields(d *doc) {
	if w.opt.Calm {
		return
	}
	d.fields(`"x_later_addition":{"nested":[1,null,{"deep":true}],"text":"ünïcode"}`)
}

// Event is an event of the account.
type Event struct {
	ID, Type, Object string // Object is the id of what changed
	Created          time.Time
	Visible          time.Time
}

// Events returns those of the last 30 days, oldest first, hidden ones included.
func (w *World) Events() []Event {
	w.enter()
	defer w.mu.Unlock()
	rows := w.account.events.sorted()
	out := make([]Event, len(rows))
	for i, e := range rows {
		out[i] = Event{ID: e.id, Type: e.kind, Object: e.object, Created: time.Unix(e.created, 0).UTC(), Visible: e.visible}
	}
	return out
}

func quote(s string) string { return string(appendString(nil, s)) }

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
