package enhance

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// owner is the role of the person who pays (Role in the OpenAPI).
const owner = "Owner"

// OwnerEmails lists the e-mails of the members with the role Owner, pending ones
// included, in alphabetical order.
func (c *Client) OwnerEmails(ctx context.Context, org string) ([]string, error) {
	if err := c.checkOrgID(org); err != nil {
		return nil, err
	}
	members, err := list[memberWire](ctx, c, get(routeMembers, org).about(anOrg).with("role", owner), nil)
	if err != nil {
		return nil, err
	}
	emails := make([]string, 0, len(members))
	for _, m := range members {
		// The panel was asked for this role only, but is not relied on.
		if m.Email != "" && slices.Contains(m.Roles, owner) {
			emails = append(emails, m.Email)
		}
	}
	slices.Sort(emails)
	return emails, nil
}

// Invite mails an invitation to become owner. A repeated one sends the mail again and
// changes nothing else, so a 429 to it is fault.Throttled and not ambiguous. If the
// person is a member already, Invite succeeds: the panel documents no status for that,
// so Invite reads the members after a refusal.
func (c *Client) Invite(ctx context.Context, org, email, name string) error {
	if err := c.checkInvitee(org, email); err != nil {
		return err
	}
	body := struct {
		Email     string   `json:"email"`
		Name      string   `json:"name"`
		Roles     []string `json:"roles"`
		SendEmail bool     `json:"sendEmail"`
	}{email, nameOr(name, email), []string{owner}, true}
	at := at(http.MethodPost, routeInvites, org).about(anOrg)
	var link string // a credential, since it lets its reader join; dropped here
	err := c.write(ctx, at, body, http.StatusCreated, stringInto(&link))
	if !refused(err) {
		return err
	}
	_, member, looked := c.member(ctx, org, email)
	switch {
	case looked != nil:
		return fault.Errorf(fault.Of(looked), "%w; finding out whether it is a member: %w", err, looked)
	case member:
		return nil
	}
	return err
}

// refused reports a definite answer that may mean "already a member".
func refused(err error) bool {
	kind := fault.Of(err)
	return err != nil && (kind == fault.Conflict || kind == fault.Permanent)
}

// member finds the member with that e-mail, whatever the role.
func (c *Client) member(ctx context.Context, org, email string) (m memberWire, found bool, err error) {
	members, err := list[memberWire](ctx, c, get(routeMembers, org).about(anOrg), nil)
	i := slices.IndexFunc(members, func(m memberWire) bool {
		return reconcile.EmailKey(m.Email) == reconcile.EmailKey(email)
	})
	if i < 0 {
		return m, false, err
	}
	return members[i], true, nil
}

// CreateLogin makes a login with a random password that is kept nowhere, makes it
// owner, and starts the panel's password recovery, which mails the person a link to
// choose one. It does not touch a login that exists already, but invites its holder. If
// the membership is active too, because an earlier attempt got that far, it only starts
// the recovery.
//
// Each step can fail alone. It is safe to call CreateLogin again after any outcome:
// e-mails are unique among logins, so the second attempt finds the login of the first.
func (c *Client) CreateLogin(ctx context.Context, org, email, name string) error {
	if err := c.checkInvitee(org, email); err != nil {
		return err
	}
	login, err := c.newLogin(ctx, org, email, nameOr(name, email))
	if alreadyExists(err) {
		return c.inviteExisting(ctx, org, email, name)
	}
	if err != nil {
		return err
	}
	if err := c.join(ctx, org, login); err != nil {
		return err
	}
	return c.startRecovery(ctx, email)
}

// newLogin returns the id of the login. The password exists only in this function.
func (c *Client) newLogin(ctx context.Context, org, email, name string) (id string, err error) {
	password := newPassword()
	body := struct {
		Email    string `json:"email"`
		Password string `json:"password"`
		Name     string `json:"name"`
	}{email, password, name}
	at := at(http.MethodPost, routeLogins).about(anOrg).with("orgId", org).creating()
	at.secrets = []string{password}
	err = c.write(ctx, at, body, http.StatusCreated, uuidInto(&id))
	return id, err
}

// newPassword is 32 random bytes and an ending that satisfies rules about kinds of
// characters.
func newPassword() string {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // cannot fail: the runtime would end the program
	return base64.RawURLEncoding.EncodeToString(random) + "+aA1"
}

// join makes a login that we created an owner of the org.
func (c *Client) join(ctx context.Context, org, login string) error {
	body := struct {
		LoginID string   `json:"loginId"`
		Roles   []string `json:"roles"`
	}{login, []string{owner}}
	var member string
	at := at(http.MethodPost, routeMembers, org).about(anOrg).creating()
	err := c.write(ctx, at, body, http.StatusCreated, uuidInto(&member))
	if alreadyExists(err) {
		return nil
	}
	return err
}

// alreadyExists reports the definite 409 that is documented as "already exists".
func alreadyExists(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == http.StatusConflict && fault.Of(err) == fault.Conflict
}

// inviteExisting handles a login that exists already.
func (c *Client) inviteExisting(ctx context.Context, org, email, name string) error {
	m, found, err := c.member(ctx, org, email)
	if err != nil {
		return err
	}
	if found && m.IsActive {
		return c.startRecovery(ctx, email)
	}
	return c.Invite(ctx, org, email, name)
}

// startRecovery starts the password recovery. The panel answers 200 even if it has no
// such login; the body of that answer is not documented.
func (c *Client) startRecovery(ctx context.Context, email string) error {
	body := struct {
		Email string `json:"email"`
	}{email}
	return c.write(ctx, at(http.MethodPut, routeRecovery), body, http.StatusOK, func([]byte) error { return nil })
}

// checkInvitee refuses, before anything is sent, an invitation that the panel would
// refuse.
func (c *Client) checkInvitee(org, email string) error {
	if err := c.checkOrgID(org); err != nil {
		return err
	}
	if !strings.Contains(email, "@") {
		return fault.Errorf(fault.Permanent, "enhance: %q is not an e-mail address", clip(email))
	}
	return nil
}

// nameOr is the name, or the e-mail if there is none, because the panel requires one.
func nameOr(name, email string) string {
	if name = strings.TrimSpace(name); name != "" {
		return name
	}
	return email
}
