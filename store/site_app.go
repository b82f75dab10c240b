package store

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

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
