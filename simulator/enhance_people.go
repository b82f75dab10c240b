package simulator

import (
	"net/mail"
	"slices"
	"strings"
)

var roles = []string{"Owner", "SuperAdmin", "Business", "SiteAccess", "Support", "Sysadmin"}

func (w *World) login(email, name string) *Login {
	key := strings.ToLower(email)
	if l := w.panel.logins[key]; l != nil {
		return l
	}
	l := &Login{ID: w.uuid("login"), Email: email, Name: name}
	w.panel.logins[key], w.panel.loginByID[l.ID] = l, l
	return l
}

func (w *World) newMember(l *Login, roles []string, active bool) Member {
	return Member{ID: w.uuid("member"), Login: l.ID, Email: l.Email, Name: l.Name, Roles: roles, Active: active, Joined: w.now}
}

func validEmail(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s
}

// createInvite adds a pending member and mails them. If it is repeated for the same
// e-mail it sends another mail; for a member it fails. The OpenAPI documents no 409
// here, so the failure is a 400, because that is the harder case for a client.
func createInvite(w *World, q *request) answer {
	o, bad := w.org(q, 0)
	if bad != nil {
		return *bad
	}
	b := readBody(q, []string{"email", "name", "roles"}, "siteAccesses", "notifications", "sendEmail")
	email, name, as, send := b.text("email"), b.text("name"), b.roles(), b.flag("sendEmail")
	if b.bad != nil {
		return *b.bad
	}
	if !validEmail(email) {
		return badInput("invalid email address")
	}
	m := o.member(email)
	if m != nil && m.Active {
		return enhanceError(400, "already_exists", "member", "the login is already a member of the organization")
	}
	if m == nil {
		o.Members = append(o.Members, w.newMember(w.login(email, name), as, false))
		m = &o.Members[len(o.Members)-1]
	}
	m.invite = "https://panel.example.com/invites/" + w.uuid("invite") + "?email=" + email
	if send || !b.has("sendEmail") {
		w.log.mails = append(w.log.mails, Mail{At: w.now, Kind: "invite", To: email, Org: o.ID, Link: m.invite})
	}
	w.panel.invalidate()
	w.effect(Effect{Kind: "invite_owner", Org: o.ID, Object: m.ID, Before: o.state(), After: o.state()})
	return created(quote(m.invite))
}

// roles reads the field "roles", which must name at least one role that exists.
func (b *body) roles() []string {
	given := b.texts("roles")
	for _, r := range given {
		if !slices.Contains(roles, r) {
			b.refuse("Json deserialize error: unknown variant `" + r + "`")
		}
	}
	if len(given) == 0 {
		b.refuse("roles must not be empty")
	}
	return given
}

func listMembers(w *World, q *request) answer {
	o, bad := w.org(q, 0)
	if bad == nil {
		bad = checkQuery(q, "sortBy", "role", "siteAccess")
	}
	if bad != nil {
		return *bad
	}
	role := q.Query.Get("role")
	if role != "" && !slices.Contains(roles, role) {
		return badInput("Query deserialize error: unknown variant `" + role + "`")
	}
	rows := slices.DeleteFunc(slices.Clone(o.Members), func(m Member) bool { return role != "" && !slices.Contains(m.Roles, role) })
	return listPart(w, q, rows, w.writeMember)
}

func (w *World) writeMember(d *doc, m Member) {
	d.open()
	d.str("id", m.ID)
	d.str("loginId", m.Login)
	d.flag("isActive", m.Active)
	d.str("email", m.Email)
	d.str("name", m.Name)
	d.array("roles")
	for _, r := range m.Roles {
		d.element(r)
	}
	d.closeArray()
	d.fields(`"siteAccesses":[],"notifications":[]`)
	d.str("joinedAt", m.Joined.UTC().Format("2006-01-02"))
	d.str("colorCode", "#3366cc")
	w.writeUnknownFields(d)
	d.close()
}

