package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// The person of these tests. Neither is found anywhere else.
const (
	annsName  = "Ann Uniquename"
	annsEmail = "Ann.Unique@Example.com"
)

// TestEveryColumnIsDecidedForAPerson: a column that is added must be shown to the person whom
// it is about, and it must be decided what erasing makes of it.
func TestEveryColumnIsDecidedForAPerson(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		decided := map[string][]string{}
		for i := range personals {
			p := &personals[i]
			for _, column := range p.list() {
				decided[p.table] = append(decided[p.table], column.name+" "+f.kindOf(p.table, column))
			}
			slices.Sort(decided[p.table])
		}
		same(t, "tables of store/personal.go", f.tables(), slices.Sorted(maps.Keys(decided)))
		for _, table := range f.tables() {
			same(t, "columns of "+table+" in store/personal.go", f.columnKinds(table), decided[table])
		}
	})
}

// kindOf is the type by which the database shows a column of this kind.
func (f *fixture) kindOf(table string, c personalColumn) string {
	if f.d == sqlite {
		return map[string]string{"text": "TEXT", "json": "TEXT", "packed": "BLOB"}[c.kind] + map[string]string{"number": "INTEGER", "time": "INTEGER", "flag": "INTEGER"}[c.kind]
	}
	return map[string]string{"text": "text", "json": "jsonb", "packed": "bytea", "number": "integer", "time": "timestamp with time zone", "flag": "boolean"}[c.kind]
}

func (f *fixture) columnKinds(table string) []string {
	query := "SELECT name || ' ' || type FROM pragma_table_info($1)"
	if f.d == postgres {
		query = "SELECT column_name || ' ' || replace(data_type, 'bigint', 'integer') FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1"
	}
	kinds, err := f.reader().strings(f.Context(), query, table)
	f.must(err)
	slices.Sort(kinds)
	return kinds
}

// person fills the database with a customer, cus_a, who can be erased, and another one. Every
// column that may have the name or the e-mail of cus_a has it.
func (f *fixture) person() {
	f.Helper()
	ctx := f.Context()
	f.save(t0, facts("sub_a", "cus_a", annsEmail), facts("sub_b", "cus_b", "b@example.com"))
	f.bindOrg("cus_a", "org-a")
	f.bindHosting("cus_a", "sub_a", 1, "org-a", 7)
	f.must(f.do(f.mail("mail:a", "warn/sub_a"), t0, reconcile.Outcome{Mail: reconcile.MailSent}))
	f.save(t0, facts("sub_a", "cus_a", annsEmail, status(reconcile.StatusCanceled)))
	invite := action("invite_owner:cus_a", reconcile.InviteOwner, "cus_a", "")
	f.must(f.do(invite, t0, reconcile.Outcome{Invited: t0, InvitedEmail: "x"}))
	f.must2(f.AddManualHold(ctx, reconcile.ManualHold{ID: "hold_1", Subscription: "sub_a", Kind: reconcile.NoSuspend, Created: t0}))
	f.must2(f.LogWebhook(ctx, "evt_a", "customer.deleted", "sub_a", true, t0))
	f.must2(f.LogWebhook(ctx, "evt_b", "customer.deleted", "sub_b", false, t0))
	f.must(f.BeginRun(ctx, f.tok, reconcile.RunRecord{ID: "run-a", Trigger: "cli", Mode: "full", Started: t0}))
	then := "1772323200000000"
	if f.d == postgres {
		then = "CAST('2026-03-01 00:00:00+00' AS TIMESTAMPTZ)"
	}
	f.edit(
		"INSERT INTO partings (subscription_id, hosting_id, slot, org_id, author, reason, parted_at) VALUES ('sub_a', 8, 1, 'org-a', 'ada', 'x', "+then+")",
		"INSERT INTO plans (id, kind, run_id, reason, created_at, expires_at, closed_at) VALUES ('plan-a', 'suspend', 'run-a', 'x', "+then+", "+then+", "+then+")",
		"INSERT INTO plan_actions (plan_id, position, action_id, action, customer_id) VALUES ('plan-a', 1, 'suspend:sub_a', '{}', 'cus_a')",
		"INSERT INTO sites (domain, org_id, hosting_id, read_at) VALUES ('a.example.com', 'org-a', 7, "+then+")",
		"INSERT INTO org_partings (customer_id, org_id, why, parted_at) VALUES ('cus_a', 'org-z', 'ada: x', "+then+")",
		"INSERT INTO disputes (id, stripe_customer_id, subscription_id, status, amount, currency, opened_at, read_at) VALUES ('dp_a', 'cus_a', 'sub_a', 'lost', 900, 'eur', "+then+", "+then+")",
		"UPDATE stripe_customers SET deleted = TRUE WHERE id = 'cus_a'",
		"UPDATE hostings SET state = 'deleted' WHERE id = 7",
	)
	for i := range personals {
		p := &personals[i]
		for _, c := range p.treated() {
			where := "1 = 1"
			if p.section != "" {
				where = strings.ReplaceAll(p.rows, "$1", "'cus_a'")
			}
			f.edit("UPDATE " + p.table + " SET " + c.name + " = " + f.annIn(c) + " WHERE " + where)
		}
	}
	f.edit("UPDATE customers SET held = " + f.annIn(personalColumn{treatment: "others"}) + ", last_error = 'its org is also of " + annsEmail + "' WHERE id = 'cus_b'")
}

