package page

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// The chart has the hours of the day from left to right, and the time that an order took
// upwards, by its logarithm, because a second and an hour both have to be seen.
const (
	chartWidth, chartHeight = 720, 220
	chartLeft, chartBottom  = 70, 28
	chartTop                = 10
	chartRight              = 10
)

const shortest, longest = 300 * time.Millisecond, 24 * time.Hour

// point is a slow order in the chart.
type point struct {
	X, Y  int
	Title string
}

// mostSlow is how many slow orders have their id and time in the chart. All others are dots
// of one path, which takes a tenth of the bytes.
const mostSlow = 20

// gridLine is a line of the chart with its text.
type gridLine struct {
	At   int
	Text string
}

// height is where a duration is in the chart.
func height(d time.Duration) int {
	d = min(max(d, shortest), longest)
	part := math.Log(float64(d)/float64(shortest)) / math.Log(float64(longest)/float64(shortest))
	return chartHeight - chartBottom - int(math.Round(part*(chartHeight-chartBottom-chartTop)))
}

// across is where a moment of the last day is in the chart.
func across(t, now time.Time) int {
	part := 1 - float64(now.Sub(t))/float64(aDay)
	return chartLeft + int(math.Round(min(max(part, 0), 1)*(chartWidth-chartLeft-chartRight)))
}

// draw fills in the points and the lines.
func (o *orders) draw(v *visit, all []reconcile.WentLive, took []time.Duration, now time.Time) {
	for i, w := range all {
		x, y := across(w.Live, now), height(took[i])
		dot := fmt.Sprintf("M%d %dh0", x, y)
		switch {
		case took[i] > time.Hour && len(o.Slow) < mostSlow:
			o.Slow = append(o.Slow, point{X: x, Y: y, Title: w.Subscription + ": " + v.span(took[i])})
		case took[i] > time.Minute:
			o.Wait += dot
		default:
			o.Good += dot
		}
	}
	for d, text := range map[time.Duration]string{time.Second: "1 s", 10 * time.Second: "10 s", time.Minute: "1 min", 10 * time.Minute: "10 min", time.Hour: "1 h"} {
		o.Lines = append(o.Lines, gridLine{height(d), text})
	}
	slices.SortFunc(o.Lines, func(a, b gridLine) int { return a.At - b.At })
	const apart = 6 * time.Hour
	for t := now.UTC().Truncate(apart); now.Sub(t) < aDay; t = t.Add(-apart) {
		o.Hours = append(o.Hours, gridLine{across(t, now), t.Format("15:04")})
	}
}
