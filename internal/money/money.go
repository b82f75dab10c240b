// Package money works out what a subscription at Stripe costs a month. It is exact: every
// amount is a fraction of whole numbers until it is written, and no floating-point number
// has a part in it. It knows the rules of Stripe's prices (per unit and tiered, intervals,
// transformed quantities, discounts), and nothing of HTTP or JSON.
//
// A month is the twelfth part of a year, and a day the 365th part. A week has seven days.
// So twelve months of a yearly price are that price, and a weekly price is 365/84 of it a
// month. Taxes are left out: they do not belong to the seller.
package money

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// Amount is a sum of money in one currency. The zero value is nothing, of no currency.
type Amount struct {
	Currency string   // ISO code in lower case
	minor    *big.Rat // in the unit in which Stripe counts the currency; nil: 0
}

// Of is an amount of a number of the smallest units in which Stripe counts a currency.
func Of(currency string, minor *big.Rat) Amount { return Amount{Currency: currency, minor: minor} }

// Plus adds an amount of the same currency. Amounts of two currencies have no sum: it is
// the caller's mistake, and it panics.
func (a Amount) Plus(b Amount) Amount {
	if a.minor == nil {
		return b
	}
	if b.minor == nil {
		return a
	}
	if a.Currency != b.Currency {
		panic("money: " + a.Currency + " and " + b.Currency + " have no sum")
	}
	return Amount{a.Currency, new(big.Rat).Add(a.minor, b.minor)}
}

// Part is n of an amount that is for so many; all of it where that is 0.
func (a Amount) Part(n, of int64) Amount {
	if a.minor == nil || of == 0 {
		return a
	}
	return Amount{a.Currency, new(big.Rat).Mul(a.minor, big.NewRat(n, of))}
}

// String is the amount as a decimal number with as many places as the currency has. A half
// is rounded away from zero, as on Stripe's invoices.
func (a Amount) String() string {
	minor := a.minor
	if minor == nil {
		minor = new(big.Rat)
	}
	places := Places(a.Currency)
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil)
	text := new(big.Rat).Quo(minor, new(big.Rat).SetInt(scale)).FloatString(places)
	if strings.Trim(text, "-0.") == "" {
		return strings.TrimPrefix(text, "-")
	}
	return text
}

// zeroDecimal are the currencies that Stripe counts in whole units, and threeDecimal those
// that it counts in thousandths (docs.stripe.com/currencies). Of two that have no smaller
// unit any more, the krona of Iceland and the shilling of Uganda, it goes on counting
// hundredths.
var (
	zeroDecimal  = strings.Fields("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf")
	threeDecimal = strings.Fields("bhd jod kwd omr tnd")
)

// Places is how many decimal places the amounts of a currency have at Stripe.
func Places(currency string) int {
	switch {
	case slices.Contains(zeroDecimal, currency):
		return 0
	case slices.Contains(threeDecimal, currency):
		return 3
	}
	return 2
}

// ErrNumber is text that is no decimal number.
var ErrNumber = errors.New("not a decimal number")

// longest is the most digits of a number that is believed. Stripe writes at most 12 places.
const longest = 60

// Parse reads a decimal number such as "0.0512", as Stripe writes it. It takes no exponent
// and no fraction, whose value could have a million digits.
func Parse(text string) (*big.Rat, error) {
	digits := strings.TrimPrefix(text, "-")
	whole, places, dot := strings.Cut(digits, ".")
	if whole == "" || dot && places == "" || len(text) > longest || strings.Trim(whole+places, "0123456789") != "" {
		return nil, ErrNumber
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return nil, ErrNumber
	}
	return r, nil
}

// Unknown is a sentence that gives the reason why an amount cannot be known.
type Unknown string

func (u Unknown) Error() string { return string(u) }

func unknownf(format string, args ...any) error { return Unknown(fmt.Sprintf(format, args...)) }