// annIn is a value with the person for a column, as SQL.
func (f *fixture) annIn(c personalColumn) string {
	sentence := `it was "` + annsName + `", ` + strings.ToUpper(annsEmail) + `.`
	json := func(v any) string { return "'" + fmt.Sprint(v) + "'" }
	a := storeAction(reconcile.Action{ID: "invite_owner:cus_a:" + reconcile.EmailKey(annsEmail), Kind: reconcile.InviteOwner, Customer: "cus_a", Email: annsEmail, Name: annsName, Reason: sentence})
	holds := []reconcile.Hold{{Kind: reconcile.HoldNoEmail, Email: annsEmail, ActionID: a.ID, Reason: sentence}}
	switch c.treatment {
	case "email", "address":
		return "'" + annsEmail + "'"
	case "name", "title":
		return "'" + annsName + "'"
	case "gone":
		return "'" + strings.ToLower(annsEmail+annsName) + "'"
	case "key":
		return c.name + " || ':" + strings.ToLower(annsEmail) + "'"
	case "text":
		return "'" + sentence + "'"
	case "texts":
		return json(list([]string{sentence}))
	case "addresses":
		return json(list([]string{"c@example.com", annsEmail}))
	case "holds":
		return json(encodeHolds(holds))
	case "others":
		holds[0].Email, holds[0].ActionID = "b@example.com", ""
		return json(encodeHolds(holds))
	case "action":
		return json(document(a))
	case "evidence":
		return json(document(reconcile.Evidence{Hosting: reconcile.HostingEvidence{ID: 7, Name: annsName + " (suspended) [sub_a/1]"}}))
	}
	f.Fatalf("the treatment %q of %s has no value in this test", c.treatment, c.name)
	return ""
}

// found are the tables that have the name or the e-mail anywhere.
func (f *fixture) found() (tables []string) {
	for table, rows := range f.dump() {
		text := strings.ToLower(strings.Join(rows, "\n"))
		if strings.Contains(text, "uniquename") || strings.Contains(text, "ann.unique") {
			tables = append(tables, table)
		}
	}
	slices.Sort(tables)
	return tables
}

func (f *fixture) erase(at time.Time) (reconcile.Erased, error) {
	w := reconcile.Erasing{Customer: "cus_a", Author: "ada@desk", Reason: annsName + " asked for it", At: at}
	would, previewed := f.PreviewErasing(f.Context(), w)
	done, err := f.Erase(f.Context(), w)
	same(f, "the preview", fmt.Sprint(would, previewed != nil), fmt.Sprint(done, err != nil))
	return done, err
}

