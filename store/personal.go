package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// This file has one line for each column of each table: which rows are about one customer,
// what a person may ask to see of them, and what becomes of the column when the person asks
// to be forgotten. A test compares it with the tables of both databases, so that no column
// is added without that decision.

// Conditions on rows of the customer $1.
const (
	itsBuyers        = "SELECT id FROM stripe_customers WHERE customer_id = $1"
	itsSubscriptions = "SELECT s.id FROM subscriptions s JOIN stripe_customers b ON b.id = s.stripe_customer_id WHERE b.customer_id = $1"
	itsOrg           = "SELECT org_id FROM customers WHERE id = $1 AND org_id IS NOT NULL AND NOT org_guest"
	itsHostings      = "SELECT hosting_id FROM bindings WHERE subscription_id IN (" + itsSubscriptions + `)
		UNION SELECT id FROM hostings WHERE org_id IN (` + itsOrg + ") AND id NOT IN (SELECT hosting_id FROM bindings)"
)

// personal is a table. If section is empty, no row of it is about one customer.
type personal struct {
	section, table string
	rows           string // the condition on those of the customer $1
	key            string // the columns that name a row, by which the rows are ordered
	columns        string // see personalColumn
}

var personals = []personal{
	{"customer", "customers", "id = $1", "id", `id email=email email_key=gone name=name org_id org_named:flag invited_at:time due_at:time wakes:number
		planned_at:time held:json=holds failures:number retry_after:time parked_at:time last_error=text created_at:time org_guest:flag
		invited_email=address words:number held_kinds org_name_wanted=name org_name_why=text erased_at:time org_why=text
		invite_wanted=email invite_why=text`},
	{"stripe_customers", "stripe_customers", "customer_id = $1", "id", `id customer_id email=email email_key=gone name=name deleted:flag
		former_email=email email_changed_at:time email_unnoted:flag name_unnoted:flag`},
	{"subscriptions", "subscriptions", "id IN (" + itsSubscriptions + ")", "id", `id stripe_customer_id status status_text status_since:time created_at:time
		ended_at:time cancel_at_period_end:flag current_period_end:time collection_paused:flag unpaid_since:time items:json domain checkout_domain
		domain_checked:flag metadata_org metadata_hosting:number read_at:time by_id:flag gone:flag content_hash:number entitled_at:time
		lapse_seen_at:time lapsed_since:time metadata_org_text metadata_hosting_text said_new:flag metadata_written:number cancel_at:time
		send_invoice:flag open_invoice:json server_group trial_start:time unpaid_change:time`},
	{"bindings", "bindings", "subscription_id IN (" + itsSubscriptions + ")", "subscription_id slot", `subscription_id slot:number item_id org_id
		hosting_id:number how bound_at:time`},
	{"unbindings", "partings", "subscription_id IN (" + itsSubscriptions + ")", "subscription_id hosting_id", `subscription_id hosting_id:number slot:number
		org_id author=text reason=text parted_at:time answered:flag named:flag`},
	{"hostings", "hostings", "id IN (" + itsHostings + ")", "id", `id:number org_id plan_id:number state suspended_by friendly_name=text marker_id
		marker_slot:number usage:json observed_at:time suspended_by_us:time terminated_by_us:time website website_taken bound:flag marker_word
		content:json content_read_at:time ignored:flag ignored_why=text domain_use:json backups:json
		app:json`},
	{"organisations_apart", "org_partings", "customer_id = $1", "customer_id org_id", "customer_id org_id why=text parted_at:time"},
	{"disputes", "disputes", "stripe_customer_id IN (" + itsBuyers + ")", "id", `id stripe_customer_id subscription_id invoice_id status amount:number
		currency opened_at:time paid_at:time payment_unread:flag read_at:time`},
	{"websites", "sites", "hosting_id IN (" + itsHostings + ")", "domain org_id hosting_id", "domain org_id hosting_id:number read_at:time"},
	{"organisation", "orgs", "id IN (" + itsOrg + ")", "id", `id name=title owner_email=address owner_email_key=address marker_id hostings_count:number
		hostings_read_at:time deleted:flag suspended:flag created_at:time observed_at:time owners:json=addresses owners_read_at:time
		name_key=gone marker_word erased:flag`},
	{"holds", "holds", "stripe_customer_id IN (" + itsBuyers + ") OR subscription_id IN (" + itsSubscriptions + ")", "id", `id stripe_customer_id
		subscription_id kind until:time reason=text author=text created_at:time removed_at:time`},
	{"mails", "mails", "customer_id = $1", "key", "key=key action_id=key customer_id state at:time"},
	{"journal", "actions", "customer_id = $1", "key", `key=key action_id=key run_id=text position:number kind customer_id subscription_id item_id
		slot:number email=address org_id hosting_id:number plan_id:number plan_name from_plan_id:number name=title domain how reason=text state
		error=text planned_at:time sent_at:time finished_at:time settle_until:time looks:number looked_at:time attempts:number held_plan_id
		evidence:json=evidence`},
	{"held_plans", "plan_actions", "customer_id = $1", "plan_id position", `plan_id position:number action_id=key action:json=action customer_id
		version:number left_at:time`},
	{"webhooks", "webhook_logs", "subscription_id IN (" + itsSubscriptions + ")", "event_id", `event_id event_type subscription_id
		received_at:time state error=text finished_at:time`},
	{"nudges", "nudges", "subscription_id IN (" + itsSubscriptions + ")", "subscription_id", `subscription_id why=text created_at:time taken:number
		known:flag named:number`},
	{"", "runs", "", "id", `id started_by=text mode started_at:time finished_at:time error=text subscriptions:number events:number stripe_calls:number
		enhance_calls:number planned:number applied:number failed:number held:number gates:json=texts listed_count:number listed_entitled:number
		listed_at:time converged:flag orders_held:number`},
	{"", "plans", "", "id", `id kind run_id reason=text created_at:time expires_at:time approved_at:time approved_by=text version:number closed_at:time`},
	{"", "cursors", "", "name", "name value"}, // ids and times
	// A plan and a mapping are the operator's, and the rest are our own counts and locks.
	{"", "plan_mappings", "", "billing_provider billing_plan_id", `billing_provider billing_plan_id enhance_plan_id updated_at:time updated_by
		websites server_group server_group_by_order:flag php_version onboarding grace_seconds:number app`},
	{"", "enhance_plans", "", "id", "id:number name limits:json sites:json"},
	{"", "product_features", "", "product", "product keys:json read_at:time asked_at:time emptied:flag unread"},
	{"", "leases", "", "name", "name owner token:number expires_at:time file_locked:flag counted:number"},
	{"", "seen_events", "", "id", "id created_at:time"},
	{"", "tallies", "", "name", "name n:number"},
	{"", "hold_counts", "", "name", "name n:number"},
	// What a sweep that never ended has left is deleted as a whole, see leftStaged.
	{"", "staged_subscriptions", "", "id", "id read_at:time content:packed"},
}

