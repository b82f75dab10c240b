package engine

import (
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// together is what the runs of one process share, because several of them are under way
// at the same time: one that reads everything, and any number that serve who has just
// paid.
type together struct {
	claims *claims // which run works for a customer
	turns  *turns  // who reads or writes an object
	orders orders  // creates that a brake has let pass and that are not done yet
	trust  trust   // when the account and the panel were last recognised
	// unlistable are orgs whose hostings could not be listed lately.
	unlistable unlistable
	cursors    cursorCache // of the runs under way
	ready      readyNudges // nudges that waited for their customer
}

func newTogether() *together { return &together{claims: newClaims(), turns: newTurns()} }

// orders are the creates that the brake of a run has let pass and that are not in the
// journal as done yet. The brakes of other runs count them, so that runs that are under
// way together do not each make as many as one may. Safe for concurrent use.
type orders struct {
	// judging is held while a brake counts and decides.
	judging sync.Mutex

	mu   sync.Mutex     // guards left
	left map[string]int // by run
}

// others is how many creates the other runs may still do.
func (o *orders) others(run string) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, left := range o.left {
		if id != run {
			n += left
		}
	}
	return n
}

// let notes how many creates a run may do.
func (o *orders) let(run string, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.left == nil {
		o.left = map[string]int{}
	}
	o.left[run] = n
}

// done notes that the journal has the outcome of one of them.
func (o *orders) done(run string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.left[run] > 0 {
		o.left[run]--
	}
}

// end forgets a run that has ended.
func (o *orders) end(run string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.left, run)
}

// trustFor is how long an account or a panel that was recognised is taken to be the same
// by a run that serves who has just paid. A run that looks at more asks by itself.
const trustFor = time.Minute

// trust is when this process last recognised the account and the panel, by the process
// clock. Safe for concurrent use.
type trust struct {
	mu             sync.Mutex // guards all below
	account, panel time.Time
	key, place     string // the fingerprints that were recognised
}

// recognised notes that the account, or the panel, is the one that we know.
func (t *trust) recognised(at *time.Time, pinned *string, pin string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*at, *pinned = time.Now(), pin
}

// lost notes that it is not: whoever relied on it asks again.
func (t *trust) lost(at *time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*at = time.Time{}
}

// holds reports whether that was within trustFor.
func (t *trust) holds(at *time.Time, pinned *string, pin string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return *pinned == pin && !at.IsZero() && time.Since(*at) < trustFor
}

// unlistable remembers for trustFor, by the process clock, which orgs could not be listed,
// so that a flow run need not wait for each of them again. Safe for concurrent use.
type unlistable struct {
	mu  sync.Mutex // guards why
	why map[string]failedList
}

type failedList struct {
	at  time.Time
	err error
}

// note notes how listing the hostings of an org ended.
func (u *unlistable) note(org string, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch kind := fault.Of(err); {
	case kind == fault.Canceled, kind == fault.Fenced: // of this process
	case err == nil:
		delete(u.why, org)
	case u.why == nil:
		u.why = map[string]failedList{org: {time.Now(), err}}
	default:
		u.why[org] = failedList{time.Now(), err}
	}
}

// lately is why an org could not be listed; nil: it could, or that was long ago.
func (u *unlistable) lately(org string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if f, failed := u.why[org]; failed && time.Since(f.at) < trustFor {
		return f.err
	}
	return nil
}

// readyNudges are nudges that a flow run has taken and left to the run that had the
// customer at work, and that can be served now. Safe for concurrent use.
type readyNudges struct {
	mu  sync.Mutex // guards ids
	ids []string
}

func (n *readyNudges) add(ids []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ids = append(n.ids, ids...)
}

// take takes one of them; "": there is none.
func (n *readyNudges) take() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.ids) == 0 {
		return ""
	}
	id := n.ids[0]
	n.ids = n.ids[1:]
	return id
}

// cursorCache is the cursors of the runs that are under way, which share them because one
// may move what another has read. It is dropped with the last of them, and with the token
// that they run under. Safe for concurrent use.
type cursorCache struct {
	mu    sync.Mutex // guards all below
	users int
	tok   reconcile.Token
	at    *loadedCursors
}

// use returns the shared cursors; free must be called when the run has ended.
func (c *cursorCache) use(port Cursors, tok reconcile.Token) (shared *loadedCursors, free func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users == 0 || c.tok != tok {
		c.users, c.tok, c.at = 0, tok, &loadedCursors{Cursors: port}
	}
	c.users++
	mine := c.at
	return mine, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.at == mine {
			c.users--
		}
	}
}
