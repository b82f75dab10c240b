package engine

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A flow run has claimed its customer before it asks for the turn to make an org. A run that
// waits for the same customer must not have that turn meanwhile: both would wait for ever, and
// with them every later run.
func TestWhoWaitsForACustomerHoldsNoTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const customer, email = "cus_1", 7
		r := &run{Engine: &Engine{together: newTogether()}}
		if !r.together.claims.try(customer) {
			t.Fatal("the flow run does not get its customer")
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			r.applyInTurn(ctx, customerWork{id: customer, founds: email})
		}()
		synctest.Wait()
		patient, end := context.WithTimeout(ctx, time.Hour)
		defer end()
		next, err := r.together.turns.take(patient, founderKey(email), true)
		if err != nil {
			t.Errorf("the flow run waits for who waits for it: %v", err)
		} else {
			next()
		}
		stop()
		<-ended
	})
}
