package app

import (
	"context"
	"time"
)

const (
	// quotaFirst leaves the first minute of a service to the customers who have just paid.
	quotaFirst = time.Minute
	quotaEvery = time.Hour
)

// watchQuota reads, now and then until ctx ends, how much the selling organisation uses of
// what its provider gives it, for the metrics. If the panel does not show that, the last
// numbers stay.
func (a *App) watchQuota(ctx context.Context) {
	timer := time.NewTimer(quotaFirst)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		quota, err := a.Enhance.Quota(ctx)
		if err != nil {
			a.Log.WithError(err).Debug("the quota of the selling organisation was not read")
		} else {
			a.metrics.Quota(quota)
		}
		timer.Reset(quotaEvery)
	}
}
