package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// storedItem is an item as the column items holds it.
type storedItem struct {
	ID       string `json:"id"`
	Price    string `json:"price"`
	Lookup   string `json:"lookup_key,omitempty"`
	Product  string `json:"product"`
	Quantity int64  `json:"quantity"`
	Created  int64  `json:"created,omitempty"` // microseconds since 1970
}

func encodeItems(items []reconcile.Item) string {
	stored := make([]storedItem, len(items))
	for i, it := range items {
		stored[i] = storedItem{it.ID, it.Price, it.LookupKey, it.Product, it.Quantity, micros(it.Created)}
	}
	return document(stored)
}

func decodeItems(b []byte) ([]reconcile.Item, error) {
	var stored []storedItem
	if err := json.Unmarshal(b, &stored); err != nil {
		return nil, err
	}
	items := make([]reconcile.Item, len(stored))
	for i, it := range stored {
		items[i] = reconcile.Item{ID: it.ID, Price: it.Price, LookupKey: it.Lookup, Product: it.Product,
			Quantity: it.Quantity, Created: fromMicros(it.Created)}
	}
	return items, nil
}

// micros and fromMicros carry times inside JSON; 0 is the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// cleaned is the facts with storable text, a buyer id, and items in the order of
// their ids, in which they are stored and hashed.
func cleaned(f reconcile.SubscriptionFacts) reconcile.SubscriptionFacts {
	f.ID, f.StatusText, f.Domain, f.MetadataOrg = clean(f.ID), clean(f.StatusText), clean(f.Domain), clean(f.MetadataOrg)
	f.MetadataOrgText, f.MetadataHostingText = clean(f.MetadataOrgText), clean(f.MetadataHostingText)
	f.ServerGroup = clean(f.ServerGroup)
	f.Buyer.ID = cmp.Or(f.Buyer.ID, f.StripeCustomer)
	f.Buyer.ID, f.Buyer.Email, f.Buyer.Name = clean(f.Buyer.ID), clean(f.Buyer.Email), clean(f.Buyer.Name)
	f.StripeCustomer = f.Buyer.ID
	if f.StatusText == "" {
		f.StatusText = f.Status.String()
	}
	items := make([]reconcile.Item, len(f.Items))
	for i, it := range f.Items {
		it.ID, it.Price, it.LookupKey, it.Product = clean(it.ID), clean(it.Price), clean(it.LookupKey), clean(it.Product)
		items[i] = it
	}
	slices.SortStableFunc(items, func(a, b reconcile.Item) int { return cmp.Compare(a.ID, b.ID) })
	f.Items = items
	return f
}

// content is everything of a subscription and its buyer at Stripe that means a change:
// not when and how it was read, and not the facts that only a read by id or the store
// itself adds (ReadAt, ByID, UnpaidSince, UnpaidChange, Lapse, StatusSince, DomainChecked, Gone).
// The same bytes are hashed to notice a change and staged during a sweep; f must be
// cleaned.
func content(f *reconcile.SubscriptionFacts) []byte {
	w := make(packer, 0, 512)
	w.text(f.ID, f.StatusText, f.Domain, f.MetadataOrg, f.Buyer.ID, f.Buyer.Email, f.Buyer.Name)
	w.number(int64(f.Status), micros(f.Created), micros(f.EndedAt), micros(f.CurrentPeriodEnd), f.MetadataHosting)
	w.flag(f.CancelAtPeriodEnd, f.CollectionPaused, f.Buyer.Deleted)
	w.number(int64(len(f.Items)))
	for i := range f.Items {
		it := &f.Items[i]
		w.text(it.ID, it.Price, it.LookupKey, it.Product)
		w.number(it.Quantity, micros(it.Created))
	}
	ordered := f.ServerGroup != "" || !f.TrialStart.IsZero()
	announced := !f.CancelAt.IsZero() || f.SendInvoice || ordered
	if f.MetadataOrgText != "" || f.MetadataHostingText != "" || announced { // at the end, so that the others keep their hashes
		w.text(f.MetadataOrgText, f.MetadataHostingText)
	}
	if announced {
		w.number(micros(f.CancelAt))
		w.flag(f.SendInvoice)
	}
	if ordered {
		w.text(f.ServerGroup)
		w.number(micros(f.TrialStart))
	}
	return w
}

