package reconcile

import "time"

// DomainUse is the panel's answer to the question whether a website may have a domain. The
// zero value: it was not asked.
type DomainUse struct {
	Domain string
	Status DomainStatus
	// Org and Hosting are where a website of a customer has the domain; "" and 0: not known.
	Org     string
	Hosting int64
	// Refused is why the panel did not make the website, although it had the domain as free.
	Refused string
	ReadAt  time.Time
	// FreeAt is when the domain was free, right before its website was to be made; it stays
	// while the panel shows that website on its hosting. Zero: it was not.
	FreeAt time.Time
}

// DomainStatus is Enhance's word for the use of a domain (orchd OpenAPI 12.3.0,
// DomainInUseStatus).
type DomainStatus string

const (
	DomainFree        DomainStatus = "notInUse"
	DomainProhibited  DomainStatus = "prohibited"
	DomainOwnOrg      DomainStatus = "inUseCurrentOrg"
	DomainOtherOrg    DomainStatus = "inUseAnotherOrg"
	DomainDeletedSite DomainStatus = "inUseDeletedSite"
	// DomainUnknown: the panel does not answer the question, or with another word.
	DomainUnknown DomainStatus = "unknown"
)

// ParseDomainStatus is DomainUnknown for a word that is not known.
func ParseDomainStatus(word string) DomainStatus {
	switch s := DomainStatus(word); s {
	case DomainFree, DomainProhibited, DomainOwnOrg, DomainOtherOrg, DomainDeletedSite:
		return s
	case DomainUnknown:
	}
	return DomainUnknown
}

// Blocks reports whether a website with the domain cannot be made on a hosting. If that
// hosting has the website already, making it again finds it.
func (u DomainUse) Blocks(hosting int64) bool {
	switch u.Status {
	case DomainProhibited, DomainOtherOrg, DomainDeletedSite:
		return true
	case DomainOwnOrg:
		return u.Hosting != hosting
	case DomainFree, DomainUnknown:
	}
	return false
}