func createMember(w *World, q *request) answer {
	o, bad := w.org(q, 0)
	if bad != nil {
		return *bad
	}
	b := readBody(q, []string{"loginId", "roles"})
	id, as := b.text("loginId"), b.roles()
	if b.bad != nil {
		return *b.bad
	}
	l := w.panel.loginByID[id]
	if l == nil {
		return notFound("login")
	}
	if o.member(l.Email) != nil {
		return enhanceError(409, "already_exists", "member", "")
	}
	m := w.newMember(l, as, true)
	o.Members = append(o.Members, m)
	w.panel.invalidate()
	w.effect(Effect{Kind: "add_member", Org: o.ID, Object: m.ID, Before: o.state(), After: o.state()})
	return created(`{"id":` + quote(m.ID) + `}`)
}

// deleteMember ends a membership, or takes an invitation back. The login stays.
func deleteMember(w *World, q *request) answer {
	o, bad := w.org(q, 0)
	if bad != nil {
		return *bad
	}
	i := slices.IndexFunc(o.Members, func(m Member) bool { return m.ID == q.vars[1] })
	if i < 0 {
		return notFound("member")
	}
	kind := "take_invitation_back"
	if o.Members[i].Active {
		kind = "remove_member"
	}
	o.Members = slices.Delete(o.Members, i, i+1)
	w.panel.invalidate()
	w.effect(Effect{Kind: kind, Org: o.ID, Object: q.vars[1], Before: o.state(), After: o.state()})
	return noContent
}

// memberLogin makes a short-lived link by which its holder is logged in as the member. A
// member who has not accepted the invitation has no login that a link could be for.
func memberLogin(w *World, q *request) answer {
	o, bad := w.org(q, 0)
	if bad != nil {
		return *bad
	}
	for _, m := range o.Members {
		if m.ID == q.vars[1] && m.Active {
			return created(quote("https://panel.example.com/login/sessions/sso?otp=" + w.uuid("otp")))
		}
	}
	return notFound("member")
}

// putOwner makes a member the owner; the one before becomes SuperAdmin.
func putOwner(w *World, q *request) answer {
	o, bad := w.org(q, 0)
	if bad != nil {
		return *bad
	}
	b := readBody(q, []string{"memberId"})
	id := b.text("memberId")
	if b.bad != nil {
		return *b.bad
	}
	if !slices.ContainsFunc(o.Members, func(m Member) bool { return m.ID == id }) {
		return notFound("member")
	}
	for i := range o.Members {
		m := &o.Members[i]
		m.Roles = slices.DeleteFunc(slices.Clone(m.Roles), func(r string) bool { return r == "Owner" })
		if m.ID == id {
			m.Roles = append(m.Roles, "Owner")
		} else if len(m.Roles) == 0 {
			m.Roles = []string{"SuperAdmin"}
		}
	}
	w.panel.invalidate()
	w.effect(Effect{Kind: "set_owner", Org: o.ID, Object: id, Before: o.state(), After: o.state()})
	return answer{status: 200}
}

func createLogin(w *World, q *request) answer {
	id := strings.ToLower(q.Query.Get("orgId"))
	if id != w.panel.our.ID && w.panel.orgByID[id] == nil {
		if !isUUID(id) {
			return badInput("Query deserialize error: missing or invalid orgId")
		}
		return notFound("org")
	}
	b := readBody(q, []string{"email", "password", "name"})
	email, name, password := b.text("email"), b.text("name"), b.text("password")
	switch {
	case b.bad != nil:
		return *b.bad
	case !validEmail(email):
		return badInput("invalid email address")
	case len(password) < 8:
		return badInput("the password is too weak")
	case w.panel.logins[strings.ToLower(email)] != nil:
		return enhanceError(409, "already_exists", "login", "")
	}
	l := w.login(email, name)
	l.Registered = true
	w.effect(Effect{Kind: "create_login", Org: id, Object: l.ID})
	return created(`{"id":` + quote(l.ID) + `}`)
}

// recoverPassword never reveals whether the login exists.
func recoverPassword(w *World, q *request) answer {
	b := readBody(q, []string{"email"})
	email := b.text("email")
	if b.bad != nil {
		return *b.bad
	}
	if l := w.panel.logins[strings.ToLower(email)]; l != nil && l.Registered {
		w.log.mails = append(w.log.mails, Mail{At: w.now, Kind: "password-recovery", To: l.Email})
		w.effect(Effect{Kind: "recover_password", Object: l.ID})
	}
	return answer{status: 200}
}