func TestNothingIsLeftOfAPersonWhoIsErased(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.person()
		all := []string{"actions", "customers", "holds", "hostings", "mails", "nudges", "org_partings", "orgs", "partings", "plan_actions", "plans", "runs", "stripe_customers", "webhook_logs"}
		same(t, "tables with the person before", all, f.found())
		others := f.customer("cus_b")
		done, err := f.erase(t0.Add(time.Minute))
		f.must(err)
		same(t, "tables with the person after", []string{}, f.found())
		same(t, "changed tables", all, slices.Sorted(maps.Keys(done.Rows)))
		same(t, "another customer", []any{others.Email, others.Name, others.Version}, []any{f.customer("cus_b").Email, f.customer("cus_b").Name, f.customer("cus_b").Version})
		f.checkTallies()
		f.noBytes(t)

		rows, err := f.Actions(t.Context(), reconcile.ActionFilter{Customer: "cus_a"})
		f.must(err)
		pseudonym := rows[1].Email
		if !strings.HasPrefix(pseudonym, pseudonymPrefix) {
			t.Errorf("the e-mail in the journal is %q", pseudonym)
		}
		for _, row := range rows[1:] {
			if row.Email != pseudonym || !strings.HasSuffix(row.ID, ":"+pseudonym) {
				t.Errorf("%s of %s, and not of %s", row.ID, row.Email, pseudonym)
			}
		}
		if want := "were erased by ada@desk: " + pseudonymPrefix; rows[0].ID != "erase:cus_a" || !strings.Contains(rows[0].Reason, want) {
			t.Errorf("%s: %s", rows[0].ID, rows[0].Reason)
		}
		done, err = f.erase(t0.Add(2 * time.Minute))
		f.must(err)
		again, err := f.Actions(t.Context(), reconcile.ActionFilter{Customer: "cus_a"})
		f.must(err)
		same(t, "erased again", []int{0, len(rows)}, []int{len(done.Rows), len(again)})
	})
}

// noBytes looks for the person in the files of SQLite.
func (f *fixture) noBytes(t *testing.T) {
	t.Helper()
	if f.d != sqlite {
		return
	}
	for _, name := range []string{f.path, f.path + "-wal", f.path + "-shm"} {
		content, err := os.ReadFile(name)
		f.must(err)
		content = bytes.ToLower(content)
		if bytes.Contains(content, []byte("uniquename")) || bytes.Contains(content, []byte("ann.unique")) {
			t.Errorf("%s still has the person in its bytes", name)
		}
	}
}

// TestErasedStaysErased, whatever is stored afterwards that was read or decided before.
func TestErasedStaysErased(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.person()
		loaded := f.customer("cus_a")
		after := t0.Add(time.Minute)
		_, err := f.erase(after)
		f.must(err)

		stale := facts("sub_a", "cus_a", annsEmail, readAt(t0.Add(time.Second)))
		stale.Buyer.Name = annsName
		f.save(after, stale)
		f.must(f.SaveOrgs(t.Context(), f.tok, []reconcile.Org{{ID: "org-a", Name: annsName, OwnerEmail: annsEmail, ObservedAt: after}}, true, after))
		f.must(f.SaveOwners(t.Context(), f.tok, "org-a", []string{annsEmail}, after))
		gone := *activeHosting(7, "org-a")
		gone.State, gone.FriendlyName = reconcile.HostingDeleted, annsName+" [sub_a/1]"
		f.must(f.SaveHosting(t.Context(), f.tok, gone, after))
		var no reconcile.InstructionRefused
		if _, err := f.WantName(t.Context(), "cus_a", "Ann", "ada", after); !errors.As(err, &no) {
			t.Errorf("renaming after the erasure: %v, want a refusal", err)
		}
		late := reconcile.Planned{Customer: "cus_a", Version: loaded.Version, Holds: []reconcile.Hold{{Kind: reconcile.HoldNoEmail, Email: annsEmail, Reason: annsName}}}
		late.Actions = []reconcile.Action{{ID: "rename_org:cus_a", Kind: reconcile.RenameOrg, Customer: "cus_a", Name: annsName}}
		f.must(f.SavePlanned(t.Context(), f.tok, "run-late", []reconcile.Planned{late, {Customer: "cus_b", Due: after}}, after))
		same(t, "tables with the person", []string{}, f.found())
		if f.customer("cus_b").PlannedAt.IsZero() {
			t.Error("the decision about the other customer was not stored")
		}
		late.Version, late.Holds, late.Actions = f.customer("cus_a").Version, nil, nil
		f.must(f.SavePlanned(t.Context(), f.tok, "run-later", []reconcile.Planned{late}, after))
		same(t, "planned again", after, f.customer("cus_a").PlannedAt)

		// the org becomes the org of another customer: it is in use again
		f.must(f.do(reconcile.Action{ID: "create_org:cus_b", Kind: reconcile.Link, Customer: "cus_b", Org: "org-a"}, after,
			reconcile.Outcome{Org: &reconcile.Org{ID: "org-a", Name: "B", OwnerEmail: "b@example.com", ObservedAt: after}}))
		same(t, "in use again", "B", f.customer("cus_b").Org.Name)
	})
}

