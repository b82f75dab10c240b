package money

import (
	"errors"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func rat(text string) *big.Rat {
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		panic(text)
	}
	return r
}

// each is a monthly price of so many cents.
func each(cents string) Price {
	return Price{ID: "price_1", Currency: "eur", Interval: "month", Count: 1, Unit: rat(cents)}
}

// tiered has two tiers, 5 at 100 and the rest at 60, and a flat amount each.
func tiered(volume bool, flat1, flat2 string) Price {
	p := each("0")
	p.Unit, p.Volume = nil, volume
	p.Tiers = []Tier{{UpTo: 5, Unit: rat("100"), Flat: rat(flat1)}, {Unit: rat("60"), Flat: rat(flat2)}}
	return p
}

func every(p Price, interval string, count int64) Price {
	p.Interval, p.Count = interval, count
	return p
}

func in(p Price, currency string) Price {
	p.Currency = currency
	return p
}

func TestWhatALineCostsAMonth(t *testing.T) {
	packs := each("1000")
	packs.Divide = 10
	up := packs
	up.RoundUp = true
	ended := tiered(false, "0", "0")
	ended.Tiers = ended.Tiers[:1]
	endedVolume := ended
	endedVolume.Volume = true
	metered := each("900")
	metered.Metered = true
	none := each("0")
	none.Unit = nil
	for _, tc := range []struct {
		name     string
		price    Price
		quantity int64
		want     string // an amount, or a part of the reason why there is none
	}{
		{"one", each("1250"), 1, "12.50"},
		{"three", each("1250"), 3, "37.50"},
		{"none of it", each("1250"), 0, "0.00"},
		{"finer than a cent", each("0.05"), 100, "0.05"},
		{"a half is rounded up", each("0.5"), 1, "0.01"},
		{"less than a half is not", each("0.4999"), 1, "0.00"},
		{"a credit", each("-250.5"), 1, "-2.51"},
		{"a credit that rounds to nothing", each("-0.1"), 1, "0.00"},
		{"a year", every(each("12000"), "year", 1), 1, "10.00"},
		{"a year that leaves a third", every(each("1000"), "year", 1), 1, "0.83"},
		{"two years", every(each("24000"), "year", 2), 1, "10.00"},
		{"three months", every(each("2700"), "month", 3), 1, "9.00"},
		{"six months", every(each("2700"), "month", 6), 2, "9.00"},
		{"a week", every(each("1000"), "week", 1), 1, "43.45"},
		{"two weeks", every(each("1000"), "week", 2), 1, "21.73"},
		{"a day", every(each("1000"), "day", 1), 1, "304.17"},
		{"yen have no places", in(each("1500"), "jpy"), 1, "1500"},
		{"a twelfth of a yen price", in(every(each("1000"), "year", 1), "jpy"), 1, "83"},
		{"dinars of Kuwait have three", in(each("12340"), "kwd"), 1, "12.340"},
		{"kronur of Iceland are counted in hundredths", in(each("50000"), "isk"), 1, "500.00"},
		{"the last of the first tier, graduated", tiered(false, "0", "0"), 5, "5.00"},
		{"the first of the second, graduated", tiered(false, "0", "0"), 6, "5.60"},
		{"with flat amounts, in the first", tiered(false, "10", "7"), 5, "5.10"},
		{"with flat amounts, in the second", tiered(false, "10", "7"), 6, "5.77"},
		{"none of it, with a flat amount", tiered(false, "10", "7"), 0, "0.10"},
		{"the last of the first tier, by volume", tiered(true, "0", "0"), 5, "5.00"},
		{"the first of the second, by volume", tiered(true, "0", "0"), 6, "3.60"},
		{"by volume, flat amounts of one tier", tiered(true, "10", "7"), 6, "3.67"},
		{"beyond the last tier", ended, 6, "no tier for a quantity of 6"},
		{"beyond the last tier, by volume", endedVolume, 6, "no tier for a quantity of 6"},
		{"at the end of the last tier", ended, 5, "5.00"},
		{"packs of ten, begun ones left out", packs, 19, "10.00"},
		{"packs of ten, begun ones counted", up, 11, "20.00"},
		{"packs of ten, exactly", up, 20, "20.00"},
		{"metered", metered, 1, "metered"},
		{"no amount", none, 1, "has no amount"},
		{"below 0", each("100"), -1, "below 0"},
		{"an interval of the future", every(each("100"), "decade", 1), 1, `1 × "decade"`},
		{"no interval", every(each("100"), "month", 0), 1, `0 × "month"`},
	} {
		got, err := Monthly(tc.price.Currency, []Line{{Price: tc.price, Quantity: tc.quantity}}, nil)
		var unknown Unknown
		switch {
		case err != nil && (!errors.As(err, &unknown) || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: %v", tc.name, err)
		case err == nil && got[0].String() != tc.want:
			t.Errorf("%s: %s, want %s", tc.name, got[0], tc.want)
		}
	}
}

func TestDiscounts(t *testing.T) {
	percent := func(p string, products ...string) Discount { return Discount{Percent: rat(p), Products: products} }
	off := func(cents string, products ...string) Discount {
		return Discount{Off: rat(cents), Currency: "eur", Products: products}
	}
	two := []Line{{Price: each("1000"), Product: "prod_a", Quantity: 2}, {Price: each("1000"), Product: "prod_b", Quantity: 1}}
	for _, tc := range []struct {
		name      string
		lines     []Line
		discounts []Discount
		want      string
	}{
		{"none", two, nil, "20.00 10.00"},
		{"a quarter", two, []Discount{percent("25")}, "15.00 7.50"},
		{"a third and a bit", two, []Discount{percent("33.33")}, "13.33 6.67"},
		{"all of it", two, []Discount{percent("100")}, "0.00 0.00"},
		{"one product", two, []Discount{percent("50", "prod_b")}, "20.00 5.00"},
		{"another product", two, []Discount{percent("50", "prod_c")}, "20.00 10.00"},
		{"a fixed amount is spread", two, []Discount{off("300")}, "18.00 9.00"},
		{"a fixed amount of one product", two, []Discount{off("300", "prod_b")}, "20.00 7.00"},
		{"more than there is", two, []Discount{off("300000")}, "0.00 0.00"},
		{"one after the other", two, []Discount{percent("50"), off("300")}, "8.00 4.00"},
		{"the other way round", two, []Discount{off("300"), percent("50")}, "9.00 4.50"},
		{"of each invoice of a year", []Line{{Price: every(each("12000"), "year", 1), Quantity: 1}}, []Discount{off("1200")}, "9.00"},
		{"of nothing", []Line{{Price: each("0"), Quantity: 1}}, []Discount{off("300")}, "0.00"},
		{"in another currency", two, []Discount{{Off: rat("300"), Currency: "usd"}}, "its discount is in usd"},
		{"of no kind", two, []Discount{{}}, "neither a percentage nor an amount"},
		{"over two intervals", []Line{two[0], {Price: every(each("100"), "year", 1), Quantity: 1}}, []Discount{off("300")}, "different intervals"},
		{"a percentage over two intervals", []Line{two[0], {Price: every(each("12000"), "year", 1), Quantity: 1}}, []Discount{percent("50")}, "10.00 5.00"},
		{"a price in another currency", []Line{{Price: in(each("1000"), "usd"), Quantity: 1}}, nil, "is in usd, and the subscription in eur"},
	} {
		got, err := Monthly("eur", tc.lines, tc.discounts)
		var all []string
		for _, a := range got {
			all = append(all, a.String())
		}
		if text := strings.Join(all, " "); err == nil && text != tc.want || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %s, %v, want %s", tc.name, text, err, tc.want)
		}
	}
}

