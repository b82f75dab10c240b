package reconcile

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"slices"
)

// PlanID is the id of a held plan: the hash of what it contains and of nothing
// else, so that the same content has the same id in every run, and an approval
// can never release anything that was not shown.
func PlanID(actionIDs []string) string {
	sorted := slices.Clone(actionIDs)
	slices.Sort(sorted)
	var d PlanDigest
	for _, id := range slices.Compact(sorted) {
		d.Add(id)
	}
	return d.ID()
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

// ID is the id of a plan of everything added.
func (d *PlanDigest) ID() string {
	var b []byte
	for _, word := range d.sum {
		b = binary.LittleEndian.AppendUint64(b, word)
	}
	h := sha256.Sum256(b) // the sum of one hash alone would be that hash
	return hex.EncodeToString(h[:8])
}