// TestErasingIsRefused as long as the next read would bring the person back, or while
// something is done for the customer, each time with what to do first.
func TestErasingIsRefused(t *testing.T) {
	open := "INSERT INTO actions (key, action_id, run_id, position, kind, customer_id, state, planned_at) VALUES ('k', 'resume:sub_a', 'r', 1, 'resume', 'cus_a', 'planned', %s)"
	for _, c := range []struct{ edit, undo, why string }{
		{"UPDATE subscriptions SET status = 'past_due', status_text = 'past_due' WHERE id = 'sub_a'", "UPDATE subscriptions SET status = 'canceled' WHERE id = 'sub_a'",
			"subscription sub_a of customer cus_a is past_due: cancel it at Stripe"},
		{"UPDATE stripe_customers SET deleted = FALSE WHERE id = 'cus_a'", "UPDATE stripe_customers SET deleted = TRUE WHERE id = 'cus_a'",
			"customer cus_a still exists at Stripe"},
		{"UPDATE hostings SET state = 'suspended' WHERE id = 7", "UPDATE hostings SET state = 'missing' WHERE id = 7",
			"hosting 7 of customer cus_a is still at the panel (suspended)"},
		{open, "DELETE FROM actions WHERE key = 'k'", "resume of customer cus_a has no outcome yet (planned)"},
		{"UPDATE plans SET closed_at = NULL", "UPDATE plan_actions SET left_at = %s", "held plan plan-a has a change for customer cus_a"},
		{"INSERT INTO orgs (id, owner_email_key) VALUES ('org-z', 'ann.unique@example.com')", "UPDATE orgs SET deleted = TRUE WHERE id = 'org-z'",
			"organisation org-z at the panel belongs to no customer"},
		{"INSERT INTO staged_subscriptions (id, read_at, content) VALUES ('x', %s, CAST('' AS BYTEA))", "UPDATE leases SET expires_at = %s", "a full run is reading Stripe at this moment"},
	} {
		t.Run(c.why, func(t *testing.T) {
			conform(t, func(t *testing.T, f *fixture) {
				f.person()
				when := "1"
				if f.d == postgres {
					when = "CAST('2026-01-01' AS TIMESTAMPTZ)"
				}
				edit := strings.Replace(c.edit, "%s", when, 1)
				if f.d == sqlite {
					edit = strings.ReplaceAll(edit, "BYTEA", "BLOB")
				}
				f.edit(edit)
				before := f.dump()
				var no reconcile.InstructionRefused
				if _, err := f.erase(t0.Add(time.Second)); !errors.As(err, &no) || !strings.Contains(err.Error(), c.why) {
					t.Errorf("%v, want a refusal: %s", err, c.why)
				}
				same(t, "nothing is changed", before, f.dump())
				f.edit(strings.Replace(c.undo, "%s", when, 1))
				_, err := f.erase(t0.Add(time.Second))
				f.must(err)
				same(t, "tables with the person", []string{}, f.found())
				same(t, "staged", 0, f.blocks())
			})
		})
	}
}

// TestErasingLeavesOthersAlone: an e-mail proves nothing, because anybody can type any; so a
// customer with the same one keeps it, in sentences too. A name that is a common word changes
// sentences about others only where it stands in quotes.
func TestErasingLeavesOthersAlone(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.person()
		f.edit("UPDATE stripe_customers SET email = 'ANN.unique@example.com', email_key = 'ann.unique@example.com' WHERE id = 'cus_b'",
			"UPDATE customers SET name = 'Pro', org_name_wanted = '' WHERE id = 'cus_a'",
			`UPDATE customers SET held = NULL, last_error = 'plan Pro of ann.unique@example.com, not "Pro", nor Produce' WHERE id = 'cus_b'`)
		done, err := f.erase(t0.Add(time.Minute))
		f.must(err)
		same(t, "others with the e-mail", []string{"cus_b"}, done.Same)
		b := f.customer("cus_b")
		same(t, "the e-mail of the other", "ANN.unique@example.com", b.Buyers[0].Email)
		if before, after, found := strings.Cut(b.LastError, pseudonymPrefix); !found || before != `plan Pro of ann.unique@example.com, not "` || !strings.HasSuffix(after, `", nor Produce`) {
			t.Errorf("the sentence about the other is %q", b.LastError)
		}
	})
}

