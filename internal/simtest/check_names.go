package simtest

import (
	"strings"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// followsPlan tells that a name which was that of a plan became that of the plan which the
// hosting has now, and that its marker, and our mark before it, stayed whole. The change of
// plan is in the same call.
func (y *play) followsPlan(e simulator.Effect) bool {
	named := func(name string, is func(simulator.Plan) bool) (rest string, ok bool) {
		for _, p := range y.world.Plans() {
			if rest, ok = strings.CutPrefix(name, p.Name+" "); ok && is(p) {
				if strings.HasPrefix(rest, "[sub_") || strings.HasPrefix(rest, "(suspended) [sub_") {
					return rest, true
				}
			}
		}
		return "", false
	}
	before, was := named(e.Before.Name, func(simulator.Plan) bool { return true })
	after, is := named(e.After.Name, func(p simulator.Plan) bool { return p.ID == e.After.Plan })
	return was && is && before == after
}
