package reconcile

import (
	"slices"
	"time"
)

// Website is one website of an org, on one of its hostings.
type Website struct {
	Domain  string
	Hosting int64
}

// Content lists the websites of a hosting, as of the last listing of its org. The zero
// value: they were never listed. Everything else on it (mailboxes, databases) is in
// Hosting.Usage, which every reading of the hosting renews.
type Content struct {
	Sites  []string // domains in alphabetical order, the first MostSites of them
	Count  int      // how many websites there are
	Unread string   // why the panel does not list them; "" when it did
	ReadAt time.Time
}

// MostSites is how many domains of a hosting are kept: enough for a person to
// recognise it by.
const MostSites = 5

// ContentOf sorts the websites of an org by hosting.
func ContentOf(sites []Website, at time.Time) map[int64]Content {
	on := map[int64]Content{}
	for _, s := range sites {
		c := on[s.Hosting]
		c.Sites, c.Count, c.ReadAt = append(c.Sites, s.Domain), c.Count+1, at
		on[s.Hosting] = c
	}
	for id, c := range on {
		slices.Sort(c.Sites)
		c.Sites = c.Sites[:min(len(c.Sites), MostSites)]
		on[id] = c
	}
	return on
}