// TestANamesakeKeepsItsSentences, and so does a plan with the name.
func TestANamesakeKeepsItsSentences(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.person()
		const sentence = `is for plan "Ann", renamed from "Ann Uniquename"`
		f.must(f.SavePlans(t.Context(), f.tok, []reconcile.EnhancePlan{{ID: 1, Name: "ann"}}, t0))
		f.edit("UPDATE stripe_customers SET name = 'ANN Uniquename' WHERE id = 'cus_b'", "UPDATE stripe_customers SET name = 'Ann' WHERE id = 'cus_a'",
			"UPDATE customers SET held = NULL, last_error = '"+sentence+"' WHERE id = 'cus_b'")
		_, err := f.erase(t0.Add(time.Minute))
		f.must(err)
		same(t, "the sentence about the other", sentence, f.customer("cus_b").LastError)
	})
}

// TestWordsOfAPerson are the places in which a name or an e-mail is one, and is none.
func TestWordsOfAPerson(t *testing.T) {
	s := newScrub()
	s.keep("cus_a", "cus_named@example.com")
	s.addName(`Zoë "Z" O'Brien & Sons [cus_a]`)
	s.addEmail("Zo.B+x@Example.com")
	s.addEmail("cus_named@example.com")
	s.addName("cus_a")
	for text, kept := range map[string]bool{
		`renamed from "zoË "z" o'brien & SONS" by ada`:   false,
		`the org "Zoë \"Z\" O'Brien & Sons" is held`:     false,
		"wrote to zo.b+x@example.com.":                   false,
		"invite_owner:cus_a:zo.b+x@example.com@run-1":    false,
		"wrote to lazo.b+x@example.com":                  true,
		"wrote to a.zo.b+x@example.com":                  true,
		"wrote to zo.b+x@example.com.au":                 true,
		"wrote to zo.b+x@example.community":              true,
		"cus_a is cus_named@example.com":                 true,
		"Zoë":                                            true,
		`an unrelated sentence, "in quotes", without it`: true,
	} {
		if got := s.text(text); (got == text) != kept {
			t.Errorf("%q becomes %q", text, got)
		}
	}
	same(t, "an address", true, s.address("zo.b+x@example.com") == s.address(" ZO.B+X@example.com"))
	same(t, "a pseudonym", s.address("a@b.c"), s.address(s.address("a@b.c")))
	if other := newScrub(); other.address("a@b.c") == s.address("a@b.c") {
		t.Error("two erasures use one key")
	}
}

// TestAllThatIsKnownOfOneCustomer is the same on both databases, in one order, and has nothing
// of another customer.
func TestAllThatIsKnownOfOneCustomer(t *testing.T) {
	known := map[string]string{}
	conform(t, func(t *testing.T, f *fixture) {
		f.person()
		before := f.dump()
		data, err := f.Personal(t.Context(), "cus_a")
		f.must(err)
		same(t, "the database", before, f.dump())
		var sections []string
		for _, part := range data {
			sections = append(sections, part.Section)
			if len(part.Rows) == 0 {
				t.Errorf("there is no row of %s", part.Section)
			}
		}
		same(t, "sections", []string{"customer", "stripe_customers", "subscriptions", "bindings", "unbindings", "hostings", "organisations_apart", "disputes", "websites",
			"organisation", "holds", "mails", "journal", "held_plans", "webhooks", "nudges"}, sections)
		text, err := json.MarshalIndent(data, "", " ")
		f.must(err)
		known[f.Dialect()] = string(text)
		for _, other := range []string{"cus_b", "sub_b", "b@example.com", "evt_b"} {
			if strings.Contains(string(text), other) {
				t.Errorf("%s of another customer is shown", other)
			}
		}
		_, err = f.Personal(t.Context(), "cus_none")
		notFound(t, "a customer that is not known", err)
	})
	for _, part := range []string{`"customer": [`, `"org_named": false,`, `"created_at": "2026-03-01T12:00:00.123456Z"`, `"position": 1`, `"kind": "no_email"`} {
		if !strings.Contains(known["sqlite"], part) {
			t.Errorf("%s is not shown:\n%s", part, known["sqlite"])
		}
	}
	if pg := known["postgres"]; pg != "" { // without its programs that part is skipped
		same(t, "on PostgreSQL (-sqlite)", known["sqlite"], pg)
	}
}
