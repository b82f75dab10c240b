package reconcile

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"slices"
)

// LeastOfPlanID is how much of an id an approval has to name. Fewer characters are a
// slip of the hand, or a guess, and may release another plan than was meant.
const LeastOfPlanID = 8

// PlanIDTooShort says so of an approval that names less.
func PlanIDTooShort(id string) string {
	return fmt.Sprintf("%q is too short: an approval needs at least the first %d characters of the plan's id", id, LeastOfPlanID)
}

// PlanID is the id of the first held plan of its kind: the hash of what it contained
// when it began.
func PlanID(actionIDs []string) string { return PlanIDAfter("", actionIDs) }

// PlanIDAfter is the id of a held plan that begins with these actions, where the last
// one of its kind was prev.
func PlanIDAfter(prev string, actionIDs []string) string {
	sorted := slices.Clone(actionIDs)
	slices.Sort(sorted)
	var d PlanDigest
	for _, id := range slices.Compact(sorted) {
		d.Add(id)
	}
	return d.After(prev)
}

// PlanDigest makes a PlanID of actions that come one by one and in any order: the
// sum, modulo 2²⁵⁶, of the hash of each. A plan may be larger than memory should
// be, and sorting it would need all of it. The zero value is the empty plan.
type PlanDigest struct{ sum [4]uint64 }

// Add counts an action in. Each may be added once.
func (d *PlanDigest) Add(actionID string) {
	h := sha256.Sum256([]byte(actionID))
	var carry uint64
	for i := range d.sum {
		d.sum[i], carry = bits.Add64(d.sum[i], binary.LittleEndian.Uint64(h[8*i:]), carry)
	}
}

// After is the id of a plan that begins with everything added, where the last plan of
// its kind was prev ("": there was none). A dry run gives the same id as the run after
// it, and the same changes held once more, long after they were done, get another one.
func (d *PlanDigest) After(prev string) string {
	var b []byte
	for _, word := range d.sum {
		b = binary.LittleEndian.AppendUint64(b, word)
	}
	h := sha256.Sum256(append(b, prev...)) // the sum of one hash alone would be that hash
	return hex.EncodeToString(h[:8])
}
