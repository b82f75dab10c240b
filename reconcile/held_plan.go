package reconcile

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"slices"
	"time"
)

// HeldPlan is the changes of one kind that a brake holds. It waits from the first change
// that is held until a person approves it, or until nothing in it is wanted any more; when
// the brake holds more changes of the kind, they join it.
type HeldPlan struct {
	// ID stays the same as long as the plan waits: see [HeldPlanDigest.After].
	ID   string
	Kind ActionKind
	// Version counts the content: it rises when a change joins, and an approval
	// is of one version. 0: not all of it is stored yet.
	Version int
	Created time.Time
	// Expires is when its approval ends; zero while it waits, which is without limit.
	Expires time.Time
	// Approved is zero until a person approves the plan; By is that person.
	Approved time.Time
	By       string
	// Closed is when nothing in it was wanted any more, if it had not been approved.
	Closed  time.Time
	Reason  string // a sentence: how many of what, over which limit
	Actions []Action
	// Joined is, for each of Actions, the version with which it joined; nil: not known.
	Joined []int
	// Total is how many actions the plan has, where Actions are only the first of
	// them; 0 when they are all.
	Total int
	// More means that another part of the plan follows. A plan, or a version of it, is not
	// shown before its last part is stored.
	More bool
}

// Waits reports whether the plan can be approved.
func (p HeldPlan) Waits() bool { return p.Version > 0 && p.Approved.IsZero() && p.Closed.IsZero() }

// ApprovalLife is how long an approval releases changes that have not been made yet. After
// it, those that are still wanted are held again.
const ApprovalLife = 24 * time.Hour

// HeldAction is an action that stands in a plan: held by it, or released by its
// approval and not done yet.
type HeldAction struct {
	Action
	Plan     string
	Brake    ActionKind // of the plan
	Released bool       // by an approval that has not ended
}

// Size is how many actions the plan has.
func (p HeldPlan) Size() int { return max(p.Total, len(p.Actions)) }

// MinHeldPlanID is how much of an id an approval or a rejection has to name. Fewer characters are a
// slip of the hand, or a guess, and may release another plan than was meant.
const MinHeldPlanID = 8

// HeldPlanIDTooShort is the sentence for a decision that names less.
func HeldPlanIDTooShort(id string) string {
	return fmt.Sprintf("%q is too short: approving or rejecting needs at least the first %d characters of the plan's id", id, MinHeldPlanID)
}

// HeldPlanID is the id of the first held plan of its kind: the hash of its content when it
// began.
func HeldPlanID(actionIDs []string) string { return HeldPlanIDAfter("", actionIDs) }

// HeldPlanIDAfter is the id of a held plan that begins with these actions, where the last
// one of its kind was prev.
func HeldPlanIDAfter(prev string, actionIDs []string) string {
	sorted := slices.Clone(actionIDs)
	slices.Sort(sorted)
	var d HeldPlanDigest
	for _, id := range slices.Compact(sorted) {
		d.Add(id)
	}
	return d.After(prev)
}

// HeldPlanDigest makes a HeldPlanID of actions that come one by one and in any order: the
// sum, modulo 2²⁵⁶, of the hash of each. Sorting would need the whole plan in memory, and
// a plan may be large. The zero value is the empty plan.
type HeldPlanDigest struct{ sum [4]uint64 }

// Add counts an action in. Each may be added once.
func (d *HeldPlanDigest) Add(actionID string) {
	h := sha256.Sum256([]byte(actionID))
	var carry uint64
	for i := range d.sum {
		d.sum[i], carry = bits.Add64(d.sum[i], binary.LittleEndian.Uint64(h[8*i:]), carry)
	}
}

// After is the id of a plan that begins with everything added, where the last plan of
// its kind was prev ("": there was none). A dry run gives the same id as the run after
// it, and the same changes held once more, long after they were done, get another one.
func (d *HeldPlanDigest) After(prev string) string {
	var b []byte
	for _, word := range d.sum {
		b = binary.LittleEndian.AppendUint64(b, word)
	}
	h := sha256.Sum256(append(b, prev...)) // the sum of one hash alone would be that hash
	return hex.EncodeToString(h[:8])
}