// hash is 64 bits over content. A change goes unnoticed with probability 2⁻⁶⁴.
func hash(content []byte) int64 {
	sum := sha256.Sum256(content)
	return int64(binary.LittleEndian.Uint64(sum[:8]))
}

// unpack is the inverse of content.
func unpack(content []byte) (f reconcile.SubscriptionFacts, err error) {
	r := unpacker{rest: content}
	r.text(&f.ID, &f.StatusText, &f.Domain, &f.MetadataOrg, &f.Buyer.ID, &f.Buyer.Email, &f.Buyer.Name)
	f.Status = reconcile.Status(r.number())
	f.Created, f.EndedAt, f.CurrentPeriodEnd = fromMicros(r.number()), fromMicros(r.number()), fromMicros(r.number())
	f.MetadataHosting = r.number()
	f.CancelAtPeriodEnd, f.CollectionPaused, f.Buyer.Deleted = r.flag(), r.flag(), r.flag()
	f.StripeCustomer = f.Buyer.ID
	for n := r.number(); n > 0 && r.err == nil; n-- {
		var it reconcile.Item
		r.text(&it.ID, &it.Price, &it.LookupKey, &it.Product)
		it.Quantity, it.Created = r.number(), fromMicros(r.number())
		f.Items = append(f.Items, it)
	}
	if r.err == nil && len(r.rest) > 0 {
		r.text(&f.MetadataOrgText, &f.MetadataHostingText)
	}
	if r.err == nil && len(r.rest) > 0 {
		f.CancelAt, f.SendInvoice = fromMicros(r.number()), r.flag()
	}
	if r.err == nil && len(r.rest) > 0 {
		r.text(&f.ServerGroup)
		f.TrialStart = fromMicros(r.number())
	}
	if r.err == nil && len(r.rest) > 0 {
		r.err = errPacked
	}
	return f, r.err
}

var errPacked = errors.New("staged facts are damaged")

// packer writes values so that no two different sequences look alike.
type packer []byte

func (w *packer) text(values ...string) {
	for _, v := range values {
		*w = binary.AppendUvarint(*w, uint64(len(v)))
		*w = append(*w, v...)
	}
}

func (w *packer) number(values ...int64) {
	for _, v := range values {
		*w = binary.AppendVarint(*w, v)
	}
}

func (w *packer) flag(values ...bool) {
	for _, v := range values {
		if v {
			*w = append(*w, 1)
		} else {
			*w = append(*w, 0)
		}
	}
}

// unpacker reads what packer wrote; after the first error it yields zero values.
type unpacker struct {
	rest []byte
	err  error
}

func (r *unpacker) text(values ...*string) {
	for _, v := range values {
		*v = string(r.bytes())
	}
}

// bytes are those of a text, without a copy.
func (r *unpacker) bytes() []byte {
	n, used := binary.Uvarint(r.rest)
	if used <= 0 || n > uint64(len(r.rest)-used) {
		r.rest, r.err = nil, errPacked
		return nil
	}
	b := r.rest[used : used+int(n)]
	r.rest = r.rest[used+int(n):]
	return b
}

func (r *unpacker) number() int64 {
	n, used := binary.Varint(r.rest)
	if used <= 0 {
		r.rest, r.err = nil, errPacked
		return 0
	}
	r.rest = r.rest[used:]
	return n
}

func (r *unpacker) flag() bool {
	if len(r.rest) == 0 {
		r.err = errPacked
		return false
	}
	v := r.rest[0] == 1
	r.rest = r.rest[1:]
	return v
}

// storedContent is the content of a hosting as the column content stores it.
type storedContent struct {
	Sites  []string `json:"sites,omitempty"`
	Count  int      `json:"count,omitempty"`
	Unread string   `json:"unread,omitempty"`
}

// decodeContent reads the column; NULL is nothing.
func decodeContent(text sql.RawBytes, into *reconcile.Content) error {
	if text == nil {
		return nil
	}
	var stored storedContent
	if err := json.Unmarshal(text, &stored); err != nil {
		return err
	}
	into.Sites, into.Count, into.Unread = stored.Sites, stored.Count, stored.Unread
	return nil
}

