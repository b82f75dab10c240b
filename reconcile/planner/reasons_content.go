package planner

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// describeContent lists the content of a hosting, for people. Its websites have been asked
// for: nothing is decided about content before that.
func describeContent(h *reconcile.Hosting) string {
	var parts []string
	if c := h.Content; c.Count > 0 {
		parts = append(parts, plural(int64(c.Count), "website")+" ("+strings.Join(c.Sites, ", ")+")")
		if c.Count > len(c.Sites) {
			parts[0] = fmt.Sprintf("%s (%s and %d more)", plural(int64(c.Count), "website"), strings.Join(c.Sites, ", "), c.Count-len(c.Sites))
		}
	}
	usage := slices.Clone(h.Usage)
	slices.SortFunc(usage, func(a, b reconcile.Usage) int { return strings.Compare(a.Name, b.Name) })
	for _, u := range usage {
		if u.Used <= 0 || passing[u.Name] || u.Name == "websites" && u.Used <= int64(h.Content.Count) {
			continue
		}
		if word := countsOf[u.Name]; word != "" {
			parts = append(parts, plural(u.Used, word))
		} else {
			parts = append(parts, fmt.Sprintf("%s %d", u.Name, u.Used))
		}
	}
	if h.Content.Unread != "" {
		parts = append(parts, "its websites cannot be listed: "+h.Content.Unread)
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

// plural is a number with its word.
func plural(n int64, word string) string {
	switch {
	case n == 1:
		return "1 " + word
	case strings.HasSuffix(word, "x") || strings.HasSuffix(word, "s"):
		return fmt.Sprintf("%d %ses", n, word)
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// hostingWithContent is one hosting in a list.
func hostingWithContent(l *assignment, h *reconcile.Hosting) string {
	return fmt.Sprintf("hosting %d of %s: %s", h.ID, l.Subscription, describeContent(h))
}

// notDeletedForContent is for a hosting with content at the end of its retention period.
func notDeletedForContent(h *reconcile.Hosting, parts []string) string {
	return fmt.Sprintf("hosting %d was to be deleted at the end of the retention period, but it holds %s, and the same customer keeps one that may hold less (%s): it is not deleted. "+
		"Move its content, or delete hosting %d in the panel if it is not wanted", h.ID, describeContent(h), strings.Join(parts[:min(len(parts), mostListed)], "; "), h.ID)
}

// replacesEmpty is for a hosting with content that takes the place of an empty one.
func (pl *planner) replacesEmpty(l, e *assignment, was string) string {
	return fmt.Sprintf("hosting %d of %s has %s, and hosting %d of %s has nothing on it: %s is served by hosting %d",
		l.Hosting, was, describeContent(&pl.c.Hostings[l.hosting]), e.Hosting, e.Subscription, l.Subscription, l.Hosting)
}

// emptyNotNeeded is for the empty hosting whose place another one has taken.
func emptyNotNeeded(e, l *assignment) string {
	return fmt.Sprintf("hosting %d, which has nothing on it, is not needed: hosting %d serves %s", e.Hosting, l.Hosting, e.Subscription)
}

// allHaveContent is for a quantity that fell while every hosting has content.
func (pl *planner) allHaveContent(c *contest, i int, l *assignment, n int) string {
	return fmt.Sprintf("%s, and every hosting of it has something on it (%s): nothing is taken away until a person has chosen. "+
		"Suspend the one that goes in the panel%s", l.reason, pl.list(c, i, l.sub), pl.chooseOne(l, n))
}

// contentWhileCreating is for a hosting with content while the same customer is about to get another one.
func (pl *planner) contentWhileCreating(l *assignment) string {
	return fmt.Sprintf("%s, but there is %s on hosting %d, and another hosting is about to be made for the same customer: nothing is taken away. "+
		"Suspend hosting %d in the panel if it is not wanted", l.reason, describeContent(&pl.c.Hostings[l.hosting]), l.Hosting, l.Hosting)
}

// othersMayHaveLess is for a hosting with content beside one that stays and may be empty.
func (pl *planner) othersMayHaveLess(c *contest, i int, l, other *assignment) string {
	return fmt.Sprintf("%s, but a hosting of the same customer that stays may have less on it (%s): nothing is taken away until a person has chosen. "+
		"%s keeps hosting %d; suspend it in the panel if it is not wanted",
		l.reason, pl.list(c, i, -1), pl.bindKept(l, other), l.Hosting)
}

// chooseOne is the other way to choose, where only one is left.
func (pl *planner) chooseOne(l *assignment, left int) string {
	if left > 1 {
		return ""
	}
	return fmt.Sprintf(", or name the one that stays in the metadata enhance_org_id and enhance_subscription_id of %s", l.Subscription)
}

// list names the hostings among which a person has to choose, with their content: that of
// assignment i, the others that go, and those that stay; of one subscription, or of all
// (-1).
func (pl *planner) list(c *contest, i, sub int) string {
	var parts []string
	more := 0
	for _, o := range slices.Concat([]int{i}, c.losers, c.keepers) {
		l := &pl.assignments[o]
		if o == i && len(parts) > 0 || sub >= 0 && l.sub != sub {
			continue
		}
		if len(parts) == mostListed {
			more++
			continue
		}
		parts = append(parts, hostingWithContent(l, &pl.c.Hostings[l.hosting]))
	}
	if more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}

// moreThanPlaces is for more hostings with content than a returning customer has units.
func (pl *planner) moreThanPlaces(c *contest, s int, full []int, first *assignment) string {
	return fmt.Sprintf("%s can have the hosting of a subscription that has ended, and more of them have something on them than there are places for (%s): all stay as they are until a person has chosen. "+
		"`%s` keeps hosting %d, and the same for another one",
		pl.subs[s].ID, pl.list(c, full[0], -1), BindCommand(pl.subs[s].ID, first.Hosting, pl.bindFlags(pl.subs[s].ID, first.Org, first.Hosting)...), first.Hosting)
}
