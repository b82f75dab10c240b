package enhance

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// CreateOrg makes a customer organisation. The panel does not enforce unique names: if
// this is done twice, there are two.
func (c *Client) CreateOrg(ctx context.Context, name string) (id string, err error) {
	if strings.TrimSpace(name) == "" {
		return "", fault.Errorf(fault.Permanent, "enhance: an organisation needs a name")
	}
	at := at(http.MethodPost, routeCustomers, c.org).creating()
	err = c.write(ctx, at, named{name}, http.StatusCreated, uuidInto(&id))
	return id, err
}

// named is NewCustomer, and OrgUpdate with the name alone.
type named struct {
	Name string `json:"name"`
}

// RenameOrg gives an organisation a name; a repeated call changes nothing.
func (c *Client) RenameOrg(ctx context.Context, org, name string) error {
	if err := c.checkOrgID(org); err != nil {
		return err
	}
	if strings.TrimSpace(name) == "" {
		return fault.Errorf(fault.Permanent, "enhance: an organisation needs a name")
	}
	at := at(http.MethodPatch, routeOrg, org).about(anOrg)
	return c.write(ctx, at, named{name}, http.StatusNoContent, nil)
}

// CreateHosting subscribes a customer to a plan. If the plan is gone the error is
// fault.Conflict, if the organisation is gone fault.NotFound.
func (c *Client) CreateHosting(ctx context.Context, org string, plan int, friendlyName string) (id int64, err error) {
	if err := c.checkOrgID(org); err != nil {
		return 0, err
	}
	if err := checkPlan(plan); err != nil {
		return 0, err
	}
	body := struct {
		PlanID       int    `json:"planId"` // the panel refuses a string
		FriendlyName string `json:"friendlyName,omitempty"`
	}{plan, friendlyName}
	at := at(http.MethodPost, routeHostings, c.org, org).about(anOrg).creating()
	err = c.write(ctx, at, body, http.StatusCreated, func(answer []byte) error {
		var created struct {
			ID int64 `json:"id"`
		}
		if err := decode(answer, &created); err != nil {
			return err
		}
		if created.ID <= 0 {
			return errNoID
		}
		id = created.ID
		return nil
	})
	return id, err
}

// checkPlan checks that the id fits the panel's, which are 32 bits wide.
func checkPlan(plan int) error {
	if plan <= 0 || plan > math.MaxInt32 {
		return fault.Errorf(fault.Permanent, "enhance: %d is not the id of a plan", plan)
	}
	return nil
}

// CreateWebsite makes a website on a hosting. If the panel already has the domain,
// CreateWebsite succeeds if its website is live on exactly this hosting, because then
// the answer to an earlier call was lost: that one is returned as found. Otherwise the
// error is DomainTaken.
func (c *Client) CreateWebsite(ctx context.Context, org string, hosting int64, domain string, o reconcile.SiteOptions) (found reconcile.FoundSite, err error) {
	if err := c.checkIDs(org, hosting); err != nil {
		return found, err
	}
	if strings.TrimSpace(domain) == "" {
		return found, fault.Errorf(fault.Permanent, "enhance: a website needs a domain")
	}
	// All four fields are of NewWebsite (orchd OpenAPI 12.3.0).
	body := struct {
		Domain         string `json:"domain"`
		SubscriptionID int64  `json:"subscriptionId"`
		ServerGroupID  string `json:"serverGroupId,omitempty"`
		PHPVersion     string `json:"phpVersion,omitempty"`
	}{domain, hosting, o.ServerGroup, o.PHP}
	var id string
	at := at(http.MethodPost, routeWebsites, org).about(anOrg).creating()
	err = c.write(ctx, at, body, http.StatusCreated, uuidInto(&id))
	if !DomainTaken(err) {
		return found, err
	}
	there, looked := c.websiteOn(ctx, org, hosting, domain)
	switch {
	case looked != nil:
		// If the owner is not known, a hold for the customer would be a guess.
		return found, fault.Errorf(fault.Of(looked), "the domain exists; finding out where: %w", looked)
	case there.Found:
		return there, nil
	}
	return found, err
}

// websiteOn looks for the domain among the live websites of that hosting.
func (c *Client) websiteOn(ctx context.Context, org string, hosting int64, domain string) (found reconcile.FoundSite, err error) {
	sites, err := list[websiteWire](ctx, c, get(routeWebsites, org).about(anOrg), nil)
	if i := slices.IndexFunc(sites, func(w websiteWire) bool { return w.isOn(hosting, domain) }); err == nil && i >= 0 {
		found = reconcile.FoundSite{Found: true, Created: parseTime(sites[i].CreatedAt)}
	}
	return found, err
}

