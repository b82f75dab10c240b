package app

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/notify"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// NotifyOfRun sends the news of one run, such as that of a CronJob, to NOTIFY_URLS. A message
// that was sent is stored, so that the next run does not repeat it; if no receiver took it,
// it is not stored, and the next run sends it again. The result of the run does not depend
// on it.
func (a *App) NotifyOfRun(ctx context.Context, r reconcile.Report, runErr error) {
	if len(a.Config.NotifyURLs) == 0 {
		return
	}
	ctx = context.WithoutCancel(ctx)
	before, err := a.Store.Notified(ctx)
	if err != nil {
		a.Printf("no message was sent about this run: %v", err)
		return
	}
	w := notify.Watch{Language: a.language()}
	if err := w.Recall(before); err != nil {
		a.Printf("warning: %v", err)
	}
	if message := w.Look(r, runErr); message != "" && !a.deliver(message) {
		return
	}
	if sent := w.Memory(); sent != before {
		if err := a.Store.SetNotified(ctx, sent); err != nil {
			a.Printf("the message was sent and that was not stored, so it may be sent again: %v", err)
		}
	}
}

// language is that of the messages.
func (a *App) language() notify.Language { return notify.Language(a.Config.NotifyLanguage) }

// deliver sends a message, and reports whether any receiver took it.
func (a *App) deliver(message string) bool {
	n, err := notify.New(secret.Each(a.Config.NotifyURLs), a.language(), a.Log)
	if err != nil { // it was checked with the other settings
		a.Printf("no message was sent about this run: %v", err)
		return false
	}
	defer n.Close()
	missed := n.Deliver(message)
	switch {
	case len(missed) == n.Receivers():
		a.Printf("none of NOTIFY_URLS took the message about this run; the next run sends it again. To test them: stripe-enhance check --notify")
		return false
	case len(missed) > 0:
		a.Printf("%s of NOTIFY_URLS did not take the message about this run. To test them: stripe-enhance check --notify", strings.Join(missed, ", "))
	}
	return true
}

// messages are those of the service. Its receivers are those that NOTIFY_URLS has when a
// message comes, because a URL that is in a file is rotated meanwhile.
type messages struct {
	*App

	mu   sync.Mutex // guards all below
	urls []secret.Text
	to   *notify.Notifier
}

func (a *App) newMessages() (*messages, error) {
	urls := secret.Each(a.Config.NotifyURLs)
	to, err := notify.New(urls, a.language(), a.Log)
	return &messages{App: a, urls: urls, to: to}, err
}

// now returns the notifier with the receivers of this moment. The caller holds mu.
func (m *messages) now() *notify.Notifier {
	urls := secret.Each(m.Config.NotifyURLs)
	if slices.Equal(urls, m.urls) {
		return m.to
	}
	to, err := notify.New(urls, m.language(), m.Log)
	if err != nil { // it was checked when it was read
		m.Log.WithError(err).Warn("the receivers stay as they were")
		return m.to
	}
	before := m.to
	go func() { // it delivers the messages that it has, which may take seconds
		_ = fault.Guard(func() error { before.Close(); return nil })
	}()
	m.urls, m.to = urls, to
	return to
}

func (m *messages) queue(message string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now().Queue(message)
}

func (m *messages) none() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now().Receivers() == 0
}

func (m *messages) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.to.Close()
}