// personalColumn is one word of columns: "name", "name:kind", or either with "=treatment".
type personalColumn struct {
	name string
	// kind is text, number, time, flag, json, or packed, which is not shown.
	kind string
	// treatment is what erasing makes of it; see scrub.value. "": it stays.
	treatment string
}

func (p *personal) list() []personalColumn {
	words := strings.Fields(p.columns)
	all := make([]personalColumn, len(words))
	for i, word := range words {
		word, treatment, _ := strings.Cut(word, "=")
		name, kind, _ := strings.Cut(word, ":")
		if kind == "" {
			kind = "text"
		}
		all[i] = personalColumn{name, kind, treatment}
	}
	return all
}

// ordered is the ORDER BY of the table.
func (p *personal) ordered() string {
	return " ORDER BY " + strings.ReplaceAll(p.key, " ", ", ")
}

// Personal returns all that the database knows of one customer, and nothing of any other.
// It reads one state of the database, and writes nothing.
func (s *Store) Personal(ctx context.Context, customer string) (all reconcile.PersonalData, err error) {
	err = s.snapshot(ctx, "reading all of "+customer, func(ctx context.Context, c conn) error {
		all = nil
		for i := range personals {
			p := &personals[i]
			if p.section == "" {
				continue
			}
			rows, err := p.read(ctx, c, customer)
			if err != nil {
				return err
			}
			all = append(all, reconcile.PersonalRows{Section: p.section, Rows: rows})
		}
		if len(all[0].Rows) == 0 {
			return ErrNotFound
		}
		return nil
	})
	return all, err
}

func (p *personal) read(ctx context.Context, c conn, customer string) (rows []reconcile.PersonalRow, err error) {
	columns := p.list()
	names := make([]string, len(columns))
	for i := range columns {
		names[i] = columns[i].name
	}
	query := "SELECT " + strings.Join(names, ", ") + " FROM " + p.table + " WHERE " + p.rows + p.ordered()
	err = c.each(ctx, query, []any{customer}, func(row scan) error {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		if err := row(values...); err != nil {
			return err
		}
		one := make(reconcile.PersonalRow, len(columns))
		for i, column := range columns {
			value, err := column.shown(*values[i].(*any))
			if err != nil {
				return badRow(p.table, customer, err)
			}
			one[i] = reconcile.PersonalValue{Name: column.name, Value: value}
		}
		rows = append(rows, one)
		return nil
	})
	return rows, err
}

// shown is a value of the column as it is shown, the same on both databases.
func (c personalColumn) shown(v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	if b, ok := v.([]byte); ok {
		v = string(b)
	}
	switch c.kind {
	case "time":
		var at time.Time
		err := into(&at).Scan(v)
		return at.Format(time.RFC3339Nano), err
	case "flag":
		if n, ok := v.(int64); ok {
			return n != 0, nil
		}
		return v, nil
	case "json":
		var parsed any
		d := json.NewDecoder(bytes.NewReader([]byte(fmt.Sprint(v))))
		d.UseNumber() // an id must not lose digits
		err := d.Decode(&parsed)
		return parsed, err
	}
	return v, nil
}
