package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"
	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

const (
	// boxSize is how many messages may wait for one receiver. More than that within the
	// time of three attempts is noise.
	boxSize = 16
	// sendLimit is how long one attempt may take.
	sendLimit = 10 * time.Second
	// mostHanging is how many calls to one receiver may hang. If as many hang, nothing
	// more is sent there until one of them ends.
	mostHanging = 4
	// farewell is how long messages may take at the end of the process.
	farewell = 3 * time.Second
	// again is how long Deliver waits before its second attempt.
	again = 2 * time.Second
)

// pauses are the waits between the attempts of one message.
var pauses = []time.Duration{5 * time.Second, 30 * time.Second}

// Send delivers one message to one receiver.
type Send func(message string) error

// Notifier delivers messages to receivers. Queue never blocks.
type Notifier struct {
	log       *logrus.Logger
	receivers []*receiver
	ctx       context.Context // ends the waits between attempts
	stop      context.CancelFunc
	working   sync.WaitGroup

	mu     sync.Mutex // guards closed, and the closing of the boxes
	closed bool
}

// receiver is one address with its box. Its name may be logged.
type receiver struct {
	name string
	send Send
	box  chan string
	// hanging has a token for each call that goes on, even after it was given up.
	hanging chan struct{}
}

// New connects shoutrrr URLs; subjects of mails are in the language. An error names the position of a URL and never the URL.
// No receiver is contacted before the first message.
func New(urls []secret.Text, in Language, log *logrus.Logger) (*Notifier, error) {
	var problems []error
	sends, names := []Send{}, []string{}
	for i, u := range urls {
		if err := Check(u); err != nil {
			problems = append(problems, fmt.Errorf("NOTIFY_URLS: URL %d of %d: %w", i+1, len(urls), err))
			continue
		}
		sends, names = append(sends, sender(u, in)), append(names, fmt.Sprintf("%d (%s)", i+1, scheme(u)))
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return start(names, sends, log), nil
}

// Check reports whether a shoutrrr URL can be used, without contacting the receiver. The
// library's own error may quote the URL, so it is not passed on.
func Check(u secret.Text) error {
	if _, _, ok := strings.Cut(u.Reveal(), "://"); !ok {
		return errors.New("it is not SERVICE://… (a comma within a URL is written %2C); see the list of services of shoutrrr")
	}
	if signsInFirst(u) {
		if parsed, err := url.Parse(u.Reveal()); err != nil || parsed.Host == "" {
			return fmt.Errorf("it is not one that the service %q understands", scheme(u))
		}
		return nil
	}
	if _, err := (&router.ServiceRouter{}).Locate(u.Reveal()); err != nil {
		return fmt.Errorf("it is not one that the service %q understands", scheme(u))
	}
	return nil
}

// signsInFirst reports whether the library signs in as soon as it reads the URL, as it
// does for Matrix. Such a URL is read when there is a message, because a chat that is down
// must not keep a service from starting.
func signsInFirst(u secret.Text) bool { return strings.HasPrefix(u.Reveal(), "matrix://") }

// sender makes the Send of a URL that was checked.
func sender(u secret.Text, in Language) Send {
	params := subject(u, in)
	return func(message string) error {
		service, err := (&router.ServiceRouter{}).Locate(u.Reveal())
		if err != nil {
			return err
		}
		return service.Send(message, params)
	}
}

// subject is that of mails, unless the URL has one; nil for other services. The library
// writes it into the header as it is, so it is encoded here.
func subject(u secret.Text, in Language) *types.Params {
	parsed, err := url.Parse(u.Reveal())
	if err != nil || parsed.Scheme != "smtp" {
		return nil
	}
	for key := range parsed.Query() {
		if key = strings.ToLower(key); key == "subject" || key == "title" {
			return nil
		}
	}
	return &types.Params{"subject": mime.QEncoding.Encode("utf-8", in.text("mail.subject"))}
}

// scheme names the service of a URL. It shows only names of services that exist, because a
// mistyped URL may begin with a secret.
func scheme(u secret.Text) string {
	scheme, _, _ := strings.Cut(u.Reveal(), "://")
	service, _, _ := strings.Cut(scheme, "+") // generic+https
	if !slices.Contains((&router.ServiceRouter{}).ListServices(), service) {
		return "unknown"
	}
	return service
}

func start(names []string, sends []Send, log *logrus.Logger) *Notifier {
	if log == nil {
		log = logrus.New()
		log.SetOutput(io.Discard)
	}
	ctx, stop := context.WithCancel(context.Background())
	n := &Notifier{log: log, ctx: ctx, stop: stop}
	for i, send := range sends {
		r := &receiver{name: names[i], send: send, box: make(chan string, boxSize), hanging: make(chan struct{}, mostHanging)}
		n.receivers = append(n.receivers, r)
		n.working.Go(func() {
			if err := fault.Guard(func() error { n.work(r); return nil }); err != nil {
				n.log.WithField("receiver", r.name).WithField("stack", fault.StackOf(err)).WithError(err).Error("nothing more is sent to this receiver")
			}
		})
	}
	return n
}

// Queue puts a message into every box that has room. It never blocks.
func (n *Notifier) Queue(message string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed || message == "" {
		return
	}
	for _, r := range n.receivers {
		select {
		case r.box <- message:
		default:
			n.log.WithField("receiver", r.name).Warn("notification dropped: the receiver is too slow")
		}
	}
}

// work delivers the messages of one box, in order.
func (n *Notifier) work(r *receiver) {
	for message := range r.box {
		n.deliver(r, message)
	}
}

func (n *Notifier) deliver(r *receiver, message string) {
	for attempt := 0; ; attempt++ {
		err := within(sendLimit, func() error { return r.try(message) })
		switch {
		case err == nil:
			n.log.WithField("receiver", r.name).Debug("notification sent")
			return
		case attempt == len(pauses) || n.ctx.Err() != nil:
			n.log.WithField("receiver", r.name).Error("notification not delivered")
			return
		}
		timer := time.NewTimer(pauses[attempt])
		select {
		case <-timer.C:
		case <-n.ctx.Done():
			timer.Stop()
		}
	}
}

// Deliver sends a message to every receiver, a second time if the first attempt fails, and
// waits for that. It returns the names of the receivers that did not take it, which are
// their places in NOTIFY_URLS with their services. Do not mix it with Queue.
func (n *Notifier) Deliver(message string) (missed []string) {
	failed := make([]error, len(n.receivers))
	var all sync.WaitGroup
	for i, r := range n.receivers {
		all.Go(func() { failed[i] = fault.Guard(func() error { return r.twice(message) }) })
	}
	all.Wait()
	for i, r := range n.receivers {
		if failed[i] != nil {
			missed = append(missed, r.name)
		}
	}
	return missed
}

func (r *receiver) twice(message string) error {
	send := func() error { return within(sendLimit, func() error { return r.try(message) }) }
	if send() == nil {
		return nil
	}
	time.Sleep(again)
	return send()
}

// Receivers returns how many receivers there are.
func (n *Notifier) Receivers() int { return len(n.receivers) }

// try sends a message, unless too many calls to the receiver hang.
func (r *receiver) try(message string) error {
	select {
	case r.hanging <- struct{}{}:
	default:
		return errSlow
	}
	defer func() { <-r.hanging }()
	return r.send(message)
}

var errSlow = errors.New("no answer in time")

// within gives up on a call after a time. The call cannot be stopped, and goes on until
// its own transport gives up.
func within(limit time.Duration, call func() error) error {
	done := make(chan error, 1)
	go func() { done <- fault.Guard(call) }() // the library of a receiver may panic
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return errSlow
	}
}

// Close delivers the messages in the boxes, with one attempt each, for at most farewell.
func (n *Notifier) Close() {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return
	}
	n.closed = true
	for _, r := range n.receivers {
		close(r.box)
	}
	n.mu.Unlock()
	n.stop()
	_ = within(farewell, func() error { n.working.Wait(); return nil })
}
