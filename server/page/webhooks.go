package page

import "github.com/stripe-enhance/stripe-enhance/reconcile"

// mostWebhooks is how many events the lists look back.
const mostWebhooks = 1000

// webhooksBody is the body of the list of events.
type webhooksBody struct {
	*list
	Shown  string // "", failed, healed
	Failed int    // on all pages
	Most   int    // events that the list looks back; 0: it has all there are
}

// webhooks lists the events that Stripe has sent: the newest, those that failed, or those that
// failed and that a later run has made good.
func (v *visit) webhooks() (any, error) {
	ctx, b := v.r.Context(), webhooksBody{}
	failed, total, err := v.ports.Overview.FailedWebhooks(ctx, mostWebhooks)
	if err != nil {
		return nil, err
	}
	all := failed
	b.Failed, b.Shown = total, v.r.URL.Query().Get("show")
	if b.Shown != "failed" {
		if all, err = v.ports.Overview.RecentWebhooks(ctx, mostWebhooks); err != nil {
			return nil, err
		}
	}
	if len(all) == mostWebhooks {
		b.Most = mostWebhooks
	}
	columns := []column{{Key: "webhooks.event"}, {Key: "webhooks.subscription"}, {Key: "webhooks.received", Kind: "time"}, {Key: "webhooks.state", Kind: "state"}, {Key: "webhooks.finished", Kind: "time"}, {Key: "webhooks.error"}}
	var rows []row
	for i := range all {
		if r := &all[i]; b.Shown != "healed" || healed(r) {
			rows = append(rows, row{{Text: r.Type, Note: r.EventID}, subscriptionCell(r.Subscription), {At: r.ReceivedAt}, v.eventState(r), {At: r.FinishedAt}, {Text: r.Error}})
		}
	}
	empty := "webhooks.none"
	switch b.Shown {
	case "failed":
		empty = "webhooks.none_failed"
	case "healed":
		empty = "webhooks.none_healed"
	default:
		b.Shown = ""
	}
	b.list = v.paged(empty, columns, rows)
	return b, nil
}

// healed reports whether an event failed, and a later run has made it good.
func healed(r *reconcile.WebhookRecord) bool {
	return r.State == reconcile.WebhookFollowed && r.Error != ""
}

func (v *visit) eventState(r *reconcile.WebhookRecord) cell {
	switch {
	case healed(r):
		return cell{Text: v.T("webhooks.healed"), Mark: "good"}
	case r.State == reconcile.WebhookFollowed:
		return cell{Text: v.T("webhooks.followed"), Mark: "good"}
	case r.State == reconcile.WebhookFailed:
		return cell{Text: v.T("webhooks.failed"), Mark: "bad"}
	}
	return cell{Text: v.T("webhooks.waits"), Mark: "wait"}
}
