package reconcile

import "strings"

const (
	// suspendedWord stands right before the marker in the name of a hosting that we
	// suspended, "Basic (suspended) [sub_1Nq/1]", and unmarkedTail at the end of a name
	// that has no marker, with the word of the installation where it has one. Either is
	// sent in one call with the suspension, so a database that was put back to an old copy
	// finds the suspensions that it has forgotten.
	suspendedWord = "(suspended) "
	unmarkedTail  = " " + suspendedWord + "[stripe-enhance"
)

// SuspendedName is the friendly name that a hosting gets with our suspension. The marker
// stays as it is. A name with the marker of another installation is theirs to change.
func SuspendedName(name, instance string) string {
	m, marked := MarkerOf(name)
	switch {
	case marked && m.Of(instance) == Marker{}, SuspensionMarked(name, instance):
		return name
	case marked:
		i := strings.LastIndexByte(name, '[')
		return name[:i] + suspendedWord + name[i:]
	}
	if strings.TrimSpace(name) == "" { // a panel may cut spaces at the ends
		return strings.TrimPrefix(tailOf(instance), " ")
	}
	return name + tailOf(instance)
}

// ResumedName is the inverse of SuspendedName, byte for byte; a name that does not carry
// our mark stays as it is.
func ResumedName(name, instance string) string {
	if !SuspensionMarked(name, instance) {
		return name
	}
	if tail := tailOf(instance); strings.HasSuffix(" "+name, tail) {
		return strings.TrimPrefix(strings.TrimSuffix(" "+name, tail), " ")
	}
	i := strings.LastIndexByte(name, '[')
	return name[:i-len(suspendedWord)] + name[i:]
}

// SuspensionMarked reports whether a name shows that this installation suspended the
// hosting. The word alone proves nothing: a customer may choose such a name.
func SuspensionMarked(name, instance string) bool {
	if strings.HasSuffix(" "+name, tailOf(instance)) {
		return true
	}
	m, marked := MarkerOf(name)
	return marked && m.Of(instance) != Marker{} && strings.HasSuffix(name[:strings.LastIndexByte(name, '[')], suspendedWord)
}

func tailOf(instance string) string {
	if instance != "" {
		instance = "@" + instance
	}
	return unmarkedTail + instance + "]"
}