// Twelve months of a yearly price are that price, and 365 days of a daily one are twelve
// months of it, to the last fraction of a cent, whatever the price is.
func TestTheMonthsOfAYearAreTheYear(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cents := rapid.Int64Range(-1e12, 1e12).Draw(t, "cents")
		monthOf := func(p Price) *big.Rat {
			got, err := Monthly("eur", []Line{{Price: p, Quantity: 1}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			return got[0].minor
		}
		price := each(strconv.FormatInt(cents, 10))
		sum := Amount{}
		for range 12 {
			sum = sum.Plus(Of("eur", monthOf(every(price, "year", 1))))
		}
		if sum.minor.Cmp(price.Unit) != 0 {
			t.Fatalf("%s in twelve months, %s a year", sum.minor, price.Unit)
		}
		days := new(big.Rat).Mul(price.Unit, big.NewRat(365, 1))
		if year := times(monthOf(every(price, "day", 1)), 12); year.Cmp(days) != 0 {
			t.Fatalf("%s in twelve months, %s in 365 days", year, days)
		}
	})
}

// In graduated tiers one more costs what its own tier says, and the flat amount where it is
// the first of it; by volume the whole costs what the tier of the last one says. A quantity
// that is split into parts has the parts' sum.
func TestTiersAtTheirBorders(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := each("0")
		p.Unit = nil
		end := int64(0)
		for i := range rapid.IntRange(1, 4).Draw(t, "tiers") {
			end += rapid.Int64Range(1, 5).Draw(t, "size")
			p.Tiers = append(p.Tiers, Tier{UpTo: end, Unit: big.NewRat(rapid.Int64Range(0, 500).Draw(t, "unit"), 3), Flat: big.NewRat(rapid.Int64Range(0, 90).Draw(t, "flat"), int64(i+1))})
		}
		p.Tiers = append(p.Tiers, Tier{Unit: rat("7")})
		tierOf := func(q int64) (Tier, bool) {
			for i, tier := range p.Tiers {
				if tier.UpTo == 0 || q <= tier.UpTo {
					return tier, i > 0 && q == p.Tiers[i-1].UpTo+1
				}
			}
			panic("the last tier has no end")
		}
		for q := int64(1); q < end+4; q++ {
			tier, first := tierOf(q)
			before, _ := p.graduated(q - 1)
			now, err := p.graduated(q)
			want := new(big.Rat).Add(before, tier.Unit)
			if first {
				want.Add(want, times(tier.Flat, 1))
			}
			if err != nil || now.Cmp(want) != 0 {
				t.Fatalf("%d graduated: %s, want %s, %v", q, now, want, err)
			}
			volume, err := p.byVolume(q)
			if want := new(big.Rat).Add(times(tier.Unit, q), times(tier.Flat, 1)); err != nil || volume.Cmp(want) != 0 {
				t.Fatalf("%d by volume: %s, want %s, %v", q, volume, want, err)
			}
		}
	})
}

