package planner

import (
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// refusedFor is how long a website that the panel refused, without a reason that may pass,
// stands before it is asked again.
const refusedFor = 24 * time.Hour

// domainBlocked reports whether the ordered domain cannot have a website on a hosting, as
// far as the panel has answered. It is asked again every hour, because people free a domain
// in the panel without a message to us.
func (pl *planner) domainBlocked(s *assessed, h *reconcile.Hosting) bool {
	use := h.DomainUse
	if use.Domain != s.domain {
		use = reconcile.DomainUse{}
	}
	refused := h.WebsiteTaken == s.domain && use.Status != reconcile.DomainFree && use.Status != reconcile.DomainOwnOrg
	if !refused && !use.Blocks(h.ID) {
		return false
	}
	again := recheckAfter
	if use.Status == reconcile.DomainUnknown {
		again = refusedFor
	}
	pl.recheckAt(pl.now.Add(again))
	if again == recheckAfter {
		again = pl.policy.Freshness() // a person who has freed it, and runs it again, need not wait
	}
	if !pl.now.Before(use.ReadAt.Add(again)) {
		pl.addNeed(Need{Kind: NeedDomainUse, Org: h.Org, Hosting: h.ID, Domain: s.domain})
	}
	return true
}
