package enhance

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
)

// InviteInstead invites the owner at another address, and takes back the invitation of the
// address instead. It touches no login: the panel lets only its holder change its e-mail. If
// the invitation was accepted, the error is fault.Conflict, and that owner stays.
func (c *Client) InviteInstead(ctx context.Context, org, instead, email, name string) error {
	if err := c.checkInvitee(org, email); err != nil {
		return err
	}
	if _, _, err := c.openInvitation(ctx, org, instead); err != nil {
		return err
	}
	if err := c.Invite(ctx, org, email, name); err != nil {
		return err
	}
	m, open, err := c.openInvitation(ctx, org, instead) // it may have been accepted since
	if err != nil || !open {
		return err
	}
	if !isUUID(m.ID) {
		return mismatch(get(routeMembers, org), "%q is not the id of a member", clip(m.ID))
	}
	err = c.write(ctx, at(http.MethodDelete, routeMember, org, m.ID).about(aMember), nil, http.StatusNoContent, nil)
	if errors.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// openInvitation finds the pending owner with that e-mail. An owner who has accepted is an
// error.
func (c *Client) openInvitation(ctx context.Context, org, email string) (m memberWire, open bool, err error) {
	m, found, err := c.member(ctx, org, email)
	switch {
	case err != nil || !found || !slices.Contains(m.Roles, owner):
		return m, false, err
	case m.IsActive:
		return m, false, fault.Errorf(fault.Conflict, "enhance: the owner of organisation %s has accepted the invitation: it is not taken back", org)
	}
	return m, true, nil
}