// DomainUse asks whether a website of an org may have a domain. Nothing changes by it,
// though the panel takes the question by POST (checkDomain, orchd OpenAPI 12.3.0). Where a
// customer's website has the domain, it looks that up as well.
func (c *Client) DomainUse(ctx context.Context, org, domain string) (use reconcile.DomainUse, err error) {
	if err := c.checkOrgID(org); err != nil {
		return use, err
	}
	var wire struct {
		Status string `json:"status"`
	}
	question := at(http.MethodPost, routeDomainCheck, org).about(anOrg)
	question.question = struct {
		Domain string `json:"domain"`
	}{domain}
	err = c.read(ctx, question, objectLimit, func(answer []byte) error { return decode(answer, &wire) })
	if err != nil {
		return use, err
	}
	use = reconcile.DomainUse{Domain: domain, Status: reconcile.ParseDomainStatus(wire.Status)}
	if use.Status != reconcile.DomainOwnOrg && use.Status != reconcile.DomainOtherOrg {
		return use, nil
	}
	found, err := c.FindWebsite(ctx, domain)
	for _, l := range found {
		if (l.Org == strings.ToLower(org)) == (use.Status == reconcile.DomainOwnOrg) {
			use.Org, use.Hosting = l.Org, l.Hosting
		}
	}
	return use, err
}

// FindWebsite returns the places where the panel has a domain, with or without www., in
// the orgs of all customers. The panel searches; FindWebsite decides whether a result
// is exactly this domain.
func (c *Client) FindWebsite(ctx context.Context, domain string) ([]reconcile.WebsiteLocation, error) {
	key := reconcile.DomainKey(domain)
	if key == "" {
		return nil, fault.Errorf(fault.Permanent, "enhance: a search for a website needs a domain")
	}
	at := get(routeWebsites, c.org).with("recursion", "directCustomers", "search", key, "showAliases", "true")
	wires, err := list[websiteWire](ctx, c, at, nil)
	if err != nil {
		return nil, err
	}
	var found []reconcile.WebsiteLocation
	for _, w := range wires {
		location := w.location()
		ofCustomer := location.Org != "" && !strings.EqualFold(location.Org, c.org)
		if w.isLive() && w.hasDomain(key) && ofCustomer && !slices.Contains(found, location) {
			found = append(found, location)
		}
	}
	return found, nil
}

// AllWebsites lists the websites of all customers that are not deleted, each domain and
// alias with its place. The panel calls this listing a sum of its customers' listings: it
// is evidence, and nothing is taken away by it.
func (c *Client) AllWebsites(ctx context.Context) ([]reconcile.Site, error) {
	at := get(routeWebsites, c.org).with("recursion", "directCustomers", "showAliases", "true")
	var all []reconcile.Site
	err := pages(ctx, c, at, func(page []websiteWire, first bool) (bool, error) {
		if first {
			all = nil
		}
		for _, w := range page {
			if place := w.location(); w.isLive() && place.Org != "" && !strings.EqualFold(place.Org, c.org) {
				all = append(all, reconcile.Site{Domain: w.domain(), WebsiteLocation: place})
				for _, alias := range w.Aliases {
					all = append(all, reconcile.Site{Domain: domainOf(alias), WebsiteLocation: place})
				}
			}
		}
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// Change sets suspension or plan, or the name alone. Each is a setting: if it is sent
// again it changes nothing, so a 429 to it is fault.Throttled and not ambiguous.
func (c *Client) Change(ctx context.Context, org string, hosting int64, change reconcile.HostingChange) error {
	if err := c.checkIDs(org, hosting); err != nil {
		return err
	}
	if change.Suspended != nil && change.Plan != 0 || change.Suspended == nil && change.Plan == 0 && change.Name == nil {
		return fault.Errorf(fault.Permanent, "enhance: a change sets suspension or plan, exactly one of them, or the name alone")
	}
	if change.Plan != 0 {
		if err := checkPlan(change.Plan); err != nil {
			return err
		}
	}
	// All three fields are of UpdateSubscription (orchd OpenAPI 12.3.0).
	body := struct {
		IsSuspended  *bool   `json:"isSuspended,omitempty"`
		FriendlyName *string `json:"friendlyName,omitempty"`
		PlanID       int     `json:"planId,omitempty"`
	}{change.Suspended, change.Name, change.Plan}
	return c.write(ctx, c.hosting(http.MethodPatch, org, hosting), body, http.StatusNoContent, nil)
}

// Delete marks a hosting as deleted. Its data stays until the panel's own purge; the
// parameter that wipes it immediately is not in this program.
func (c *Client) Delete(ctx context.Context, org string, hosting int64) error {
	if err := c.checkIDs(org, hosting); err != nil {
		return err
	}
	return c.write(ctx, c.hosting(http.MethodDelete, org, hosting), nil, http.StatusNoContent, nil)
}

// hosting is a call about one subscription.
func (c *Client) hosting(method, org string, id int64) call {
	return at(method, routeHosting, org, strconv.FormatInt(id, 10)).about(aSubscription)
}

// uuidInto accepts NewResourceUuid. If an answer to a create holds no valid id, the
// create may have been done, but its result cannot be named.
func uuidInto(id *string) func([]byte) error {
	return func(answer []byte) error {
		var created struct {
			ID string `json:"id"`
		}
		if err := decode(answer, &created); err != nil {
			return err
		}
		if !isUUID(created.ID) {
			return errors.New("the answer has no id that is a UUID")
		}
		*id = strings.ToLower(created.ID)
		return nil
	}
}

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