// storedBackups is what the panel shows of the backups of a hosting, as the column backups
// keeps it.
type storedBackups struct {
	ReadAt  time.Time `json:"read_at"`
	Since   time.Time `json:"since"`
	Lacking string    `json:"lacking,omitempty"`
	Began   time.Time `json:"began,omitzero"`
	Failed  time.Time `json:"failed,omitzero"`
	Refused string    `json:"refused,omitempty"`
}

// decodeBackups reads the column; NULL is nothing.
func decodeBackups(text sql.RawBytes, into *reconcile.Backups) error {
	if text == nil {
		return nil
	}
	var stored storedBackups
	err := json.Unmarshal(text, &stored)
	*into = reconcile.Backups(stored)
	return err
}

// encodeEvidence is the value of the column evidence; nil: NULL.
func encodeEvidence(e *reconcile.Evidence) any {
	if e == nil {
		return nil
	}
	kept := *e
	kept.Subscriptions = slices.Clone(e.Subscriptions)
	for i := range kept.Subscriptions {
		s := &kept.Subscriptions[i]
		s.Status, s.Request, s.Invoice, s.Amount = clean(s.Status), clean(s.Request), clean(s.Invoice), clean(s.Amount)
	}
	kept.Hosting.Name, kept.Hosting.SuspendedBy = clean(e.Hosting.Name), clean(e.Hosting.SuspendedBy)
	return document(kept)
}

// storedUsage is one resource as the column usage keeps it.
type storedUsage struct {
	Name  string `json:"name"`
	Used  int64  `json:"used"`
	Total *int64 `json:"total"`
}

func encodeUsage(usage []reconcile.Usage) any {
	if usage == nil {
		return nil
	}
	stored := make([]storedUsage, len(usage))
	for i, u := range usage {
		stored[i] = storedUsage{clean(u.Name), u.Used, u.Total}
	}
	return document(stored)
}

// storedHold is a hold as the column held keeps it.
type storedHold struct {
	Kind         string `json:"kind"`
	Subscription string `json:"subscription,omitempty"`
	Email        string `json:"email,omitempty"`
	Org          string `json:"org,omitempty"`
	Hosting      int64  `json:"hosting,omitempty"`
	Action       string `json:"action,omitempty"`
	Reason       string `json:"reason"`
	Until        int64  `json:"until,omitempty"`  // microseconds since 1970
	Manual       string `json:"manual,omitempty"` // reconcile.ManualKind
	Order        bool   `json:"order,omitempty"`
}

// encodeHolds is the value of the column held: NULL when nothing is held.
func encodeHolds(holds []reconcile.Hold) any {
	if len(holds) == 0 {
		return nil
	}
	stored := make([]storedHold, len(holds))
	for i, h := range holds {
		stored[i] = storedHold{clean(string(h.Kind)), clean(h.Subscription), clean(h.Email), clean(h.Org), h.Hosting, clean(h.ActionID), clean(h.Reason), micros(h.Until), "", h.Order}
		if h.Manual != 0 {
			stored[i].Manual = h.Manual.String()
		}
	}
	return document(stored)
}

func decodeHolds(customer string, b []byte) ([]reconcile.Hold, error) {
	if len(b) == 0 {
		return nil, nil
	}
	stored, ok := scanHolds(string(b))
	if !ok {
		stored = nil
		if err := json.Unmarshal(b, &stored); err != nil {
			return nil, badRow("holds of", customer, err)
		}
	}
	holds := make([]reconcile.Hold, len(stored))
	for i, h := range stored {
		holds[i] = reconcile.Hold{Kind: reconcile.HoldKind(h.Kind), Customer: customer, Subscription: h.Subscription,
			Email: h.Email, Org: h.Org, Hosting: h.Hosting, ActionID: h.Action, Reason: h.Reason, Until: fromMicros(h.Until),
			Manual: reconcile.ParseManualKind(h.Manual), Order: h.Order}
	}
	return holds, nil
}

func readAction(plan string, text []byte) (reconcile.Action, error) {
	var a storedAction
	if err := json.Unmarshal(text, &a); err != nil {
		return reconcile.Action{}, badRow("plan", plan, err)
	}
	return a.action(), nil
}

