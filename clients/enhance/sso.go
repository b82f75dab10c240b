package enhance

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// OrgOwners lists the members of an org with the role Owner, pending ones included, by
// e-mail.
func (c *Client) OrgOwners(ctx context.Context, org string) ([]reconcile.OwnerLogin, error) {
	if err := c.checkOrgID(org); err != nil {
		return nil, err
	}
	members, err := list[memberWire](ctx, c, get(routeMembers, org).about(anOrg).with("role", owner), nil)
	if err != nil {
		return nil, err
	}
	var owners []reconcile.OwnerLogin
	for _, m := range members {
		if slices.Contains(m.Roles, owner) {
			owners = append(owners, reconcile.OwnerLogin{Member: m.ID, Email: m.Email, Accepted: m.IsActive})
		}
	}
	slices.SortFunc(owners, reconcile.OwnerLogin.Compare)
	return owners, nil
}

// LoginLink makes the panel's short-lived link by which its holder is logged in as a member
// of an org, once (orchd OpenAPI 12.3.0, getOrgMemberLogin). The link is a credential: the
// caller shows it to the person who asked and to no other. The request is sent once. The
// error is fault.Denied if the token has no role that may.
func (c *Client) LoginLink(ctx context.Context, org, member string) (link string, err error) {
	if err := c.checkOrgID(org); err != nil {
		return "", err
	}
	if !isUUID(member) {
		return "", fault.Errorf(fault.Permanent, "enhance: %q is not the id of a member", clip(member))
	}
	at := get(routeMemberSSO, org, member).about(anOrg)
	err = c.write(ctx, at, nil, http.StatusCreated, func(body []byte) error {
		if err := stringInto(&link)(body); err != nil {
			return errors.New("the answer is not a link")
		}
		if u, err := url.Parse(link); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			link = ""
			return errors.New("the answer is not a link")
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return link, nil
}
