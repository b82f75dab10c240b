package simtest

import (
	"math/rand/v2"
	"time"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// apps gives a third of the companies hosting with WordPress on it, whose panel installs it
// slowly, badly or not at all. It has random numbers of its own.
func apps(s *Scenario) {
	dice := rand.New(rand.NewPCG(s.Seed, 0xa995))
	s.Company.WordPress = dice.IntN(3) == 0
	if dice.IntN(2) == 0 {
		s.Company.Apps.Take = 3 * time.Minute
	}
	s.Company.Apps.Fail, s.Company.Apps.Denied = dice.IntN(8) == 0, dice.IntN(8) == 0
}

// ontoNothing holds an install against what was on the website: it is of our making, and
// had no application and no database.
func (y *play) ontoNothing(e simulator.Effect) {
	if !y.made[e.Object] {
		y.violated(AppOnNothing, "an application was installed on website %s, which we did not make", e.Object)
	}
	for _, s := range y.world.Websites() {
		if s.ID == e.Object && len(s.Databases) > 1 {
			y.violated(AppOnNothing, "an application was installed on %s beside %d databases", s.Domain, len(s.Databases)-1)
		}
	}
}