// storedAction is an action as plan_actions keeps it.
type storedAction struct {
	ID           string `json:"id"`
	Kind         string `json:"kind"`
	Customer     string `json:"customer"`
	Subscription string `json:"subscription,omitempty"`
	Item         string `json:"item,omitempty"`
	Slot         int    `json:"slot,omitempty"`
	Email        string `json:"email,omitempty"`
	Org          string `json:"org,omitempty"`
	Hosting      int64  `json:"hosting,omitempty"`
	Plan         int    `json:"plan,omitempty"`
	PlanName     string `json:"plan_name,omitempty"`
	FromPlan     int    `json:"from_plan,omitempty"`
	Name         string `json:"name,omitempty"`
	Domain       string `json:"domain,omitempty"`
	How          string `json:"how,omitempty"`
	Reason       string `json:"reason,omitempty"`
}

func storeAction(a reconcile.Action) storedAction {
	s := storedAction{clean(a.ID), a.Kind.String(), clean(a.Customer), clean(a.Subscription), clean(a.Item), a.Slot, clean(a.Email),
		clean(a.Org), a.Hosting, a.Plan, clean(a.PlanName), a.FromPlan, clean(a.Name), clean(a.Domain), "", clean(a.Reason)}
	if a.How != 0 {
		s.How = a.How.String()
	}
	return s
}

func (s storedAction) action() reconcile.Action {
	return reconcile.Action{ID: s.ID, Kind: reconcile.ParseActionKind(s.Kind), Customer: s.Customer, Subscription: s.Subscription,
		Item: s.Item, Slot: s.Slot, Email: s.Email, Org: s.Org, Hosting: s.Hosting, Plan: s.Plan, PlanName: s.PlanName,
		FromPlan: s.FromPlan, Name: s.Name, Domain: s.Domain, How: reconcile.ParseBindKind(s.How), Reason: s.Reason}
}

// dialect is the difference between the two databases, as far as queries see it.
type dialect uint8

const (
	sqlite dialect = iota + 1
	postgres
)

func (d dialect) String() string {
	switch d {
	case sqlite:
		return "sqlite"
	case postgres:
		return "postgres"
	}
	return "unknown"
}

// anyText is the right side of a comparison with parameter n, a JSON array of strings:
// "column" + anyText is true if the column is one of them. On PostgreSQL it is an array,
// because for a sub-select of unknown length the planner reads a whole table.
func (d dialect) anyText(n int) string {
	if d == postgres {
		return fmt.Sprintf("= ANY (ARRAY(SELECT jsonb_array_elements_text(CAST($%d AS JSONB))))", n)
	}
	return fmt.Sprintf("IN (SELECT value FROM json_each($%d))", n)
}

// anyInt is anyText for a JSON array of integers.
func (d dialect) anyInt(n int) string {
	if d == postgres {
		return fmt.Sprintf("= ANY (ARRAY(SELECT CAST(value AS BIGINT) FROM jsonb_array_elements_text(CAST($%d AS JSONB))))", n)
	}
	return fmt.Sprintf("IN (SELECT value FROM json_each($%d))", n)
}

// forShare keeps a row from changing until the transaction ends. SQLite needs
// nothing: its writer is alone.
func (d dialect) forShare() string {
	if d == postgres {
		return " FOR SHARE"
	}
	return ""
}

// forUpdate is forShare for rows that this transaction is about to change.
func (d dialect) forUpdate() string {
	if d == postgres {
		return " FOR UPDATE"
	}
	return ""
}

// column is a column of a bulk write and its PostgreSQL type.
type column struct{ name, kind string }

// bulk is a statement that runs once for each of many rows. In its tail, {name}
// stands for the row's value of that column.
//
// PostgreSQL gets one statement over unnest and SQLite one prepared statement a
// row: on each the fastest of the ways measured, five to ten times faster than
// multi-row VALUES on SQLite.
type bulk struct {
	head    string // "INSERT INTO t" or "UPDATE t SET a = {a}"
	columns []column
	tail    string // INSERT: "ON CONFLICT …"; UPDATE: "t.id = {id}"

	// computed is one more column of an INSERT, and derived is its value: an expression
	// of {names}. "": there is none.
	computed, derived string
}

