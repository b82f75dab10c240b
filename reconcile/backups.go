package reconcile

import "time"

// Backups shows how far the backups of a hosting's websites have come. It is read only
// for a hosting that is to be deleted.
type Backups struct {
	ReadAt time.Time // zero: never
	// Since is when a backup must have begun, at the earliest, to count: the websites have not
	// changed since the hosting was suspended.
	Since time.Time
	// Lacking is the domain of the first website without a backup that counts; "": none is
	// without.
	Lacking string
	// Began is when the backup of that website began that is under way, and Failed when the
	// last one that failed began. Zero: there is none.
	Began, Failed time.Time
	// Refused is why the panel does not show the backups; "": it does.
	Refused string
}

// Complete reports whether each website has a backup.
func (b *Backups) Complete() bool { return !b.ReadAt.IsZero() && b.Lacking == "" && b.Refused == "" }
