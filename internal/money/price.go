package money

import "math/big"

// Price is what a quantity of one thing costs for an interval.
type Price struct {
	ID       string
	Currency string
	Interval string // day, week, month or year
	Count    int64  // so many of them
	Metered  bool   // it costs by use, which no price shows
	// Unit is the price of one, in the smallest unit; nil if it has tiers.
	Unit *big.Rat
	// Tiers are in order of UpTo. Volume means that the tier of the whole quantity counts
	// for all of it; else each unit counts by the tier that it is in.
	Tiers  []Tier
	Volume bool
	// Divide is by how much the quantity is divided before it counts, and RoundUp how the
	// rest does; 0: it is not.
	Divide  int64
	RoundUp bool
}

// Tier is a part of the quantities of a price.
type Tier struct {
	UpTo int64    // the last quantity in it; 0: it has no end
	Unit *big.Rat // for one; nil: nothing
	Flat *big.Rat // for having reached it; nil: nothing
}

// total is what a quantity costs for one interval. The error is an [Unknown].
func (p *Price) total(quantity int64) (*big.Rat, error) {
	switch {
	case p.Metered:
		return nil, unknownf("the price %s is metered, and the use is not known before the invoice", p.ID)
	case quantity < 0:
		return nil, unknownf("the quantity of the price %s is below 0", p.ID)
	case p.Unit == nil && len(p.Tiers) == 0:
		return nil, unknownf("the price %s has no amount", p.ID)
	}
	if p.Divide > 0 {
		rest := quantity % p.Divide
		if quantity /= p.Divide; rest > 0 && p.RoundUp {
			quantity++
		}
	}
	switch {
	case len(p.Tiers) == 0:
		return times(p.Unit, quantity), nil
	case p.Volume:
		return p.byVolume(quantity)
	}
	return p.graduated(quantity)
}

// byVolume counts the whole quantity by the tier in which it ends.
func (p *Price) byVolume(quantity int64) (*big.Rat, error) {
	for i := range p.Tiers {
		if t := &p.Tiers[i]; t.UpTo == 0 || quantity <= t.UpTo {
			return new(big.Rat).Add(times(t.Unit, quantity), times(t.Flat, 1)), nil
		}
	}
	return nil, p.beyond(quantity)
}

// graduated counts each unit by its own tier, and the flat amount of each tier that the
// quantity reaches. The first is reached by a quantity of 0 too.
func (p *Price) graduated(quantity int64) (*big.Rat, error) {
	sum, below := new(big.Rat), int64(0)
	for i := range p.Tiers {
		t := &p.Tiers[i]
		if i > 0 && quantity <= below {
			return sum, nil
		}
		in := quantity - below
		if t.UpTo != 0 {
			in = min(in, t.UpTo-below)
			below = t.UpTo
		}
		sum.Add(sum, times(t.Unit, in))
		sum.Add(sum, times(t.Flat, 1))
		if t.UpTo == 0 || quantity <= t.UpTo {
			return sum, nil
		}
	}
	return nil, p.beyond(quantity)
}

func (p *Price) beyond(quantity int64) error {
	return unknownf("the price %s has no tier for a quantity of %d", p.ID, quantity)
}

func times(r *big.Rat, n int64) *big.Rat {
	if r == nil {
		return new(big.Rat)
	}
	return new(big.Rat).Mul(r, new(big.Rat).SetInt64(n))
}

// perMonth is the part of an interval's amount that belongs to a month.
func (p *Price) perMonth(total *big.Rat) (*big.Rat, error) {
	intervals := map[string]*big.Rat{ // in a month
		"day": big.NewRat(365, 12), "week": big.NewRat(365, 84), "month": big.NewRat(1, 1), "year": big.NewRat(1, 12),
	}
	n := intervals[p.Interval]
	if n == nil || p.Count < 1 {
		return nil, unknownf("the price %s is for an interval that this version does not know (%d × %q)", p.ID, p.Count, p.Interval)
	}
	monthly := new(big.Rat).Mul(total, n)
	return monthly.Quo(monthly, new(big.Rat).SetInt64(p.Count)), nil
}