// text renders the statement for a dialect.
func (b bulk) text(d dialect) string {
	names := make([]string, len(b.columns))
	given := make([]string, len(b.columns)) // as PostgreSQL's rows name them, unlike any column
	slots := make([]string, len(b.columns))
	pairs := make([]string, 0, 2*len(b.columns))
	for i, c := range b.columns {
		names[i], given[i] = c.name, "new_"+c.name
		if d == postgres {
			slots[i] = fmt.Sprintf("CAST($%d AS %s[])", i+1, c.kind)
			pairs = append(pairs, "{"+c.name+"}", "x."+given[i])
		} else {
			slots[i] = fmt.Sprintf("$%d", i+1)
			pairs = append(pairs, "{"+c.name+"}", slots[i])
		}
	}
	fill := strings.NewReplacer(pairs...).Replace
	list, params, rows := strings.Join(names, ", "), strings.Join(slots, ", "), strings.Join(given, ", ")
	insert, values := strings.HasPrefix(b.head, "INSERT"), "*"
	if b.computed != "" {
		value := ", " + fill(b.derived)
		list, values = list+", "+b.computed, values+value
		if d == sqlite {
			params += value
		}
	}
	switch {
	case insert && d == postgres:
		return fmt.Sprintf("%s (%s) SELECT %s FROM unnest(%s) AS x (%s) %s", b.head, list, values, params, rows, fill(b.tail))
	case insert:
		return fmt.Sprintf("%s (%s) VALUES (%s) %s", b.head, list, params, fill(b.tail))
	case d == postgres:
		return fmt.Sprintf("%s FROM unnest(%s) AS x (%s) WHERE %s", fill(b.head), params, rows, fill(b.tail))
	default:
		return fmt.Sprintf("%s WHERE %s", fill(b.head), fill(b.tail))
	}
}

// bulk runs b for every row; a row has one value for each column, in order. No
// two rows may have the same key: PostgreSQL refuses to touch a row twice.
func (c conn) bulk(ctx context.Context, b bulk, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	if c.d == postgres {
		_, err := c.exec(ctx, b.text(c.d), b.arrays(rows)...)
		return err
	}
	return c.rowByRow(ctx, b, rows, func(int, int64) {})
}

// bulkNew is bulk for an INSERT that leaves out the rows whose keys are there already. It
// calls inserted with the position of each row that was not. A row's first value is its
// key, a text.
func (c conn) bulkNew(ctx context.Context, b bulk, rows [][]any, inserted func(i int)) error {
	if c.d == sqlite { // RETURNING would cost more than the insertion
		return c.rowByRow(ctx, b, rows, func(i int, changed int64) {
			if changed > 0 {
				inserted(i)
			}
		})
	}
	position := make(map[string]int, len(rows))
	for i, row := range rows {
		position[row[0].(string)] = i
	}
	return c.each(ctx, b.text(c.d)+" RETURNING "+b.columns[0].name, b.arrays(rows), func(row scan) error {
		var key string
		if err := row(&key); err != nil {
			return err
		}
		inserted(position[key])
		return nil
	})
}

// rowByRow runs b on SQLite, and calls done after each row with how many it changed.
func (c conn) rowByRow(ctx context.Context, b bulk, rows [][]any, done func(i int, changed int64)) error {
	stmt, err := c.q.(*sql.Tx).PrepareContext(ctx, b.text(c.d))
	if err != nil {
		return err
	}
	defer stmt.Close()
	// A context that cannot end spares the driver a goroutine for every row; this
	// loop looks at ctx itself.
	endless := context.WithoutCancel(ctx)
	for i, row := range rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		r, err := stmt.ExecContext(endless, row...)
		if err != nil {
			return err
		}
		changed, _ := r.RowsAffected() // SQLite always knows
		done(i, changed)
	}
	return nil
}

// sortRows orders rows by a column of text.
func sortRows(rows [][]any, column int) {
	slices.SortFunc(rows, func(a, b []any) int { return strings.Compare(a[column].(string), b[column].(string)) })
}

// arrays are the rows as PostgreSQL gets them: one parameter a column.
func (b bulk) arrays(rows [][]any) []any {
	arrays := make([]any, len(b.columns))
	for i := range b.columns {
		values := make([]any, len(rows))
		for j, row := range rows {
			values[j] = row[i]
		}
		arrays[i] = values
	}
	return arrays
}

// at is a time as a parameter: UTC, in the microseconds both databases keep, and
// NULL for the zero time.
func at(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Truncate(time.Microsecond)
}

// stamp scans a time column of either database; NULL is the zero time. It takes
// integers too because SQLite stores them and because max() and coalesce() lose
// the column's type.
type stamp time.Time

