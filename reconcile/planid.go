package reconcile

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// PlanID is the id of a held plan: the hash of what it contains and of nothing
// else, so that the same content has the same id in every run, and an approval
// can never release anything that was not shown.
func PlanID(actionIDs []string) string {
	sorted := slices.Clone(actionIDs)
	slices.Sort(sorted)
	h := sha256.New()
	for _, id := range slices.Compact(sorted) {
		h.Write([]byte(id))
		h.Write([]byte{'\n'})
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
