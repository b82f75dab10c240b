package money

import (
	"math/big"
	"slices"
)

// Line is one item of a subscription.
type Line struct {
	Price    Price
	Product  string
	Quantity int64
}

// Discount lowers every invoice for as long as it lasts.
type Discount struct {
	Percent  *big.Rat // of the amount; nil: it is a fixed one
	Off      *big.Rat // from each invoice, in the smallest unit
	Currency string   // of Off
	Products []string // for which it counts; none: for all
}

// Monthly is what each line of a subscription costs a month, with its discounts, in their
// order. A fixed discount is spread over the lines in proportion to their amounts, because
// it lowers the invoice as a whole, and never below nothing. The error is an [Unknown]: of
// a part that is not known no sum is made.
func Monthly(currency string, lines []Line, discounts []Discount) ([]Amount, error) {
	totals := make([]*big.Rat, len(lines))
	for i := range lines {
		l := &lines[i]
		if l.Price.Currency != currency {
			return nil, unknownf("the price %s is in %s, and the subscription in %s", l.Price.ID, l.Price.Currency, currency)
		}
		total, err := l.Price.total(l.Quantity)
		if err != nil {
			return nil, err
		}
		totals[i] = total
	}
	for i := range discounts {
		if err := discounts[i].apply(currency, lines, totals); err != nil {
			return nil, err
		}
	}
	amounts := make([]Amount, len(lines))
	for i := range lines {
		monthly, err := lines[i].Price.perMonth(totals[i])
		if err != nil {
			return nil, err
		}
		amounts[i] = Of(currency, monthly)
	}
	return amounts, nil
}

// apply lowers the totals for one interval.
func (d *Discount) apply(currency string, lines []Line, totals []*big.Rat) error {
	var at []int
	sum := new(big.Rat)
	for i := range lines {
		if len(d.Products) == 0 || slices.Contains(d.Products, lines[i].Product) {
			at = append(at, i)
			sum.Add(sum, totals[i])
		}
	}
	left := new(big.Rat) // the part of the amounts that is left
	switch {
	case d.Percent != nil:
		left.Sub(big.NewRat(1, 1), new(big.Rat).Quo(d.Percent, big.NewRat(100, 1)))
	case d.Off == nil:
		return Unknown("its discount has neither a percentage nor an amount")
	case d.Currency != currency:
		return unknownf("its discount is in %s, and the subscription in %s", d.Currency, currency)
	case !oneInterval(lines, at):
		return Unknown("its discount is a fixed amount, and its items are billed at different intervals")
	case sum.Sign() <= 0:
		return nil
	default:
		left.Quo(new(big.Rat).Sub(sum, d.Off), sum)
	}
	if left.Sign() < 0 {
		left.SetInt64(0)
	}
	for _, i := range at {
		totals[i] = new(big.Rat).Mul(totals[i], left)
	}
	return nil
}

// oneInterval reports whether these lines are always billed together.
func oneInterval(lines []Line, at []int) bool {
	return !slices.ContainsFunc(at, func(i int) bool {
		first := &lines[at[0]].Price
		return lines[i].Price.Interval != first.Interval || lines[i].Price.Count != first.Count
	})
}