// Scan implements sql.Scanner.
func (s *stamp) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*s = stamp{}
	case time.Time:
		*s = stamp(v.UTC())
	case int64:
		*s = stamp(time.UnixMicro(v).UTC())
	default:
		return fmt.Errorf("a time stored as %T", v)
	}
	return nil
}

// into scans a time column into t.
func into(t *time.Time) *stamp { return (*stamp)(t) }

// clean makes text that both databases store: no NUL, valid UTF-8.
func clean(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD")
}

// list is a JSON array as the parameter of dialect.texts or dialect.ints.
func list[T string | int64](values []T) string {
	if len(values) == 0 {
		return "[]"
	}
	b, err := json.Marshal(values)
	if err != nil {
		panic(err) // strings and integers always encode
	}
	return string(b)
}

// document is a value as a JSON parameter.
func document(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // every caller passes plain structs of this package
	}
	return string(b)
}

// orEpoch stands in for a time that is missing in a column that needs one.
func orEpoch(t time.Time) time.Time {
	if t.IsZero() {
		return time.Unix(0, 0)
	}
	return t
}

// storedInvoice is the JSON of an open invoice.
type storedInvoice struct {
	ID       string `json:"id"`
	Due      int64  `json:"due"`
	Left     int64  `json:"left"`
	Currency string `json:"currency,omitempty"`
	URL      string `json:"url,omitempty"`
	Open     int    `json:"open"`
}

// encodeInvoice is nil for no invoice.
func encodeInvoice(v reconcile.OpenInvoice) any {
	if v.ID == "" {
		return nil
	}
	return document(storedInvoice{clean(v.ID), micros(v.Due), v.Left, clean(v.Currency), clean(v.URL), v.Open})
}

func decodeInvoice(subscription string, b []byte) (reconcile.OpenInvoice, error) {
	if len(b) == 0 {
		return reconcile.OpenInvoice{}, nil
	}
	var v storedInvoice
	if err := json.Unmarshal(b, &v); err != nil {
		return reconcile.OpenInvoice{}, badRow("open invoice of", subscription, err)
	}
	return reconcile.OpenInvoice{ID: v.ID, Due: fromMicros(v.Due), Left: v.Left, Currency: v.Currency, URL: v.URL, Open: v.Open}, nil
}

// storedSiteApp is the column app of hostings. Its times are microseconds since 1970.
type storedSiteApp struct {
	App       string `json:"app"`
	Domain    string `json:"domain"`
	MadeAt    int64  `json:"made_at,omitempty"`
	Done      int64  `json:"done,omitempty"`
	Databases int    `json:"databases,omitempty"`
	Refused   string `json:"refused,omitempty"`
	RefusedAt int64  `json:"refused_at,omitempty"`
	ReadAt    int64  `json:"read_at,omitempty"`
}

// SaveSiteApp stores how far the application on the website of a hosting has come. It wakes
// no customer, because only a customer that is being planned needs it.
func (s *Store) SaveSiteApp(ctx context.Context, tok reconcile.Token, hosting int64, app reconcile.SiteApp) error {
	return s.fenced(ctx, "saving the application on a website", tok, func(ctx context.Context, tx conn) error {
		return putSiteApp(ctx, tx, hosting, app)
	})
}

func putSiteApp(ctx context.Context, tx conn, hosting int64, app reconcile.SiteApp) error {
	_, err := tx.exec(ctx, "UPDATE hostings SET app = $2 WHERE id = $1", hosting, document(storedSiteApp{
		clean(string(app.App)), clean(app.Domain), micros(app.MadeAt), micros(app.Done), app.Databases,
		clean(app.Refused), micros(app.RefusedAt), micros(app.ReadAt)}))
	return err
}

// decodeSiteApp reads the column; NULL is nothing.
func decodeSiteApp(text sql.RawBytes, into *reconcile.SiteApp) error {
	if len(text) == 0 {
		return nil
	}
	var a storedSiteApp
	if err := json.Unmarshal(text, &a); err != nil {
		return err
	}
	*into = reconcile.SiteApp{App: reconcile.App(a.App), Domain: a.Domain, MadeAt: fromMicros(a.MadeAt), Done: fromMicros(a.Done),
		Databases: a.Databases, Refused: a.Refused, RefusedAt: fromMicros(a.RefusedAt), ReadAt: fromMicros(a.ReadAt)}
	return nil
}
