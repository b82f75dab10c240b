package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"github.com/stripe-enhance/stripe-enhance/clients/enhance"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// whoseToken says which organisation the token has, where the panel tells.
func (x *examination) whoseToken(ctx context.Context, refused error) string {
	if errors.Is(refused, fault.Transient) {
		return unreachable(refused, "ENHANCE_API_URL")
	}
	// A client of its own: the breaker of the other one asks nothing more for now.
	c := x.config
	again, err := enhance.New(enhance.Options{BaseURL: c.EnhanceURL.String(), Token: c.EnhanceToken, Org: string(c.EnhanceOrg), Log: x.log, Now: x.now})
	if err != nil {
		return tokenRefused
	}
	orgs, err := again.Memberships(ctx)
	if err != nil || len(orgs) == 0 {
		return tokenRefused
	}
	var all []string
	for _, o := range orgs {
		all = append(all, fmt.Sprintf("ENHANCE_ORG_ID=%s (%s)", o.ID, o.Name))
	}
	return "the token is one of another organisation than ENHANCE_ORG_ID names: set " + strings.Join(all, " or ")
}

// unheard says what to do about an address at which this process cannot listen.
func unheard(setting, address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s: another process listens at %s (ss -ltnp tells which): end that one, or choose another address", setting, address)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: this user may not listen at %s: choose a port from 1024 on, with a proxy in front", setting, address)
	}
	return fmt.Errorf("%s: %w", setting, err)
}

// offered lists the plans of a panel, for whoever has named one that it does not have.
func offered(plans []reconcile.EnhancePlan) string {
	const most = 20
	var all []string
	for _, p := range plans[:min(len(plans), most)] {
		all = append(all, fmt.Sprintf("%d %s", p.ID, p.Name))
	}
	if len(plans) > most {
		all = append(all, fmt.Sprintf("and %d more", len(plans)-most))
	}
	return "the panel has the plans " + strings.Join(all, ", ")
}

// unknownHost is the name in an error that no resolver knows; "" in any other.
func unknownHost(err error) string {
	var name *net.DNSError
	if errors.As(err, &name) && name.IsNotFound {
		return name.Name
	}
	return ""
}

// unreachable is the next step after an answer that did not come.
func unreachable(err error, variable string) string {
	if host := unknownHost(err); host != "" {
		return "there is no host " + host + ": is " + variable + " spelt right?"
	}
	if errors.Is(err, fault.Malformed) {
		return "is " + variable + " right? what answers there is not the API"
	}
	return "is " + variable + " right, and can this machine reach it?"
}
