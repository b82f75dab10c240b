package reconcile

import "time"

// App is an application that the panel installs on a website, in Enhance's word for it.
type App string

// AppWordPress is the only one that Enhance has (orchd OpenAPI 12.3.0, WebsiteAppKind).
const AppWordPress App = "wordpress"

// SiteApp is an application that was ordered with a website, and how far it has come. The
// zero value: none was ordered when the website was made.
type SiteApp struct {
	App    App
	Domain string // of the website
	// MadeAt is when we made the website; zero: it is not known to be of our making.
	MadeAt time.Time
	// Done is since when there is nothing left to do: an application is there, or the website
	// is gone.
	Done time.Time
	// Databases is how many databases the website had when it was last read without an
	// application.
	Databases int
	// Refused is why the panel does not install it, or does not show it, as of RefusedAt.
	Refused   string
	RefusedAt time.Time
	ReadAt    time.Time
}

// SiteApps is what the panel shows on a website: the applications and, where there are
// none, the number of databases.
type SiteApps struct {
	Gone      bool // the hosting has no such website any more
	Apps      []string
	Databases int
}

// FoundSite is a website that was there when it was to be made. The zero value: it was made.
type FoundSite struct {
	Found   bool
	Created time.Time // zero: not known
}

// slowCreate is how long a website may be in the making.
const slowCreate = 10 * time.Minute

// MadeByUs reports whether a website that was found is the one that an earlier attempt of
// ours has made: it came into being right after its domain was free.
func (f FoundSite) MadeByUs(use DomainUse) bool {
	return !f.Created.IsZero() && !use.FreeAt.IsZero() && !f.Created.Before(use.FreeAt.Add(-time.Minute)) && f.Created.Before(use.FreeAt.Add(slowCreate))
}