func TestPartsAreTheWholeAndCurrenciesHaveNoSum(t *testing.T) {
	whole := Of("eur", rat("1000"))
	sum := whole.Part(1, 3).Plus(whole.Part(1, 3)).Plus(whole.Part(1, 3))
	if sum.String() != "10.00" || sum.minor.Cmp(whole.minor) != 0 {
		t.Errorf("three thirds are %s", sum)
	}
	if whole.Part(1, 0).String() != "10.00" || (Amount{}).Part(1, 3).String() != "0.00" || (Amount{}).Plus(whole).Plus(Amount{}).String() != "10.00" {
		t.Error("nothing is not nothing")
	}
	defer func() {
		if recover() == nil {
			t.Error("euro and yen were added")
		}
	}()
	_ = whole.Plus(Of("jpy", rat("1")))
}

func TestNumbersAreReadAsStripeWritesThem(t *testing.T) {
	for text, want := range map[string]string{"0": "0/1", "1250": "1250/1", "0.05": "1/20", "-2.5": "-5/2", "12.000": "12/1"} {
		if got, err := Parse(text); err != nil || got.String() != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-", ".", "1.", ".5", "1/3", "1e9", "0x10", "1_000", "+1", "--1", "1.2.3", " 1", "NaN", "Inf", strings.Repeat("9", 100)} {
		if got, err := Parse(text); !errors.Is(err, ErrNumber) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}
